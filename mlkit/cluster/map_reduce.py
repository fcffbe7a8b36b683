"""Counting on workers: the input in shards, a part file for each, and a tree of merges.

The seam is plain files. What a room can count in shards it describes by a small, immutable object with two methods,
both pure: the same shard always gives the same part, and merging is associative, in the order of the shards. So the
result does not depend on the number of workers, on who finishes first, or on what had to be run twice.

Where there are fewer merges than workers, a job whose parts are sorted can have each of them cut into ranges of keys,
made by as many workers and written one after another (`Divisible`).
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from mlkit.cluster.engine import Engine, Tasks
from mlkit.formats.input_shards import file_sizes
from mlkit.formats.streams import PathLike, expand_sources
from mlkit.progress import Progress, silent

FAN_IN = 8
LARGEST = 256 << 20  # bytes of input that one shard may have


class Shardable(Protocol):
    """A counting job that works on shards of its input."""

    @property
    def suffix(self) -> str:
        """Return the end of the names of part files."""

    def map_shard(self, shard: tuple[int, int], part: str, progress: Progress) -> None:
        """Count shard (index, number of shards) of the input into the file `part`."""

    def merge_parts(self, parts: Sequence[str], part: str, progress: Progress) -> None:
        """Add up part files, in their order, into the file `part`."""


@runtime_checkable
class Divisible(Shardable, Protocol):
    """A counting job whose merges can be cut into ranges of keys."""

    def plan_merge(self, parts: Sequence[str], ranges: int, plan: str) -> bool:
        """Write what the makers of the ranges must know into the file `plan`; False if these parts cannot be cut."""

    def merge_range(self, plan: str, index: int, piece: str, progress: Progress) -> None:
        """Add up one range of the parts into the file `piece`."""

    def join_ranges(self, plan: str, pieces: Sequence[str], part: str, progress: Progress) -> None:
        """Write the pieces, in their order, into the file `part`."""


@dataclass(frozen=True)
class Ranges:
    """A merge that was made in pieces; without a `plan` it is still to be made, from the parts."""

    parts: list[str]
    plan: str | None
    pieces: list[str]


def shard_count(sources: Sequence[PathLike], workers: int) -> int:
    """Return into how many shards to cut: two for each worker, more where they would be larger than 256 MB.

    Raises `UsageError` for pipes, which cannot be cut.
    """
    total = sum(file_sizes(expand_sources(sources), "workers need"))
    return max(2 * workers, -(-total // LARGEST))


@contextmanager
def counted_parts(
    engine: Engine, job: Shardable, sources: Sequence[PathLike], progress: Progress = silent
) -> Iterator[list[str]]:
    """Count all shards on the workers; give at most eight part files, in the order of the input.

    The files go when the block ends. The last merge is the caller's: it writes the target.
    """
    count = shard_count(sources, engine.workers)
    parts = [engine.file(f"part-0-{index}{job.suffix}") for index in range(count)]
    shards = [(job, (index, count), part) for index, part in enumerate(parts)]
    names = [f"shard {index + 1}/{count}" for index in range(count)]
    engine.run(Tasks(_map, shards, names, "counting shards"), progress)
    level = 1
    while len(parts) > FAN_IN:
        groups = [parts[first : first + FAN_IN] for first in range(0, len(parts), FAN_IN)]
        parts = _merged(engine, job, groups, level, progress)
        for path in itertools.chain.from_iterable(groups):
            Path(path).unlink(missing_ok=True)
        level += 1
    try:
        yield parts
    finally:
        _remove(parts)


@contextmanager
def merged_ranges(
    engine: Engine, job: Divisible, parts: list[str], progress: Progress = silent
) -> Iterator[Ranges]:
    """Have the workers make the last merge in pieces, twice as many as there are workers.

    The files go when the block ends. Writing the target is the caller's.
    """
    (made,) = _ranges(engine, job, [parts], 2 * engine.workers, "last", progress)
    try:
        yield made
    finally:
        _remove([*made.pieces, *([made.plan] if made.plan else [])])


def _merged(
    engine: Engine, job: Shardable, groups: list[list[str]], level: int, progress: Progress
) -> list[str]:
    """Merge groups of parts; return the new parts."""
    parts = [engine.file(f"part-{level}-{index}{job.suffix}") for index in range(len(groups))]
    names = [f"merge {index + 1}/{len(groups)} of level {level}" for index in range(len(groups))]
    if not isinstance(job, Divisible) or len(groups) >= engine.workers:
        merges = [(job, group, part) for group, part in zip(groups, parts, strict=True)]
        engine.run(Tasks(_merge, merges, names, "merging parts"), progress)
        return parts
    made = _ranges(engine, job, groups, -(-2 * engine.workers // len(groups)), str(level), progress)
    joins = [(job, ranges, part) for ranges, part in zip(made, parts, strict=True)]
    engine.run(Tasks(_join, joins, names, "joining ranges"), progress)
    _remove([path for ranges in made for path in (*ranges.pieces, *([ranges.plan] if ranges.plan else []))])
    return parts


def _ranges(
    engine: Engine, job: Divisible, groups: list[list[str]], ranges: int, level: str, progress: Progress
) -> list[Ranges]:
    """Merge every group in that many ranges."""
    plans = [engine.file(f"plan-{level}-{index}") for index in range(len(groups))]
    items = [(job, group, ranges, plan) for group, plan in zip(groups, plans, strict=True)]
    names = [f"plan {index + 1}/{len(groups)} of merges" for index in range(len(groups))]
    planned = engine.run(Tasks(_plan, items, names, "planning merges"), progress)
    made, pieces, names = [], [], []
    for number, (group, plan, good) in enumerate(zip(groups, plans, planned, strict=True)):
        count = ranges if good else 0
        files = [engine.file(f"piece-{level}-{number}-{index}{job.suffix}") for index in range(count)]
        made.append(Ranges(group, plan if good else None, files))
        pieces += [(job, plan, index, file) for index, file in enumerate(files)]
        names += [f"range {index + 1}/{count} of merge {number + 1}" for index in range(count)]
    engine.run(Tasks(_range, pieces, names, "merging ranges"), progress)
    return made


def _remove(paths: Sequence[str]) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)


def _plan(item: tuple[Divisible, list[str], int, str], progress: Progress) -> bool:
    job, parts, ranges, plan = item
    return job.plan_merge(parts, ranges, plan)


def _range(item: tuple[Divisible, str, int, str], progress: Progress) -> None:
    job, plan, index, piece = item
    job.merge_range(plan, index, piece, progress)


def _join(item: tuple[Divisible, Ranges, str], progress: Progress) -> None:
    job, ranges, part = item
    if ranges.plan is None:
        _merge((job, ranges.parts, part), progress)
    else:
        job.join_ranges(ranges.plan, ranges.pieces, part, progress)


def _map(item: tuple[Shardable, tuple[int, int], str], progress: Progress) -> None:
    job, shard, part = item
    job.map_shard(shard, part, progress)


def _merge(item: tuple[Shardable, list[str], str], progress: Progress) -> None:
    job, parts, part = item
    if len(parts) == 1:
        shutil.copyfile(parts[0], part)
    else:
        job.merge_parts(parts, part, progress)
