"""Read noise: spectra, their spread over cells, and telegraph signals in time."""
