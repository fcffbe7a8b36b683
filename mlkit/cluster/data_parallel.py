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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlkit.arrays import aligned_zeros
from mlkit.checkpoint import Checkpoints, load_checkpoint
from mlkit.cluster import Engine, Tasks
from mlkit.cluster import kernels_combine as kernels
from mlkit.cluster.parameter_exchange import Changes, Counts, Leader, Matrix, Plan, Rows, Weights
from mlkit.errors import MlkitError
from mlkit.formats.schema import Schema, like, list_of, or_none, real, record, whole
from mlkit.progress import Progress, Report, silent
from mlkit.threads import available_cores, map_chunks

Floats = NDArray[np.float64]

CURVATURE = 0.3  # measured: `python -m tests.benchmarks cluster_training`
ALARM, STRICTER, STRICTEST = 1.2, 4.0, 256.0
SYNC = 30  # rounds of an epoch, measured likewise
RANGES = 4  # of rows for every thread that puts changes together


@dataclass(frozen=True)
class WorkerGroup:
    """Who trains: an engine, the rounds of an epoch, the threads of a worker, and its folder for temporary files."""

    engine: Engine
    sync: int = SYNC
    threads: int | None = 1
    tmp_dir: str | None = None


@dataclass(frozen=True)
class TrainingStats:
    """How a round of a worker, or an epoch of all, went: sums."""

    loss: float = 0.0
    predictions: float = 0.0
    words: int = 0
    cpu_seconds: float = 0.0

    def __add__(self, other: TrainingStats) -> TrainingStats:
        return TrainingStats(
            self.loss + other.loss, self.predictions + other.predictions, self.words + other.words,
            self.cpu_seconds + other.cpu_seconds,
        )  # fmt: skip

    @property
    def mean(self) -> float:
        """Loss per prediction."""
        return self.loss / self.predictions if self.predictions else 0.0


class Trainer(Protocol):
    """What a worker does: small, immutable, and pure but for the weights that it changes in place."""

    def train(self, shard: int, number: int, weights: Weights, progress: Progress) -> TrainingStats:
        """Train round `number` of a shard."""
        ...

    def touched(self, shard: int, number: int) -> dict[str, Rows]:
        """Return for matrices where it is known the rows (ascending) that the round may change."""
        ...


@dataclass
class DataParallelTrainer:
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
    epoch_figures: list[TrainingStats] = field(default_factory=list)

    def run(self) -> list[TrainingStats]:
        """Train; return the figures of every epoch that was begun."""
        if not self.moves:
            self.moves = {name: aligned_zeros(*matrix.shape) for name, matrix in self.weights.items()}
        plan = Plan.of(self.engine.folder, self.weights, len(self.shards), mapped=self.engine.mapped)
        self._leader: Leader = plan.lead(self.weights, self.done)
        total, going = self.epochs * self.sync, True
        while self.done < total and going:
            figures = self._round()
            if self.done % self.sync == 0:
                self.epoch_figures.append(TrainingStats())
            self.epoch_figures[-1] += figures
            self.done += 1
            going = self.after(self.done)
            if self.checkpoints.due() and self.done < total and going:
                self._save()
        return self.epoch_figures

    def resume(self) -> None:
        """Continue where a checkpoint stands."""
        assert self.checkpoints.path is not None
        saved, arrays = load_checkpoint(self.checkpoints.path, self.command, self._identity(), self._schema())
        for name, matrix in self.weights.items():
            matrix[:] = arrays[name]
            self.moves[name] = aligned_zeros(*matrix.shape)
            self.moves[name][:] = arrays[f"moves of {name}"]
        for name, array in self.kept.items():
            array[...] = arrays[name]
        self.done = saved["round"]
        self.epoch_figures = [TrainingStats(*values) for values in saved["figures"]]
        self.state.update(saved["more"])
        self.caution = saved["caution"]
        self.least = np.inf if saved["least"] is None else saved["least"]

    def _schema(self) -> Schema:
        arrays = {
            **self.weights,
            **{f"moves of {name}": each for name, each in self.weights.items()},
            **self.kept,
        }
        figures = list_of(list_of(real(finite=False), 4, 4))
        header = {
            "round": whole(), "figures": figures, "more": record, "caution": real(0),
            "least": or_none(real(finite=False)),
        }  # fmt: skip
        return Schema(like(arrays), header)

    def _identity(self) -> dict[str, Any]:
        return {**self.identity, "workers": self.of, "sync": self.sync}

    def _save(self) -> None:
        figures = [[each.loss, each.predictions, each.words, each.cpu_seconds] for each in self.epoch_figures]
        state = {
            "round": self.done, "figures": figures, "more": self.state, "caution": self.caution,
            "least": None if np.isinf(self.least) else self.least,
        }  # fmt: skip
        moves = {}
        for name, matrix in self.moves.items():
            matrix[self._leader.stamps[name] != self.done - 1] = 0
            moves[f"moves of {name}"] = matrix
        self.checkpoints.save(self.command, self._identity(), state, {**self.weights, **moves, **self.kept})

    def _round(self) -> TrainingStats:
        leader, number = self._leader, self.done
        leader.offer(number)
        found = self._steps(range(len(self.shards)))
        lost = [slot for slot, each in enumerate(found) if each is None]
        if lost:  # new workers, which have no weights yet
            leader.offer_all(number)
            for slot, each in zip(lost, self._steps(lost), strict=True):
                found[slot] = each
        made = [each for each in found if each is not None]
        if len(made) < len(found):
            raise MlkitError(
                f"a worker does not find the weights in {self.engine.folder}",
                hint="give a --tmp-dir that all workers see",
            )
        figures = sum((each for each, _ in made), TrainingStats())
        self._watch(figures)
        rate = self.rate((number + 0.5) / (self.epochs * self.sync))
        factor = self.caution * CURVATURE * rate / self.sync
        for name, matrix in self.weights.items():
            changes = leader.changes(number, name, [counts for _, counts in made])
            put_together(
                matrix, self.moves[name], leader.stamps[name], leader.shared[name], changes, number,
                self.updates[name], factor,
            )  # fmt: skip
        return figures

    def _steps(self, slots: Sequence[int]) -> list[tuple[TrainingStats, Counts] | None]:
        """Have the shards in these places of the list trained."""
        shards = [self.shards[slot] for slot in slots]
        plan = self._leader.plan
        steps = [
            (self.trainer, plan, shard, slot, self.done) for slot, shard in zip(slots, shards, strict=True)
        ]
        names = [f"shard {shard + 1}/{self.of}" for shard in shards]
        return self.engine.run(Tasks(_step, steps, names, "training"), self._report)

    def _watch(self, figures: TrainingStats) -> None:
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
        recent = self.epoch_figures[-1] if self.epoch_figures else TrainingStats()
        self.progress(
            Report(
                "training", part * self.words, self.words, "words", recent.mean if recent.predictions else None,
                self.rate(part),
            )
        )  # fmt: skip


def put_together(
    weights: Matrix,
    moves: Matrix,
    stamps: Rows,
    shared: Matrix,
    changes: Changes,
    number: int,
    updates: Floats,
    factor: float,
) -> None:
    """Move `weights` [rows, dim] by what workers made of them in round `number`, and note how they moved.

    stamps: the round in which every row changed last; shared: flat, gets the new rows too. All four are changed in
    place. updates: how often one worker updates each row; factor: q of one update, see above.
    """
    rows, threads = len(weights), available_cores()
    step = max(-(-rows // (RANGES * threads)), 1)

    def work(first: int) -> None:
        kernels.put_together(
            first, min(first + step, rows), *changes, weights.reshape(-1), shared, moves.reshape(-1), stamps, number,
            updates, factor,
        )  # fmt: skip

    for _ in map_chunks(work, range(0, rows, step), threads):
        pass


def _step(
    item: tuple[Trainer, Plan, int, int, int], progress: Progress
) -> tuple[TrainingStats, Counts] | None:
    """Train one round of one shard; None if this worker has not the weights."""
    trainer, plan, shard, slot, number = item
    with plan.replica() as replica:
        if not replica.update(number):
            return None
        figures = trainer.train(shard, number, replica.weights, progress)
        if not np.isfinite(figures.loss):
            raise MlkitError(
                "the training diverged: the loss is not finite", hint="lower --lr, or raise --sync"
            )
        return figures, replica.give(number, slot, trainer.touched(shard, number))
