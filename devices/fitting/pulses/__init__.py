"""Pulse trains and maps of single pulses: the data, the filter, and step laws fitted to them."""
