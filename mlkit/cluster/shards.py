"""Counting on workers: the input in shards, a part file for each, and a tree of merges.

The seam is plain files. What a room can count in shards it describes by a small, immutable object with two methods,
both pure: the same shard always gives the same part, and merging is associative, in the order of the shards. So the
result does not depend on the number of workers, on who finishes first, or on what had to be run twice.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from mlkit.cluster.engine import Engine, Tasks
from mlkit.formats.streams import PathLike, expand_sources
from mlkit.formats.text_parts import file_sizes
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
        parts = [engine.file(f"part-{level}-{index}{job.suffix}") for index in range(len(groups))]
        merges = [(job, group, part) for group, part in zip(groups, parts, strict=True)]
        names = [f"merge {index + 1}/{len(groups)} of level {level}" for index in range(len(groups))]
        engine.run(Tasks(_merge, merges, names, "merging parts"), progress)
        for path in itertools.chain.from_iterable(groups):
            Path(path).unlink(missing_ok=True)
        level += 1
    try:
        yield parts
    finally:
        for path in parts:
            Path(path).unlink(missing_ok=True)


def _map(item: tuple[Shardable, tuple[int, int], str], progress: Progress) -> None:
    job, shard, part = item
    job.map_shard(shard, part, progress)


def _merge(item: tuple[Shardable, list[str], str], progress: Progress) -> None:
    job, parts, part = item
    if len(parts) == 1:
        shutil.copyfile(parts[0], part)
    else:
        job.merge_parts(parts, part, progress)
