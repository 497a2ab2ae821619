"""What every experiment is built on: the command, runs and their folders, results, figures, reports."""
