"""The signals that ask a long job to save and end."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from mlkit.errors import Stopped

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopSignals:
    """Note SIGTERM and SIGUSR1 inside a with block instead of dying, so that the job can save first.

    >>> with StopSignals() as stop:
    ...     stop.requested
    False

    With `keyboard`, ^C is noted, too (a job with a checkpoint saves it); a second ^C ends the job at once.
    Outside the main thread (a library user's pool) it does nothing.
    """

    def __init__(self, *, keyboard: bool = False) -> None:
        self._signals = (*STOP_SIGNALS, signal.SIGINT) if keyboard else STOP_SIGNALS
        self.number: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Say whether a stop signal has arrived."""
        return self.number is not None

    def raise_stopped(self, message: str) -> None:
        """Leave the job with the exit code of the signal that arrived."""
        raise Stopped(self.number or signal.SIGTERM, message)

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.number == number:
            raise KeyboardInterrupt
        self.number = number

    def __str__(self) -> str:
        """Return what arrived, for a message: ``^C`` or ``signal 15``."""
        return "^C" if self.number == signal.SIGINT else f"signal {self.number}"
