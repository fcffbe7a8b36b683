"""`--cluster` and `--processes`: a command's job on several workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlkit.cluster import Divisible, Engine, Ranges, Shardable
    from mlkit.cluster.data_parallel import WorkerGroup
    from mlkit.progress import Progress


@dataclass(frozen=True)
class Workers:
    """What the options of a command say about workers."""

    cluster: str | None
    processes: int | None
    output: str
    tmp_dir: str | None = None
    threads: int | None = None
    shard: str | None = None

    def __bool__(self) -> bool:
        """Say whether workers are asked for."""
        return self.cluster is not None or self.processes is not None

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Start the workers, and let them go in the end."""
        from mlkit.cluster import open_engine
        from mlkit.errors import UsageError

        if self.shard is not None:
            raise UsageError("--shard is for one part of a job; --cluster and --processes do all of it")
        with open_engine(
            cluster=self.cluster, processes=self.processes, tmp_dir=self.tmp_dir, output=self.output
        ) as engine:
            yield engine

    def threads_each(self, engine: Engine) -> int | None:
        """Return the threads of a worker: --threads, or this machine's share; None lets a remote one choose."""
        from mlkit.threads import thread_count

        if self.threads is not None:
            return self.threads
        return max(1, thread_count() // engine.workers) if engine.local else None

    def crew(self, engine: Engine, sync: int | None) -> WorkerGroup:
        """Return who trains, and how often they put their weights together."""
        from mlkit.cluster.data_parallel import SYNC, WorkerGroup

        return WorkerGroup(engine, sync or SYNC, self.threads_each(engine), self.scratch(engine))

    def scratch(self, engine: Engine) -> str | None:
        """Return where a worker keeps temporary files: --tmp-dir here, its own machine's folder elsewhere."""
        return self.tmp_dir if engine.local else None

    @contextmanager
    def parts(
        self,
        engine: Engine,
        sources: Sequence[str],
        job: Callable[[tuple[str, ...], int | None, str | None], Shardable],
        progress: Progress,
    ) -> Iterator[list[str]]:
        """Count the shards of `sources` on the workers; give the part files.

        `job` makes the job from the sources as workers see them, the threads and the scratch folder of a worker.
        """
        from mlkit.cluster import counted_parts

        made = job(paths(engine, sources), self.threads_each(engine), self.scratch(engine))
        with counted_parts(engine, made, sources, progress) as found:
            yield found

    @contextmanager
    def ranges(
        self,
        engine: Engine,
        sources: Sequence[str],
        job: Callable[[tuple[str, ...], int | None, str | None], Divisible],
        progress: Progress,
    ) -> Iterator[Ranges]:
        """Count the shards of `sources` and merge them by ranges, on the workers; give the pieces. See `parts`."""
        from mlkit.cluster import counted_parts, merged_ranges

        made = job(paths(engine, sources), self.threads_each(engine), self.scratch(engine))
        with (
            counted_parts(engine, made, sources, progress) as parts,
            merged_ranges(engine, made, parts, progress) as found,
        ):
            yield found


def paths(engine: Engine, sources: Sequence[str]) -> tuple[str, ...]:
    """Return the names by which workers find files: absolute ones where they work in another folder."""
    from pathlib import Path

    return tuple(sources) if engine.local else tuple(str(Path(path).absolute()) for path in sources)
