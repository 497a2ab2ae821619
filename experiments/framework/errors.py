"""Errors that are the user's to mend: one sentence, exit code 2."""


class UsageError(Exception):
    """Bad usage or bad input; the message says what, and how to mend it."""
