"""Synchronous data-parallel training: workers train from common weights, their changes are put together, and so on.

An epoch has `sync` rounds. In a round every worker trains its next part of its shard, from the weights that all have
in common, and writes the rows that changed. With t workers that changed a row, the sum of their changes is what one
machine would do as long as the row moves little; where a row is trained to its optimum in a round, every worker went
the whole way and their mean is right. Between the two lies a row whose distance from its optimum shrinks by exp(-q) in
a round of one worker, and by exp(-tq) in t such rounds one after the other: so the sum of the changes is shortened to

    s = (1 - exp(-tq)) / (t (1 - exp(-q))),   q = learning rate * updates of the row * CURVATURE.

What is held back comes by momentum: 1 - s of the last round's move is added, so that a row that keeps its direction
moves as fast as the sum (with s = 1/t this is the block momentum of Chen and Huo 2016, "Scalable training of deep
learning machines by incremental block training"), and one that swings does not. Plain means lose most of the quality.
Rows also move together, which the rule does not know: when a round's loss is a fifth above the least so far,
`CURVATURE` counts `STRICTER` times as much from then on.

Tasks are pure functions of files and small values. With one thread a worker a round that is run twice writes the same
bytes, and changes are added in the order of the shards: the result depends on the number of workers only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlkit.checkpoint import Checkpoints, load_checkpoint
from mlkit.cluster import Engine, Tasks
from mlkit.errors import MlkitError
from mlkit.progress import Progress, Report, silent
from mlkit.threads import available_cores, map_chunks

Matrix = NDArray[np.float32]
Weights = dict[str, Matrix]
Floats = NDArray[np.float64]

CURVATURE = 0.3  # measured: `python -m tests.benchmarks cluster_training`
ALARM, STRICTER, STRICTEST = 1.2, 4.0, 256.0
SYNC = 30  # rounds of an epoch, measured likewise
BLOCK = 1 << 10  # rows at a time: what fits in the cache


@dataclass(frozen=True)
class Crew:
    """Who trains: an engine, the rounds of an epoch, the threads of a worker, and its folder for temporary files."""

    engine: Engine
    sync: int = SYNC
    threads: int | None = 1
    tmp_dir: str | None = None


@dataclass(frozen=True)
class Figures:
    """How a round of a worker, or an epoch of all, went: sums."""

    loss: float = 0.0
    predictions: float = 0.0
    words: int = 0
    cpu_seconds: float = 0.0

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.loss + other.loss, self.predictions + other.predictions, self.words + other.words,
            self.cpu_seconds + other.cpu_seconds,
        )  # fmt: skip

    @property
    def mean(self) -> float:
        """Loss per prediction."""
        return self.loss / self.predictions if self.predictions else 0.0


class Trainer(Protocol):
    """What a worker does: small, immutable, and pure but for the weights that it changes in place."""

    def train(self, shard: int, number: int, weights: Weights, progress: Progress) -> Figures:
        """Train round `number` of a shard."""
        ...


@dataclass
class Rounds:
    """All rounds of a training.

    weights: float32 [rows, padded dim] by name, changed in place. updates: for every matrix, how often one worker is
    expected to update each row in an epoch. rate: the learning rate of a part of the training (0 to 1). after: called
    with the number of rounds done; says whether to go on. state, kept: what `after` keeps, saved with checkpoints.
    """

    engine: Engine
    trainer: Trainer
    shards: Sequence[int]  # those that hold something
    of: int
    epochs: int
    sync: int
    weights: Weights
    updates: Mapping[str, Floats]
    rate: Callable[[float], float]
    checkpoints: Checkpoints
    command: str
    identity: dict[str, Any]
    words: float  # in all epochs
    progress: Progress = silent
    after: Callable[[int], bool] = lambda done: True
    state: dict[str, Any] = field(default_factory=dict)
    kept: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    done: int = 0
    moves: Weights = field(default_factory=dict)  # of the last round
    caution: float = 1.0
    least: float = np.inf  # loss of a round
    epoch_figures: list[Figures] = field(default_factory=list)

    def run(self) -> list[Figures]:
        """Train; return the figures of every epoch that was begun."""
        if not self.moves:
            self.moves = {name: np.zeros_like(matrix) for name, matrix in self.weights.items()}
        total, going = self.epochs * self.sync, True
        while self.done < total and going:
            figures = self._round()
            if self.done % self.sync == 0:
                self.epoch_figures.append(Figures())
            self.epoch_figures[-1] += figures
            self.done += 1
            going = self.after(self.done)
            if self.checkpoints.due() and self.done < total and going:
                self._save()
        return self.epoch_figures

    def resume(self) -> None:
        """Continue where a checkpoint stands."""
        assert self.checkpoints.path is not None
        saved, arrays = load_checkpoint(self.checkpoints.path, self.command, self._identity())
        for name, matrix in self.weights.items():
            matrix[:] = arrays[name]
            self.moves[name] = arrays[f"moves of {name}"].copy()
        for name, array in self.kept.items():
            array[...] = arrays[name]
        self.done = saved["round"]
        self.epoch_figures = [Figures(*values) for values in saved["figures"]]
        self.state.update(saved["more"])
        self.caution = saved["caution"]
        self.least = np.inf if saved["least"] is None else saved["least"]

    def _identity(self) -> dict[str, Any]:
        return {**self.identity, "workers": self.of, "sync": self.sync}

    def _save(self) -> None:
        figures = [[each.loss, each.predictions, each.words, each.cpu_seconds] for each in self.epoch_figures]
        state = {
            "round": self.done, "figures": figures, "more": self.state, "caution": self.caution,
            "least": None if np.isinf(self.least) else self.least,
        }  # fmt: skip
        moves = {f"moves of {name}": matrix for name, matrix in self.moves.items()}
        self.checkpoints.save(self.command, self._identity(), state, {**self.weights, **moves, **self.kept})

    def _round(self) -> Figures:
        base = {name: self.engine.file(f"round-{self.done}-{name}.npy") for name in self.weights}
        for name, path in base.items():
            put(path, self.weights[name])
        steps = [
            (self.trainer, shard, self.done, base, self.engine.file(f"round-{self.done}-{shard}"))
            for shard in self.shards
        ]
        names = [f"shard {shard + 1}/{self.of}" for shard in self.shards]
        found: list[Figures] = self.engine.run(Tasks(_step, steps, names, "training"), self._report)
        figures = sum(found, Figures())
        self._watch(figures)
        rate = self.rate((self.done + 0.5) / (self.epochs * self.sync))
        for name, matrix in self.weights.items():
            changes = [changed_rows(prefix, name) for *_, prefix in steps]
            strength = self.caution * CURVATURE * rate / self.sync * self.updates[name]
            put_together(matrix, self.moves[name], changes, strength)
            for *_, prefix in steps:
                for path in _paths(prefix, name):
                    Path(path).unlink(missing_ok=True)
            Path(base[name]).unlink(missing_ok=True)
        return figures

    def _watch(self, figures: Figures) -> None:
        """Become more careful when the loss rises: the changes overshoot."""
        if figures.predictions:
            if figures.mean > ALARM * self.least and self.caution < STRICTEST:
                self.caution *= STRICTER
                for moves in self.moves.values():
                    moves[:] = 0
            self.least = min(self.least, figures.mean)

    def _report(self, report: Report) -> None:
        """Turn the progress of a round into that of the training; a stop signal ends it between two rounds."""
        if self.checkpoints.stop.requested:
            self._save()
        part = (self.done + report.done / (report.total or 1)) / (self.epochs * self.sync)
        recent = self.epoch_figures[-1] if self.epoch_figures else Figures()
        self.progress(
            Report(
                "training", part * self.words, self.words, "words", recent.mean if recent.predictions else None,
                self.rate(part),
            )
        )  # fmt: skip


def put_together(
    weights: Matrix, moves: Matrix, changes: Sequence[tuple[NDArray[np.int64], Matrix]], strength: Floats
) -> None:
    """Move `weights` [rows, dim] by what workers made of them, and note how they moved, both in place.

    changes: for every worker its changed rows (ascending) and what they became; strength: q of every row, see above.
    """

    def work(first: int) -> None:
        block, move = weights[first : first + BLOCK], moves[first : first + BLOCK]
        total = np.zeros(block.shape)
        alone = block.copy()  # where one worker changed a row, its row is the result, bit by bit
        touched = np.zeros(len(block), np.int64)
        for rows, values in changes:
            low, high = np.searchsorted(rows, (first, first + len(block)))
            local = rows[low:high] - first
            alone[local] = values[low:high]
            total[local] += values[low:high].astype(np.float64) - block[local]
            touched[local] += 1
        several = np.flatnonzero(touched > 1)
        share = shortened(touched[several], strength[first : first + BLOCK][several]).reshape(-1, 1)
        total[several] = share * total[several] + (1 - share) * move[several]
        alone[several] = block[several] + total[several]
        move[:] = total
        block[:] = alone

    for _ in map_chunks(work, range(0, len(weights), BLOCK), available_cores()):
        pass


def shortened(workers: NDArray[np.int64], strength: Floats) -> Floats:
    """Return by what to multiply the sum of the changes of so many workers: from 1 down to 1 / workers."""
    q = np.maximum(strength, 1e-9)
    part: Floats = np.expm1(-workers * q) / (workers * np.expm1(-q))
    return part


def put(path: str, array: NDArray[Any]) -> None:
    """Write an array to a file that others map; it is whole as soon as it is there."""
    temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}"
    with open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=False)
    Path(temporary).replace(path)


def changed_rows(prefix: str, name: str) -> tuple[NDArray[np.int64], Matrix]:
    """Map what a worker changed."""
    rows, values = (np.load(path, mmap_mode="r") for path in _paths(prefix, name))
    return np.asarray(rows), np.asarray(values)


def _paths(prefix: str, name: str) -> tuple[str, str]:
    return f"{prefix}-{name}-rows.npy", f"{prefix}-{name}-values.npy"


def _step(item: tuple[Trainer, int, int, dict[str, str], str], progress: Progress) -> Figures:
    """Train one round of one shard: pages of the common weights are copied when they are written to."""
    trainer, shard, number, base, prefix = item
    weights = {name: np.asarray(np.load(path, mmap_mode="c")) for name, path in base.items()}
    figures = trainer.train(shard, number, weights, progress)
    if not np.isfinite(figures.loss):
        raise MlkitError("the training diverged: the loss is not finite", hint="lower --lr, or raise --sync")
    for name, path in base.items():
        old, new = np.load(path, mmap_mode="r"), weights[name]
        found = [
            first + np.flatnonzero((new[first : first + BLOCK] != old[first : first + BLOCK]).any(axis=1))
            for first in range(0, len(new), BLOCK)
        ]
        rows = np.concatenate([np.zeros(0, np.int64), *found])
        for target, array in zip(_paths(prefix, name), (rows, new[rows]), strict=True):
            put(target, array)
    return figures
