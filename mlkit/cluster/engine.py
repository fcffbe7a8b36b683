"""Run tasks on workers: processes of this machine (`--processes N`), or dask.distributed (`--cluster`).

There is one operation: run a function on a list of items and return the results in the order of the items. A task
whose worker died is run again; a task that failed ends the job with its error.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlkit.cluster.tasks import Function, Outcome, fault_of, part_done
from mlkit.errors import MlkitError, UsageError
from mlkit.progress import Progress, Report, silent
from mlkit.version import __version__

RETRIES = 2
POLL = 0.2  # seconds between two looks at the workers


@dataclass(frozen=True)
class Tasks:
    """A function, its items, and a name for each item, such as ``shard 3/8``; `stage` names them all."""

    function: Function
    items: Sequence[Any]
    names: Sequence[str]
    stage: str = "working"


class Engine(ABC):
    """Workers, and a folder that all of them see; the folder goes when the engine is closed.

    workers: how many tasks run at a time. local: whether they run on this machine, in the same folder. mapped: whether
    tasks may map files that others write to: local, and never two workers with the same task.
    """

    local = True
    mapped = False

    def __init__(self, workers: int, folder: str) -> None:
        self.workers, self.folder = workers, folder

    @abstractmethod
    def outcomes(
        self, tasks: Tasks, notes: list[str], look: Callable[[], None]
    ) -> Iterator[tuple[int, Outcome]]:
        """Yield (number, outcome) of every task as it ends, calling `look` several times a second."""

    @abstractmethod
    def close(self, *, failed: bool = False) -> None:
        """Let the workers go, at once if the job has `failed`."""

    def run(self, tasks: Tasks, progress: Progress = silent) -> list[Any]:
        """Run all tasks; return their values in the order of the items.

        Raises the first error that arrives, with the name of its task, as if it had been raised here.
        """
        notes = [self.file(f"{number}.note") for number in range(len(tasks.items))]
        values: dict[int, Any] = {}

        def look() -> None:
            running = sum(part_done(notes[number]) for number in range(len(notes)) if number not in values)
            progress(Report(tasks.stage, len(values) + running, len(notes), "tasks"))

        for number, outcome in self.outcomes(tasks, notes, look):
            if outcome.version != __version__:
                raise MlkitError(
                    f"a worker runs mlkit {outcome.version}, this is {__version__}",
                    hint="install the same version everywhere: another one may give other bytes",
                )
            if outcome.fault is not None:
                raise fault_of(outcome, tasks.names[number])
            values[number] = outcome.value
            look()
        for note in notes:
            Path(note).unlink(missing_ok=True)
        return [values[number] for number in range(len(tasks.items))]

    def file(self, name: str) -> str:
        """Return the path of a file in the workers' common folder."""
        return str(Path(self.folder) / name)


@contextmanager
def open_engine(
    *, cluster: str | None = None, processes: int | None = None, tmp_dir: str | None = None, output: str = "-"
) -> Iterator[Engine]:
    """Start workers: `processes` of this machine, or those that `cluster` names.

    cluster: ``local:N`` (Dask on this machine), ``tcp://HOST:PORT`` (a running scheduler) or ``slurm:FILE.yaml``
    (settings of dask-jobqueue's SLURMCluster, and the number of `workers`). Files that workers exchange stand in
    `tmp_dir`; workers of other machines must see it, so without it they use a folder beside `output`.

    Raises `UsageError` for a cluster that cannot be understood, `MissingExtra` without Dask.
    """
    if cluster is not None and processes is not None:
        raise UsageError("--cluster and --processes exclude each other")
    # what a killed job leaves in the kernel is not for its user to read about
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    kind = "processes" if cluster is None else cluster.partition(":")[0]
    if kind not in ("processes", "local", "tcp", "tls", "slurm"):
        raise UsageError(f"--cluster is local:N, tcp://HOST:PORT or slurm:FILE.yaml, not {cluster!r}")
    beside = Path(output).absolute().parent if output != "-" else Path.cwd()
    place = tmp_dir if tmp_dir is not None or kind in ("processes", "local") else str(beside)
    with (
        tempfile.TemporaryDirectory(prefix=".mlkit-", dir=place, ignore_cleanup_errors=True) as folder,
        _removed_after_us(folder),
    ):
        engine = _engine(kind, cluster or "", processes or 1, str(Path(folder).absolute()))
        try:
            yield engine
        except BaseException:
            engine.close(failed=True)
            raise
        engine.close()


@contextmanager
def _removed_after_us(folder: str) -> Iterator[None]:
    """See to it that `folder` goes also when this process is killed: a shell waits for that moment.

    It ends two seconds later than this process, when the workers are gone, and if the block ends, at once.
    """
    command = ["sh", "-c", 'read -r line; sleep 2; rm -rf -- "$0"', str(Path(folder).absolute())]
    try:
        watcher = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd="/", start_new_session=True,
        )  # fmt: skip
    except OSError:  # no shell: a killed job leaves its folder
        yield
        return
    try:
        yield
    finally:
        watcher.kill()
        watcher.communicate()


def _engine(kind: str, cluster: str, processes: int, folder: str) -> Engine:
    if kind == "processes":
        from mlkit.cluster.processes import ProcessEngine

        return ProcessEngine(processes, folder)
    from mlkit.cluster.dask_engine import dask_engine

    return dask_engine(kind, cluster, folder)
