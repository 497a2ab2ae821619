"""Public data sets: where they come from (`data/registry.toml`), where they are on this machine, and how they get there."""
