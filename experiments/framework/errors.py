"""Errors that the user can correct: one sentence, exit code 2."""


class UsageError(Exception):
    """Bad usage or bad input; the message says what is wrong and what to do about it."""
