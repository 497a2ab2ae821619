"""Retention: relaxation, power laws, bakes, and times to failure."""
