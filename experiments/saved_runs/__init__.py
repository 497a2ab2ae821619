"""Finished runs: shown again, compared, listed, as tables and as xarray."""
