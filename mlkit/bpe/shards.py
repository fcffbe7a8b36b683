"""Counting the words to learn from in shards: the seam between `mlkit bpe` and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlkit.bpe.jobs import count_job, merge_job
from mlkit.progress import Progress, silent


@dataclass(frozen=True)
class WordShards:
    """The words of texts, counted in shards; parts are files of word counts. See `count_job`."""

    sources: tuple[str, ...]
    kind: str
    weights: str | None = None
    errors: str = "strict"
    memory: int | None = None
    tmp_dir: str | None = None
    threads: int | None = None
    suffix: str = ".words"

    def map_shard(self, shard: tuple[int, int], part: str, progress: Progress = silent) -> None:
        """Count a shard."""
        count_job(
            self.sources, part, self.kind, weights=self.weights, shard=shard, errors=self.errors,
            memory=self.memory, tmp_dir=self.tmp_dir, threads=self.threads, progress=progress,
        )  # fmt: skip

    def merge_parts(self, parts: Sequence[str], part: str, progress: Progress = silent) -> None:
        """Add up files of word counts."""
        merge_job(parts, part)
