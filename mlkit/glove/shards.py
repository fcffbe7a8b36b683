"""Counting co-occurrences in shards: the seam between `mlkit cooccur` and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlkit.formats.streams import Errors
from mlkit.formats.vocabulary import Vocabulary
from mlkit.glove.cooccur import count_cooccurrences, merge_cooccurrences
from mlkit.progress import Progress, silent
from mlkit.threads import thread_count


@dataclass(frozen=True)
class CooccurrenceShards:
    """Co-occurrences of the words of one vocabulary file, counted in shards. See `count_cooccurrences`."""

    sources: tuple[str, ...]
    vocabulary: str
    window: int = 15
    symmetric: bool = True
    distance_weighting: bool = True
    lower: bool = False
    errors: Errors = "strict"
    memory: int | None = None
    tmp_dir: str | None = None
    threads: int | None = None
    suffix: str = ".cooc"

    def map_shard(self, shard: tuple[int, int], part: str, progress: Progress = silent) -> None:
        """Count a shard."""
        count_cooccurrences(
            self.sources, part, window=self.window, symmetric=self.symmetric,
            distance_weighting=self.distance_weighting, vocabulary=Vocabulary.load(self.vocabulary),
            lower=self.lower, errors=self.errors, threads=thread_count(self.threads), memory=self.memory,
            tmp_dir=self.tmp_dir, shard=shard, progress=progress,
        )  # fmt: skip

    def merge_parts(self, parts: Sequence[str], part: str, progress: Progress = silent) -> None:
        """Add up co-occurrence files."""
        merge_cooccurrences(parts, part, memory=self.memory, tmp_dir=self.tmp_dir, progress=progress)
