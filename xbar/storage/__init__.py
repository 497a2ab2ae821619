"""Chips in files: saving and loading them, and the conductances that a programmer is to reach."""

from xbar.storage.chip_file_error import ChipFileError
from xbar.storage.chips import load, save
from xbar.storage.targets import export_targets

__all__ = ["ChipFileError", "export_targets", "load", "save"]
