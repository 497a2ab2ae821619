"""Ctrl-C and SIGTERM: a message and the right exit code, wherever the program is.

Python hands a signal to the main thread only between two of its own instructions: a compilation in C++ can keep it waiting for
minutes, a library that calls back into Python can lose the exception, and in the middle of an import it can crash the process.
So a separate thread reads the signal and ends the program at once. Nothing is lost, as files are written completely or not at
all and locks end with their process. Code that has something to finish first says so by `catching`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from typing import Any

PATIENCE = 120.0
"""Seconds within which code that catches an interruption has to say that it is finishing: a compilation may delay it."""
NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
SHOW_CURSOR = "\x1b[?25h"


class Interruption:
    """Whether the user asked this program to stop, and what to say then.

    Attributes:
        catching: the first signal raises KeyboardInterrupt in the main thread instead of ending the program.
        outcome: the half sentence that says what is kept.
    """

    def __init__(self) -> None:
        self.catching = False
        self.outcome = "nothing was written"
        self._number: int | None = None
        self._finishing = False
        self._listening = False

    def finishing(self) -> None:
        """Says that what is finished is now being written, however long it takes; a second signal ends the program."""
        self._finishing = True

    @property
    def received(self) -> bool:
        """Whether the user asked to stop."""
        return self._number is not None

    @property
    def code(self) -> int:
        """Exit code: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + (self._number or signal.SIGINT)

    @property
    def sentence(self) -> str:
        return f"{NAMES[signal.Signals(self._number or signal.SIGINT)]}; {self.outcome}"

    def listen(self) -> None:
        """Takes over SIGINT and SIGTERM of this process; to be called from its main thread."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        for number in NAMES:
            signal.signal(number, self._receive)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), daemon=True, name="signals").start()
        self._listening = True

    def over(self) -> None:
        """Says that everything is done and reported: while Python exits, signals are ignored."""
        if self._listening:
            for number in NAMES:
                signal.signal(number, signal.SIG_IGN)

    def _receive(self, number: int, frame: Any) -> None:
        if self.catching:
            self._number = number
            raise KeyboardInterrupt

    def _watch(self, reader: int) -> None:
        self._number = _next_signal(reader)
        if self.catching:
            _write("xbar: stopping as soon as what is finished is written; press Ctrl-C again to leave at once")
            threading.Thread(target=self._second, args=(reader,), daemon=True).start()
            time.sleep(PATIENCE)
            if self._finishing:
                return
        self._leave()

    def _second(self, reader: int) -> None:
        _next_signal(reader)
        self._leave()

    def _leave(self) -> None:
        shown = SHOW_CURSOR if sys.stderr.isatty() else ""
        _write(shown + self.sentence)
        os._exit(self.code)


def _write(sentence: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{sentence}\n".encode())


def _next_signal(reader: int) -> int:
    while True:
        for number in os.read(reader, 1):
            if number in NAMES:
                return number


INTERRUPTION = Interruption()
"""The one of this process, as signals are a process's own."""
