"""GloVe: vectors whose dot products approach the logarithms of co-occurrence weights (Pennington et al. 2014).

The method is that of Stanford's glove.c: weighted least squares, AdaGrad, clipped gradients, biases that learn at
rate 1. Two things make it fast: float32 with log x and f(x) computed once, and tiles (see `kernels_glove`) whose
vectors stay in the cache. Blocks of tiles are trained in rounds; those of a round share no words and no contexts
(stratified SGD, Gemulla et al. 2011), so threads never meet, and the result does not depend on their number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.arrays import LINE, aligned_zeros
from mlkit.checkpoint import Checkpoints, load_checkpoint
from mlkit.errors import DataError, UsageError
from mlkit.formats.schema import Array, Schema, flag, list_of, real, real_text, whole
from mlkit.glove import kernels_train as kernels
from mlkit.glove.records import BLOCK_SIDE, Records, Tiles, group_count, sort_into_tiles
from mlkit.progress import Progress, Report, silent
from mlkit.range_test import FindRate, Point, Sweep
from mlkit.signals import StopSignals
from mlkit.threads import map_chunks

Matrix = NDArray[np.float32]

COMMAND = "train-glove"
RATES = (1e-4, 10.0)  # between which a range test looks
OUTPUTS = ("sum", "word", "context", "both")


@dataclass(frozen=True)
class Settings:
    """What to train; the defaults are those of glove.c.

    x_max, alpha: a record of weight x counts min(1, (x / x_max)^alpha). clip: bound of every gradient before the
    learning rate. held_out: share of the records to keep for the held-out loss. patience: stop after so many epochs
    without a new best held-out loss. Raises `UsageError` for values out of range.
    """

    dim: int = 50
    epochs: int = 25
    x_max: float = 100.0
    alpha: float = 0.75
    lr: float = 0.05
    clip: float = 100.0
    held_out: float = 0.0
    patience: int | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("dim", "epochs", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name} must be at least 1, not {value}")
        for name in ("x_max", "lr", "clip"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise UsageError(f"--{name.replace('_', '-')} must be above 0, not {getattr(self, name)}")
        if not math.isfinite(self.alpha):
            raise UsageError(f"--alpha must be a number, not {self.alpha}")
        if not 0 <= self.held_out < 1:
            raise UsageError(f"--held-out must be from 0 to below 1, not {self.held_out}")
        if self.patience is not None and not self.held_out:
            raise UsageError("--patience needs --held-out")


@dataclass
class History:
    """How the training went: mean cost per record of every epoch, on the records trained on and on those held out."""

    losses: list[float] = field(default_factory=list)
    valid_losses: list[float] = field(default_factory=list)
    stopped_early: bool = False


@dataclass(frozen=True)
class GloveVectors:
    """Trained vectors: float32 [words, dim] and biases float32 [words], for words and for contexts.

    records: how many the training visits in an epoch; seconds, cpu_seconds: of the epochs run here.
    """

    word: Matrix
    context: Matrix
    word_bias: Matrix
    context_bias: Matrix
    history: History
    records: int
    seconds: float
    cpu_seconds: float

    def output(self, which: str = "sum") -> Matrix:
        """Return the vectors to use: the sum of word and context vectors (as in the paper), one of them, or both
        side by side."""
        if which == "both":
            return np.hstack((self.word, self.context))
        return (
            {"word": self.word, "context": self.context}[which]
            if which != "sum"
            else self.word + self.context
        )


def train_glove(
    records: Records,
    settings: Settings,
    *,
    initial: tuple[Matrix, NDArray[np.bool_]] | None = None,
    identity: dict[str, Any] | None = None,
    threads: int = 1,
    on_disk: bool = False,
    tmp_dir: str | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    find_rate: FindRate | None = None,
    progress: Progress = silent,
) -> GloveVectors:
    """Train vectors on co-occurrence records; the result is the same for any number of threads.

    initial: (float32 [words, dim], bool [words]) vectors to begin with and which words have one; they stand for the
    sum of word and context vector. identity: facts about the input that a checkpoint must agree with. on_disk: keep
    the sorted records in a temporary file. find_rate: chooses the learning rate (see `mlkit.range_test`). Raises
    `DataError` when there are no records, or the training diverges.
    """
    tiles = sort_into_tiles(
        records, x_max=settings.x_max, alpha=settings.alpha, held_out=settings.held_out, seed=settings.seed,
        on_disk=on_disk, tmp_dir=tmp_dir,
    )  # fmt: skip
    if not tiles.records:
        raise DataError("there are no co-occurrences to learn from")
    if settings.held_out and not tiles.held:
        raise DataError("--held-out leaves no record for the held-out loss; the input is too small")
    if find_rate is not None:
        tested = settings

        def test(rates: Sequence[float], repeat: int) -> Iterator[Point]:
            own = replace(tested, seed=tested.seed + repeat)
            return sweep(tiles, records.words, own, rates, initial=initial, threads=threads)

        settings = replace(settings, lr=find_rate(Sweep(test, *RATES)))
    checkpoints = checkpoints or Checkpoints(None, 0, StopSignals())
    facts = {**asdict(settings), **(identity or {}), "words": records.words, "records": tiles.records}
    del facts["epochs"]  # a run may be continued for longer
    run = _Run(tiles, records.words, settings, threads, checkpoints, facts, progress)
    if resume and checkpoints.path is not None and checkpoints.path.exists():
        run.restore(*load_checkpoint(checkpoints.path, COMMAND, facts, run.schema()))
    else:
        run.begin(initial)
    kernels.train_tiles.compile()
    wall, cpu = time.perf_counter(), time.process_time()
    run.train()
    return run.result(time.perf_counter() - wall, time.process_time() - cpu)


def sweep(
    tiles: Tiles,
    words: int,
    settings: Settings,
    rates: Sequence[float],
    *,
    initial: tuple[Matrix, NDArray[np.bool_]] | None = None,
    threads: int = 1,
) -> Iterator[Point]:
    """Yield (rate, mean cost per record) while training a fresh model, one round of blocks per rate: a range test."""
    run = _Run(tiles, words, settings, threads, Checkpoints(None, 0, StopSignals()), {}, silent)
    run.begin(initial)
    rounds = run.groups // BLOCK_SIDE
    for number in range(-rounds, len(rates)):
        # an epoch at the first rate comes before: the biases, which learn fast at any rate, settle in it
        rate = rates[max(number, 0)]
        run.settings = replace(settings, lr=rate)
        rng = np.random.default_rng([settings.seed, number // rounds + 1])
        mine, others = (rng.permutation(run.groups).reshape(-1, BLOCK_SIDE) for _ in range(2))
        blocks = _tiles_of_blocks(mine, np.roll(others, number % rounds, axis=0))
        cost = run._train_round(blocks) / max(tiles.records_of(blocks), 1)
        if number >= 0:
            yield rate, cost


class _Run:
    """The state of a training: six arrays [groups, rows, ...], and where it stands."""

    names = ("word", "word_squares", "word_bias", "context", "context_squares", "context_bias")

    def __init__(
        self,
        tiles: Tiles,
        words: int,
        settings: Settings,
        threads: int,
        checkpoints: Checkpoints,
        facts: dict[str, Any],
        progress: Progress,
    ) -> None:
        self.tiles, self.words, self.settings = tiles, words, settings
        self.threads, self.checkpoints, self.facts, self.progress = threads, checkpoints, facts, progress
        self.groups = group_count(words)
        self.rows = -(-words // self.groups)
        self.epoch = self.round = 0
        self.cost = 0.0
        self.history = History()
        self.arrays: list[Matrix] = []

    def begin(self, initial: tuple[Matrix, NDArray[np.bool_]] | None) -> None:
        """Draw vectors and biases from (-1/2, 1/2) / dim; sums of squares begin at 1."""
        dim = self.settings.dim
        rng = np.random.default_rng(self.settings.seed)
        for _ in range(2):
            drawn = (rng.random((self.words, dim + 1), np.float32) - np.float32(0.5)) / np.float32(dim)
            if initial is not None:
                drawn[initial[1], :dim] = initial[0][initial[1]] / 2
            width = -(-dim // LINE) * LINE
            vectors, squares = (
                aligned_zeros(self.groups, self.rows, width),
                aligned_zeros(self.groups, self.rows, width),
            )
            biases = np.ones((self.groups, self.rows, 2), np.float32)
            vectors[:, :, :dim] = self._dealt(drawn[:, :dim])
            squares[:] = 1
            biases[:, :, :1] = self._dealt(drawn[:, dim:])
            self.arrays += [vectors, squares, biases]

    def _dealt(self, rows: Matrix) -> Matrix:
        """Deal [words, n] into [groups, rows, n]: word i goes to group i % groups."""
        padded = np.zeros((self.rows * self.groups, rows.shape[1]), np.float32)
        padded[: self.words] = rows
        return padded.reshape(self.rows, self.groups, -1).transpose(1, 0, 2)

    def _gathered(self, dealt: Matrix) -> Matrix:
        return dealt.transpose(1, 0, 2).reshape(self.rows * self.groups, -1)[: self.words]

    def train(self) -> None:
        """Run the epochs that are left."""
        while self.epoch < self.settings.epochs and not self.history.stopped_early:
            rng = np.random.default_rng([self.settings.seed, self.epoch])
            words, contexts = (rng.permutation(self.groups).reshape(-1, BLOCK_SIDE) for _ in range(2))
            rounds = len(words)
            while self.round < rounds:
                self.cost += self._train_round(_tiles_of_blocks(words, np.roll(contexts, self.round, axis=0)))
                self.round += 1
                self._report(self.round / rounds)
                if self.checkpoints.due() and self.round < rounds:
                    self._save()
            self._finish_epoch()
            if self.checkpoints.due():
                self._save()

    def _train_round(self, blocks: NDArray[np.int64]) -> float:
        """Train blocks of tiles that share no rows; return the sum of costs, in the order of the blocks."""
        tiles, rate, clip = self.tiles, np.float32(self.settings.lr), np.float32(self.settings.clip)
        costs = np.zeros(blocks.shape[:2])

        def work(part: slice) -> None:
            kernels.train_tiles(
                *self.arrays, tiles.packed, tiles.logs, tiles.factors, tiles.starts, blocks[part].reshape(-1, 2),
                tiles.symmetric, rate, clip, costs[part].reshape(-1),
            )  # fmt: skip

        one_by_one = [slice(block, block + 1) for block in range(len(blocks))]
        for _ in map_chunks(work, one_by_one if self.threads > 1 else [slice(None)], self.threads):
            pass
        return float(costs.sum())

    def _report(self, share: float) -> None:
        done = (self.epoch + share) * self.tiles.records
        history = self.history
        self.progress(
            Report(
                f"epoch {self.epoch + 1}", done, self.settings.epochs * self.tiles.records, "records",
                loss=history.losses[-1] if history.losses else None,
                valid_loss=history.valid_losses[-1] if history.valid_losses else None,
            )
        )  # fmt: skip

    def _finish_epoch(self) -> None:
        loss = self.cost / self.tiles.records
        if not math.isfinite(loss):
            raise DataError(f"the training diverged in epoch {self.epoch + 1}; try a smaller --lr or --clip")
        history = self.history
        history.losses.append(loss)
        if self.tiles.held:
            word, _, word_bias, context, _, context_bias = self.arrays
            total = kernels.cost_of(
                word, word_bias, context, context_bias, self.tiles.held_pairs, self.tiles.held_values,
                self.tiles.symmetric,
            )  # fmt: skip
            history.valid_losses.append(float(total) / self.tiles.held)
            patience = self.settings.patience
            best = int(np.argmin(history.valid_losses))
            history.stopped_early = patience is not None and self.epoch - best >= patience
        self.epoch, self.round, self.cost = self.epoch + 1, 0, 0.0

    def _save(self) -> None:
        state = {
            "epoch": self.epoch,
            "round": self.round,
            "cost": self.cost.hex(),
            "history": asdict(self.history),
        }
        self.checkpoints.save(COMMAND, self.facts, state, dict(zip(self.names, self.arrays, strict=True)))

    def schema(self) -> Schema:
        """Return what a checkpoint of this run holds."""
        width = -(-self.settings.dim // LINE) * LINE
        shapes = (self.groups, self.rows, width), (self.groups, self.rows, width), (self.groups, self.rows, 2)
        return Schema(
            {name: Array("float32", shape) for name, shape in zip(self.names, shapes * 2, strict=True)},
            {
                "epoch": whole(), "round": whole(0, self.groups // BLOCK_SIDE), "cost": real_text,
                "history": _good_history,
            },
        )  # fmt: skip

    def restore(self, state: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
        """Go on where a checkpoint stands."""
        self.epoch, self.round = state["epoch"], state["round"]
        self.cost = float.fromhex(state["cost"])
        self.history = History(**state["history"])
        for name in self.names:
            array = aligned_zeros(*arrays[name].shape)
            array[:] = arrays[name]
            self.arrays.append(array)

    def result(self, seconds: float, cpu_seconds: float) -> GloveVectors:
        """Return the vectors in the order of the vocabulary."""
        dim = self.settings.dim
        word, _, word_bias, context, _, context_bias = self.arrays
        return GloveVectors(
            self._gathered(word[:, :, :dim]), self._gathered(context[:, :, :dim]),
            self._gathered(word_bias[:, :, :1])[:, 0], self._gathered(context_bias[:, :, :1])[:, 0],
            self.history, self.tiles.records, seconds, cpu_seconds,
        )  # fmt: skip


def _good_history(value: Any) -> bool:
    losses = list_of(real(finite=False))
    return (
        isinstance(value, dict)
        and set(value) == {"losses", "valid_losses", "stopped_early"}
        and losses(value["losses"])
        and losses(value["valid_losses"])
        and flag(value["stopped_early"])
    )


def _tiles_of_blocks(words: NDArray[np.int64], contexts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the tiles of each block, int64 [blocks, tiles, 2], in an order in which each shares a side with the next.

    words, contexts: the groups of each block, [blocks, BLOCK_SIDE].
    """
    rows = np.arange(BLOCK_SIDE).repeat(BLOCK_SIDE)
    columns = np.tile(np.arange(BLOCK_SIDE), BLOCK_SIDE).reshape(BLOCK_SIDE, -1)
    columns[1::2] = columns[1::2, ::-1].copy()
    return np.ascontiguousarray(np.stack((words[:, rows], contexts[:, columns.reshape(-1)]), axis=2))
