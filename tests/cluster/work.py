"""Tasks for the tests of the engines: workers import them."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlkit.errors import DataError, UsageError
from mlkit.progress import Progress, Report


def square(item: int, progress: Progress) -> int:
    progress(Report("squaring", 1, 1))
    return item * item


def fail(item: int, progress: Progress) -> int:
    if item == 1:
        raise DataError("is odd", path="numbers.txt", line=7, hint="take an even one")
    return item


def use(item: str, progress: Progress) -> None:
    if item == "usage":
        raise UsageError("--weights 1,2: three files")
    if item == "bug":
        raise ZeroDivisionError("division by zero")
    open(item).close()


def die_once(item: tuple[int, str], progress: Progress) -> int:
    """Kill this worker, unless the file says that it was done before."""
    number, flag = item
    if number == 1 and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(item: int, progress: Progress) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


@dataclass(frozen=True)
class Letters:
    """A job whose parts tell the shards and merges they came from."""

    suffix: str = ".letters"

    def map_shard(self, shard: tuple[int, int], part: str, progress: Progress) -> None:
        Path(part).write_text(f"{shard[0]}/{shard[1]} ")

    def merge_parts(self, parts: Sequence[str], part: str, progress: Progress) -> None:
        Path(part).write_text("".join(Path(path).read_text() for path in parts))


@dataclass(frozen=True)
class Words(Letters):
    """Letters whose merges are cut: a range is a slice of the shards' names. `whole` parts cannot be cut."""

    whole: bool = False

    def plan_merge(self, parts: Sequence[str], ranges: int, plan: str) -> bool:
        names = "".join(Path(path).read_text() for path in parts).split()
        if not self.whole:
            Path(plan).write_text(f"{ranges} {' '.join(names)}")
        return not self.whole

    def merge_range(self, plan: str, index: int, piece: str, progress: Progress) -> None:
        ranges, *names = Path(plan).read_text().split()
        first, last = (len(names) * place // int(ranges) for place in (index, index + 1))
        Path(piece).write_text("".join(f"{name} " for name in names[first:last]))

    def join_ranges(self, plan: str, pieces: Sequence[str], part: str, progress: Progress) -> None:
        self.merge_parts(pieces, part, progress)
