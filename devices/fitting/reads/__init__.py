"""Read I-V curves: the data, and conduction laws fitted to them."""
