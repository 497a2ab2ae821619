"""I-V loops: the data, the guesses, and compact models fitted to them."""
