"""What every experiment stands on: the command, runs and their folders, results, figures, reports."""
