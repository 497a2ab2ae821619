"""The report of a fit: figures by kind of measurement, and which measurement would help most."""
