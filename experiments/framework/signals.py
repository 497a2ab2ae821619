"""Ctrl-C and SIGTERM: a sentence and the exit code that belongs to them, wherever the program is.

Python hands a signal to the main thread only between two of its own instructions. A compilation in C++ can keep it waiting for
minutes, and a library that calls back into Python can lose the exception. So a thread of its own reads the signal at once. If
the program has not ended a few seconds later, that thread ends it: files are written whole or not at all, so that
nothing is lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from typing import Any

PATIENCE = 5.0
"""Seconds from the first signal until the program is ended, unless it says that it is finishing."""
NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_NOTHING_LOST = "nothing was written"


class Interruption:
    """Whether somebody asked this program to stop, and what to say then."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.outcome = _NOTHING_LOST
        self._finishing = False

    def check(self) -> None:
        """Raises KeyboardInterrupt once more if somebody asked to stop: a library may have lost the first."""
        if self.number is not None and not self._finishing:
            raise KeyboardInterrupt

    def finishing(self) -> None:
        """Says that what is finished is now being written, however long it takes; a second signal ends the program."""
        self._finishing = True

    @property
    def code(self) -> int:
        """Exit code: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + (self.number or signal.SIGINT)

    @property
    def sentence(self) -> str:
        return f"{NAMES[signal.Signals(self.number or signal.SIGINT)]}; {self.outcome}"

    def listen(self) -> None:
        """Takes over SIGINT and SIGTERM of this process; to be called from its main thread."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        for number in NAMES:
            signal.signal(number, self._receive)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), daemon=True, name="signals").start()

    def _receive(self, number: int, frame: Any) -> None:
        self.number = self.number or number
        raise KeyboardInterrupt

    def _watch(self, reader: int) -> None:
        first = _next_signal(reader)
        self.number = self.number or first
        threading.Thread(target=self._second, args=(reader,), daemon=True).start()
        time.sleep(PATIENCE)
        if not self._finishing:
            self._leave()

    def _second(self, reader: int) -> None:
        _next_signal(reader)
        self._leave()

    def _leave(self) -> None:
        with contextlib.suppress(OSError):
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{self.sentence}\n".encode())
        os._exit(self.code)


def _next_signal(reader: int) -> int:
    while True:
        for number in os.read(reader, 1):
            if number in NAMES:
                return number


INTERRUPTION = Interruption()
"""The one of this process, as signals are a process's own."""
