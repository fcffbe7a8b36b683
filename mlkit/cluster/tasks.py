"""What runs inside a worker: one task, its progress in a small file, its fault as plain values.

A worker may die at any moment. Therefore nothing here holds a lock that another process needs: progress is two
numbers in a file of the task, results are files or small values, and a task can be run again from its start.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlkit import errors
from mlkit.errors import DataError, MlkitError, system_message
from mlkit.progress import Progress, Report
from mlkit.version import __version__

Function = Callable[[Any, Progress], Any]

_NUMBERS = struct.Struct("<dd")
_INTERVAL = 0.2  # seconds between two notes of progress


@dataclass(frozen=True)
class Outcome:
    """What became of a task: its value, or the fault that ended it; and the version of mlkit that ran it."""

    value: Any = None
    fault: dict[str, Any] | None = None
    version: str = field(default_factory=lambda: __version__)


def run_task(function: Function, item: Any, note: str) -> Outcome:
    """Run `function(item, progress)` and note its progress in the file `note`; a fault comes back as plain values."""
    from mlkit import jit

    jit.use_command_cache()
    try:
        return Outcome(function(item, _Note(note)))
    except MlkitError as error:
        fault: dict[str, Any] = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        if isinstance(error, DataError):
            fault |= {"path": error.path, "line": error.line}
        return Outcome(fault=fault)
    except OSError as error:
        return Outcome(fault={"kind": "MlkitError", "message": system_message(error)})
    except MemoryError:
        return Outcome(fault={"kind": "MlkitError", "message": "out of memory", "hint": "use --memory"})
    except Exception as error:  # a fault of mlkit itself
        message = f"internal error: {type(error).__name__}: {error}"
        return Outcome(fault={"kind": "MlkitError", "message": message, "hint": "this is a bug in mlkit"})


def fault_of(outcome: Outcome, name: str) -> MlkitError:
    """Return the error of a task as if it had been raised here, with the name of the task."""
    assert outcome.fault is not None
    fault = dict(outcome.fault)
    kind: type[MlkitError] = getattr(errors, fault.pop("kind"))
    message = f"{fault.pop('message')} ({name})"
    made: Any = kind if kind is not errors.MissingExtra else MlkitError
    error: MlkitError = made(message, **fault)
    return error


class _Note:
    """A progress callback that keeps the last numbers in a file."""

    def __init__(self, path: str) -> None:
        self._path, self._last = path, 0.0

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if now - self._last < _INTERVAL or not report.total:
            return
        self._last = now
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(descriptor, _NUMBERS.pack(report.done, report.total), 0)
            finally:
                os.close(descriptor)
        except OSError:
            pass  # progress is not worth a failure


def part_done(note: str) -> float:
    """Return the part of a task that its note says is done, 0 if there is no note."""
    try:
        data = Path(note).read_bytes()
    except OSError:
        return 0.0
    if len(data) != _NUMBERS.size:
        return 0.0
    done, total = _NUMBERS.unpack(data)
    return min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
