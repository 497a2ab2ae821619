"""The command `xbar`: one file a subcommand."""
