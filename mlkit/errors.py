"""Every error that mlkit raises on purpose: one class per exit code and kind of fault.

Rooms and formats raise them; ``mlkit.cli.main`` turns them into one line on stderr, in one place.
"""

from __future__ import annotations

import os
from collections.abc import Iterable


class MlkitError(Exception):
    """Tell the user what is wrong in one line, with an optional hint of what to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(MlkitError):
    """The call itself is wrong: options that contradict each other, a value out of range (exit code 2)."""

    exit_code = 2


class DataError(MlkitError):
    """The content of an input is wrong; `path` and `line` (from 1) say where."""

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str] | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = None if path is None else os.fspath(path)
        self.line = line

    def __str__(self) -> str:
        where = [self.path] if self.path is not None else []
        if self.line is not None:
            where.append(str(self.line) if self.path is not None else f"line {self.line}")
        return ":".join(where) + ": " + self.message if where else self.message


class ModelError(DataError):
    """A model file is truncated, of another kind, or of a newer format."""


class CheckpointError(DataError):
    """A checkpoint does not belong to this job: other settings, other input, another command."""


def system_message(error: OSError) -> str:
    """Return a fault of the system in words: the file, where there is one, and the reason."""
    reason = error.strerror or str(error) or type(error).__name__
    reason = reason[:1].lower() + reason[1:]
    return f"{error.filename}: {reason}" if error.filename is not None else reason


class MissingExtra(MlkitError):
    """A library of an optional extra is not installed."""

    def __init__(self, what: str, library: str, *packages: str) -> None:
        """Say what needs which library, and what to type: pip's names of `packages`, else the library's."""
        # never the name of our own distribution: on PyPI `mlkit` is another project
        names = " ".join(f"'{name}'" if "[" in name else name for name in packages or (library,))
        super().__init__(f"{what} needs {library}, which is not installed", hint=f"pip install {names}")


class Stopped(BaseException):
    """A stop signal arrived (and, where there is a checkpoint, it has been saved): exit 128 + signal.

    Not an `Exception`, so that no handler for ordinary faults swallows it.
    """

    def __init__(self, signal_number: int, message: str | None = None) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.message = message


def unknown(message: str, name: str, choices: Iterable[str]) -> UsageError:
    """Return the error for a name that is none of `choices`: with the nearest one, or all of them, as the hint."""
    import difflib

    names = list(choices)
    close = difflib.get_close_matches(name, names, n=1)
    return UsageError(
        message, hint=f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
    )
