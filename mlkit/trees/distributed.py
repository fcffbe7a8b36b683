"""Forests and cross-validation on workers: a range of trees, or a fold, is a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlkit.cluster import Engine, Tasks
from mlkit.formats.model_file import load_model, save_model
from mlkit.formats.table_files import Table
from mlkit.progress import Progress, Report, silent
from mlkit.tables.predictor import Predictor
from mlkit.tables.validation import Folds, fold_result
from mlkit.threads import map_chunks, thread_count
from mlkit.trees.ensemble import Tree
from mlkit.trees.forest import ForestJob, ForestSettings, Grower, Grown

JOB, PART = "forest job", "forest part"
TASKS = 4  # ranges of trees for each worker: what is lost with a worker is a small part
_ARRAYS = ("left", "feature", "threshold", "missing", "set_of", "sets", "value", "gain", "count")


def grow_on(
    engine: Engine, threads: int | None = None, progress: Progress = silent
) -> Callable[[ForestJob], Iterator[Grown]]:
    """Return what grows the trees of a forest on workers and gives them in their order, for `fit_forest`.

    The binned rows go to the workers as one file, trees come back as one file for each range.
    """

    def grow(job: ForestJob) -> Iterator[Grown]:
        path = engine.file("forest.job")
        tensors: dict[str, NDArray[Any]] = {"bins": job.bins, "target": job.target}
        if job.weights is not None:
            tensors["weights"] = job.weights
        save_model(path, JOB, {"classes": job.classes, "settings": asdict(job.settings)}, tensors)
        rounds = job.settings.rounds
        count = min(rounds, TASKS * engine.workers)
        ranges = [(rounds * k // count, rounds * (k + 1) // count) for k in range(count)]
        parts = [engine.file(f"trees-{first}.part") for first, _ in ranges]
        items = [
            (path, first, last, part, threads) for (first, last), part in zip(ranges, parts, strict=True)
        ]
        names = [f"trees {first + 1} to {last}" for first, last in ranges]
        engine.run(Tasks(grow_range, items, names, "growing"), progress)
        for (first, last), part in zip(ranges, parts, strict=True):
            yield from _read_part(part, last - first)
            Path(part).unlink()

    return grow


def grow_range(item: tuple[str, int, int, str, int | None], progress: Progress = silent) -> None:
    """Grow trees first .. last - 1 of the job in a file, into a part file."""
    path, first, last, part, threads = item
    header, tensors = load_model(path, (JOB,))
    job = ForestJob(
        tensors["bins"], tensors["target"], header["classes"], tensors.get("weights"),
        ForestSettings(**header["settings"]),
    )  # fmt: skip
    found: dict[str, NDArray[Any]] = {}
    grower = Grower(job)
    for number, grown in enumerate(map_chunks(grower.grow, range(first, last), thread_count(threads))):
        found |= {f"{number}.{name}": getattr(grown.tree, name) for name in _ARRAYS}
        if grown.votes is not None:
            found[f"{number}.votes0"], found[f"{number}.votes1"], found[f"{number}.votes2"] = grown.votes
        if grown.unseen is not None:
            found[f"{number}.unseen0"], found[f"{number}.unseen1"] = grown.unseen
        progress(Report("growing", number + 1, last - first, "trees"))
    save_model(part, PART, {}, found)


def _read_part(path: str, trees: int) -> Iterator[Grown]:
    _, found = load_model(path, (PART,))
    for number in range(trees):
        tree = Tree(*(found[f"{number}.{name}"] for name in _ARRAYS))
        votes = tuple(found[f"{number}.votes{k}"] for k in range(3)) if f"{number}.votes0" in found else None
        unseen = (
            tuple(found[f"{number}.unseen{k}"] for k in range(2)) if f"{number}.unseen0" in found else None
        )
        yield Grown(tree, votes, unseen)  # type: ignore[arg-type]


@dataclass(frozen=True)
class FoldJob:
    """A cross-validation: workers read the table themselves and deal out its rows alike."""

    read: Callable[[], Table]
    fit: Callable[[Table], Predictor]
    folds: Folds
    threads: int | None = None


def folds_on(engine: Engine, job: FoldJob, progress: Progress = silent) -> list[dict[str, Any]]:
    """Return the metrics of every fold, a fold for a task. The job's functions must be importable, or partials."""
    numbers = range(job.folds.number)
    names = [f"fold {number + 1}/{len(numbers)}" for number in numbers]
    return engine.run(Tasks(_fold, [(job, number) for number in numbers], names, "folds"), progress)


def _fold(item: tuple[FoldJob, int], progress: Progress = silent) -> dict[str, Any]:
    job, number = item
    table = job.read()
    places, weights = job.folds.plan(table)
    return fold_result(table, job.fit, places, number, weights=weights, threads=thread_count(job.threads))
