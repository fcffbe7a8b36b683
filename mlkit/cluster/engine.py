"""Run tasks on workers: processes of this machine (`--processes N`), or dask.distributed (`--cluster`).

There is one operation: run a function on a list of items and return the results in the order of the items. A task
whose worker died is run again; a task that failed ends the job with its error.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlkit.cluster.tasks import Function, Outcome, fault_of, part_done
from mlkit.errors import MlkitError
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
