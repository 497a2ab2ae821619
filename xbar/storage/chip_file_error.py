"""The error for an unusable chip file."""

from __future__ import annotations


class ChipFileError(ValueError):
    """A file that holds no chip, or a chip that a file cannot hold: what was found, what is expected, what to do."""
