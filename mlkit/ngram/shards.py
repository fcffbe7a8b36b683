"""Counting n-grams in shards: the seam between `mlkit ngram` and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlkit.formats.streams import Errors
from mlkit.ngram.count_files import count_text, merge_counts
from mlkit.ngram.merge import Merge
from mlkit.ngram.train import shelves_for, threads_for
from mlkit.progress import Progress, silent
from mlkit.threads import thread_count


@dataclass(frozen=True)
class NgramShards:
    """The n-grams of texts up to `order`, counted in shards; parts are binary count files. See `count_text`."""

    sources: tuple[str, ...]
    order: int = 3
    errors: Errors = "strict"
    weighted: bool = False
    skip_symbols: bool = False
    memory: int | None = None
    tmp_dir: str | None = None
    threads: int | None = None
    suffix: str = ".counts.bin"

    def map_shard(self, shard: tuple[int, int], part: str, progress: Progress = silent) -> None:
        """Count a shard."""
        count_text(
            self.sources, part, order=self.order, binary=True, threads=self._threads(),
            shelves=shelves_for(self.memory, self.tmp_dir), errors=self.errors, shard=shard,
            weighted=self.weighted, skip_symbols=self.skip_symbols, progress=progress,
        )  # fmt: skip

    def merge_parts(self, parts: Sequence[str], part: str, progress: Progress = silent) -> None:
        """Add up count files."""
        merge_counts(
            parts, part, binary=True, threads=self._threads(), shelves=shelves_for(self.memory, self.tmp_dir),
            progress=progress,
        )  # fmt: skip

    def plan_merge(self, parts: Sequence[str], ranges: int, plan: str) -> bool:
        """Write the common vocabulary and the last words at which the ranges begin."""
        merge = Merge.of(parts, ranges)
        if merge is not None:
            merge.save(plan)
        return merge is not None

    def merge_range(self, plan: str, index: int, piece: str, progress: Progress = silent) -> None:
        """Add up what ends in the words of a range."""
        Merge.load(plan).write_range(index, piece, self._threads(), progress)

    def join_ranges(self, plan: str, pieces: Sequence[str], part: str, progress: Progress = silent) -> None:
        """Write the ranges one after another."""
        Merge.load(plan).write(part, binary=True, made=pieces, threads=self._threads(), progress=progress)

    def _threads(self) -> int:
        return threads_for(self.memory, thread_count(self.threads))
