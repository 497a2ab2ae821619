"""Runs that are done: shown again, compared, listed, as tables and as xarray."""
