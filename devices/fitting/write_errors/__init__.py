"""Programming errors: where writes leave a cell, and how it relaxes within the window."""
