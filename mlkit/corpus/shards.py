"""Counting words in shards: the seam between `mlkit vocab` and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlkit.corpus.prepare import build_vocabulary, merge_vocabularies
from mlkit.formats.streams import Errors
from mlkit.progress import Progress, silent
from mlkit.threads import thread_count


@dataclass(frozen=True)
class VocabularyShards:
    """The words of texts, counted in shards; parts are vocabulary files with all words. See `build_vocabulary`."""

    sources: tuple[str, ...]
    lower: bool = False
    errors: Errors = "strict"
    memory: int | None = None
    tmp_dir: str | None = None
    threads: int | None = None
    suffix: str = ".vocab"

    def map_shard(self, shard: tuple[int, int], part: str, progress: Progress = silent) -> None:
        """Count the words of a shard."""
        build_vocabulary(
            self.sources, min_count=1, lower=self.lower, errors=self.errors, threads=thread_count(self.threads),
            memory=self.memory, tmp_dir=self.tmp_dir, shard=shard, progress=progress,
        ).save(part)  # fmt: skip

    def merge_parts(self, parts: Sequence[str], part: str, progress: Progress = silent) -> None:
        """Add up vocabulary files."""
        merge_vocabularies(parts, memory=self.memory, tmp_dir=self.tmp_dir).save(part)
