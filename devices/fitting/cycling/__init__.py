"""Cycling: endurance logs, and tables of switching cycles."""
