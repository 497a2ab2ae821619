"""Checks of data quality: `inspection.inspect` flags what looks wrong with a trace."""
