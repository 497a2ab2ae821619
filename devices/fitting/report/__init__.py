"""What a fit tells people: pictures by kind of measurement, and which measurement would help most."""
