"""Train word vectors: skip-gram and CBOW, negative sampling and hierarchical softmax (Mikolov et al. 2013a, 2013b).

Work is cut into chunks of the encoded corpus, the same for any number of threads (see `reading`). Every random number
comes from a generator keyed by seed, epoch and chunk, and the learning rate depends on the words read alone: one thread
gives the same bytes always, and a resumed run those of an uninterrupted one. Several threads update the same
matrices without locks (Hogwild, Niu et al. 2011): equal in quality, not in bytes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlkit.arrays import LINE, aligned_zeros
from mlkit.checkpoint import Checkpoints, load_checkpoint
from mlkit.errors import DataError, MlkitError, UsageError
from mlkit.formats.schema import Array, Schema, list_of, real, whole
from mlkit.progress import Progress, Report, silent
from mlkit.range_test import Point, piece_of
from mlkit.signals import StopSignals
from mlkit.word2vec import kernels_train as kernels
from mlkit.word2vec.block_order import Reading
from mlkit.word2vec.sampling import HuffmanPaths, alias_table, huffman_paths, keep_thresholds, mean_places

Ids = NDArray[np.int32]
Matrix = NDArray[np.float32]

CHUNK = 1 << 16  # ids that a thread takes at a time


@dataclass(frozen=True)
class Settings:
    """What to train. None stands for the default of the model: window 10 / 5, lr 0.025 / 0.05 (skip-gram / CBOW).

    `lr` falls linearly to `min_lr` (default: a ten-thousandth of it). `share_negatives`: how many successive centre
    words use the same noise words; more than 1 is faster and costs quality. `shuffle`: read the text by blocks, in a
    new order in every epoch. Raises `UsageError` for values out of range.
    """

    model: str = "skipgram"
    loss: str = "ns"
    dim: int = 100
    window: int | None = None
    negative: int = 5
    ns_exponent: float = 0.75
    share_negatives: int = 1
    sample: float = 1e-3
    epochs: int = 5
    lr: float | None = None
    min_lr: float | None = None
    seed: int = 1
    shuffle: bool = True

    def __post_init__(self) -> None:
        skipgram = self.model == "skipgram"
        for name, value in (
            ("window", 10 if skipgram else 5),
            ("lr", 0.025 if skipgram else 0.05),
            ("min_lr", 1e-4 * (self.lr or (0.025 if skipgram else 0.05))),
        ):
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        _require(self.model in ("skipgram", "cbow"), "--model must be skipgram or cbow")
        _require(self.loss in ("ns", "hs"), "--loss must be ns or hs")
        for name in ("dim", "window", "negative", "share_negatives", "epochs"):
            value = getattr(self, name)
            _require(value >= 1, f"--{name.replace('_', '-')} must be at least 1, not {value}")
        _require(self.sample >= 0, f"--sample must not be negative, not {self.sample}")
        _require(
            self.rate > 0 and 0 <= self.last_rate <= self.rate,
            f"--lr must be positive and --min-lr between 0 and --lr, not {self.lr} and {self.min_lr}",
        )
        _require(
            all(math.isfinite(value) for value in (self.sample, self.ns_exponent, self.rate)),
            "--sample, --ns-exponent and --lr must be finite numbers",
        )

    @property
    def rate(self) -> float:
        """The learning rate at the start."""
        return float(self.lr or 0.0)

    @property
    def last_rate(self) -> float:
        """The learning rate at the end."""
        return float(self.min_lr or 0.0)

    def with_rate(self, rate: float) -> Settings:
        """Return the settings with another learning rate, and its own end where none was asked for."""
        usual = self.last_rate == 1e-4 * self.rate
        return replace(self, lr=rate, min_lr=None if usual else self.min_lr)


@dataclass(frozen=True)
class HeldOut:
    """Held-out data: ids (int32, -1 ends a sentence), how often to look at it (in epochs), and when to give up.

    patience: stop after so many looks in a row without an improvement, and return the vectors of the best look; None
    never stops, and the vectors are those of the end.
    """

    ids: Ids
    every: float = 1.0
    patience: int | None = None


@dataclass(frozen=True)
class WordVectors:
    """The result: vectors, output vectors (of words, or of inner nodes for hierarchical softmax), and the record.

    vectors, outputs: float32 [words or nodes, dim], views of padded rows. losses: mean loss per prediction of each
    epoch begun (none without predictions); valid_losses: (epoch, held-out loss); words: words read; seconds,
    cpu_seconds: time spent in training, by the clock and by all threads.
    """

    vectors: Matrix
    outputs: Matrix
    losses: list[float]
    valid_losses: list[tuple[float, float]]
    words: int
    seconds: float
    cpu_seconds: float
    stopped_early: bool


@dataclass
class _State:
    """All that changes: what a checkpoint holds."""

    inputs: Matrix
    outputs: Matrix
    totals: NDArray[np.float64]  # per epoch: loss, predictions, centre words
    done: int = 0  # chunks
    valid: list[tuple[float, float]] = field(default_factory=list)
    since_best: int = 0
    best: list[Matrix] = field(default_factory=list)  # with patience: inputs and outputs of the best look


def train(
    ids: Ids,
    counts: NDArray[np.int64],
    settings: Settings,
    *,
    threads: int = 1,
    start: tuple[NDArray[np.int64], Matrix] | None = None,
    held_out: HeldOut | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    identity: dict[str, Any] | None = None,
    progress: Progress = silent,
) -> WordVectors:
    """Train vectors for the words 0 .. len(counts) - 1 on `ids` (int32, -1 ends a sentence).

    The result is the matrix that word2vec.c and gensim return. Skip-gram's is that of the centre words, as in the
    paper: a pair of neighbours (u, v) is in both windows, so "v predicts u" runs over the same pairs as "u
    predicts v", and the row that is shared by a window's predictions can be its centre's *output* row. So the input
    row is the predicting word's, whose vector the paper calls v_w. CBOW's result is that of the context words.

    start: (word ids, rows) of existing vectors to begin with. identity: facts about the input that a checkpoint must
    agree on, beside the settings. Raises `DataError` for an empty vocabulary or corpus, `MlkitError` when the
    training diverges, `Stopped` after a stop signal.
    """
    words = len(counts)
    if words == 0 or len(ids) == 0:
        raise DataError("no word is left to train on", hint="lower --min-count, or give more text")
    identity = {**asdict(settings), **(identity or {}), "words": words, "ids": len(ids)}
    reading = reading_of(ids, settings)
    tables = _Tables.build(counts, settings, ids)
    checkpoints = checkpoints or Checkpoints(None, 0.0, StopSignals())
    if resume and checkpoints.path is not None:
        state = _resumed(checkpoints, identity, tables, settings, reading.chunks)
    else:
        state = _initial(words, tables, settings, start)
    return _Run(reading, settings, tables, state, threads, held_out, checkpoints, identity, progress).train()


def reading_of(ids: Ids, settings: Settings, chunk: int = 0) -> Reading:
    """Return how training reads a text, in chunks of so many ids (0: `CHUNK`)."""
    return Reading(ids, settings.epochs, settings.seed, shuffle=settings.shuffle, chunk=chunk or CHUNK)


def sweep(
    ids: Ids,
    counts: NDArray[np.int64],
    settings: Settings,
    rates: Sequence[float],
    *,
    start: tuple[NDArray[np.int64], Matrix] | None = None,
    piece: int = 10_000,
) -> Iterator[Point]:
    """Yield (rate, mean loss per prediction) while training a fresh model, about `piece` ids per rate: a range test.

    start: as in `train`. The pieces lie all over the text; a short one is read again.
    """
    tables = _Tables.build(counts, settings, ids)
    state = _initial(len(counts), tables, settings, start)
    nothing = Checkpoints(None, 0.0, StopSignals())
    run = _Run(reading_of(ids[:0], settings), settings, tables, state, 1, None, nothing, {}, silent)
    pieces = max(1, round(len(ids) / piece))
    for number, rate in enumerate(rates):
        _, place = piece_of(number, len(rates), pieces)
        part = ids[len(ids) * place // pieces : len(ids) * (place + 1) // pieces]
        totals = run._train_chunk(part, rate, rate, number)
        if totals[1]:
            yield rate, _mean(totals)


class _Tables(NamedTuple):
    """What the kernel reads: row length, subsampling, noise, Huffman tree; rows of the output matrix."""

    dim: int
    keep: NDArray[np.uint32]
    alias: NDArray[np.uint64]
    paths: HuffmanPaths
    output_rows: int

    @classmethod
    def build(
        cls,
        counts: NDArray[np.int64],
        settings: Settings,
        ids: Ids | None = None,
        places: NDArray[np.float64] | None = None,
    ) -> _Tables:
        """Make the tables; the text, or the mean places of its words, order the tree's ties."""
        words = len(counts)
        hierarchical = settings.loss == "hs"
        if hierarchical and ids is not None:
            places = mean_places(ids, words)
        return cls(
            dim=-(-settings.dim // LINE) * LINE,
            keep=keep_thresholds(counts, settings.sample),
            alias=np.zeros(1, np.uint64) if hierarchical else alias_table(counts, settings.ns_exponent),
            paths=huffman_paths(counts, places) if hierarchical else HuffmanPaths.none(words),
            output_rows=max(words - 1, 1) if hierarchical else words,
        )


class _Run:
    """One training: hands out chunks to threads, and stops between chunks to save or to look at held-out data."""

    def __init__(
        self,
        reading: Reading,
        settings: Settings,
        tables: _Tables,
        state: _State,
        threads: int,
        held_out: HeldOut | None,
        checkpoints: Checkpoints,
        identity: dict[str, Any],
        progress: Progress,
    ) -> None:
        self.reading, self.settings, self.tables, self.state = reading, settings, tables, state
        self.threads, self.held_out, self.checkpoints = threads, held_out, checkpoints
        self.identity, self.progress = identity, progress
        self._lock = threading.Lock()
        self._halted = self._moved = False

    def train(self) -> WordVectors:
        """Go through the chunks; between looks at the held-out data threads run freely."""
        began, began_cpu = time.perf_counter(), time.process_time()
        looks = self._looks()
        chunks = self.reading.chunks
        while self.state.done < chunks and not self._out_of_patience():
            until = next((look for look in looks if look > self.state.done), chunks)
            self._run_chunks(until)
            if self.state.done in looks:
                self._validate()
            if self.checkpoints.due():
                self._save()
        state, settings = self.state, self.settings
        if state.best:
            state.inputs, state.outputs = state.best
        vectors = state.inputs.reshape(-1, self.tables.dim)[:, : settings.dim]
        _require_finite(np.isfinite(vectors.sum(axis=1, dtype=np.float64)).all())
        return WordVectors(
            vectors=vectors,
            outputs=state.outputs.reshape(-1, self.tables.dim)[:, : settings.dim],
            losses=[_mean(totals) for totals in state.totals if totals[1] > 0],
            valid_losses=state.valid,
            words=self._words_read(),
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - began_cpu,
            stopped_early=self.state.done < chunks,
        )

    def _looks(self) -> list[int]:
        """Return after how many chunks the held-out loss is computed."""
        if self.held_out is None:
            return []
        number = max(int(self.settings.epochs / self.held_out.every + 1e-9), 1)
        places = {round((look + 1) * self.held_out.every * self.reading.per_epoch) for look in range(number)}
        return sorted({min(max(place, 1), self.reading.chunks) for place in places})

    def _run_chunks(self, until: int) -> None:
        """Train chunks up to number `until`, or until a checkpoint is due; this thread works too."""
        self._halted = self._moved = False
        faults: list[BaseException] = []

        def work() -> None:
            try:
                self._work(until, None)
            except BaseException as fault:
                self._halted = True
                faults.append(fault)

        helpers = [threading.Thread(target=work, daemon=True) for _ in range(self.threads - 1)]
        for helper in helpers:
            helper.start()
        try:
            self._work(until, self.progress)
        finally:
            self._halted = True
            for helper in helpers:
                helper.join()
        if faults:
            raise faults[0]

    def _work(self, until: int, progress: Progress | None) -> None:
        while (number := self._take(until)) is not None:
            epoch = number // self.reading.per_epoch
            first, last = self._rate(number), self._rate(number + 1)
            totals = self._train_chunk(self.reading.text(number), first, last, number)
            _require_finite(math.isfinite(totals[0]))
            with self._lock:
                self.state.totals[epoch] += totals
            if progress is not None:
                recent = self.state.totals[epoch]
                progress(
                    Report(
                        "training", self.reading.position(number + 1), float(self.reading.size), "words",
                        loss=_mean(recent) if recent[1] else None, learning_rate=last,
                        valid_loss=self.state.valid[-1][1] if self.state.valid else None,
                    )
                )  # fmt: skip

    def _take(self, until: int) -> int | None:
        """Return the number of the next chunk, None at `until` or when everyone is to stop."""
        with self._lock:
            if self._halted or self.state.done >= until:
                return None
            # at least one chunk between two saves, however often they are wanted
            if self.checkpoints.stop.requested or (self._moved and self.checkpoints.due()):
                self._halted = True
                return None
            self.state.done += 1
            self._moved = True
            return self.state.done - 1

    def _train_chunk(self, ids: Ids, first: float, last: float, number: int) -> NDArray[np.float64]:
        settings, tables, state = self.settings, self.tables, self.state
        totals = np.zeros(3)
        with np.errstate(over="ignore"):  # kernels without JIT: the generator's products wrap on purpose
            kernels.train_chunk(
                ids, state.inputs, state.outputs, tables.dim, tables.keep, tables.alias, tables.paths.starts,
                tables.paths.path, settings.model == "cbow", settings.window,
                settings.negative if settings.loss == "ns" else 0, settings.share_negatives, first, last,
                _key(settings.seed, number), totals,
            )  # fmt: skip
        return totals

    def _rate(self, number: int) -> float:
        part = self.reading.position(number) / self.reading.size
        return self.settings.rate - (self.settings.rate - self.settings.last_rate) * part

    def _out_of_patience(self) -> bool:
        patience = None if self.held_out is None else self.held_out.patience
        return patience is not None and self.state.since_best >= patience

    def _validate(self) -> None:
        """Note the held-out loss: the kernel at rate 0, with the same random numbers every time."""
        assert self.held_out is not None
        state = self.state
        reading = self.reading
        epoch, loss = reading.position(state.done) / len(reading.ids), self.loss_of(self.held_out.ids)
        best = min((loss for _, loss in state.valid), default=math.inf)
        state.valid.append((epoch, loss))
        state.since_best = 0 if loss < best else state.since_best + 1
        if self.held_out.patience is not None and state.since_best == 0:
            state.best = [state.inputs.copy(), state.outputs.copy()]

    def loss_of(self, ids: Ids) -> float:
        """Return the mean loss of held-out ids. Raises `DataError` where there is nothing to predict."""
        totals = np.zeros(3)
        reading = Reading(ids, 1, 0, shuffle=False, chunk=CHUNK)
        for number in range(reading.chunks):
            totals += self._train_chunk(reading.text(number), 0.0, 0.0, -1 - number)
        if totals[1] == 0:
            raise DataError("the held-out text has no pair of known words")
        return _mean(totals)

    def _words_read(self) -> int:
        """Return how many words the chunks done hold."""
        reading = self.reading
        epochs, rest = divmod(self.state.done, reading.per_epoch)
        whole = epochs * int(np.count_nonzero(reading.ids >= 0))
        return whole + reading.words(self.state.done - rest, self.state.done)

    def _save(self) -> None:
        state = self.state
        self.checkpoints.save(
            COMMAND, self.identity,
            {"done": state.done, "valid": state.valid, "since_best": state.since_best},
            {
                "inputs": state.inputs, "outputs": state.outputs, "totals": state.totals,
                **dict(zip(BEST, state.best, strict=False)),
            },
        )  # fmt: skip


COMMAND = "train-w2v"
BEST = ("best_inputs", "best_outputs")  # in a checkpoint


def _checkpoint_schema(words: int, chunks: int, tables: _Tables, settings: Settings) -> Schema:
    """Return what a checkpoint of a training of so many words and chunks holds."""
    inputs, outputs = words * tables.dim, tables.output_rows * tables.dim

    def look(value: Any) -> bool:
        return list_of(real(finite=False), 2, 2)(value)

    return Schema(
        {
            "inputs": Array("float32", (inputs,)), "outputs": Array("float32", (outputs,)),
            "totals": Array("float64", (settings.epochs, 3)),
            BEST[0]: Array("float32", (inputs,), optional=True),
            BEST[1]: Array("float32", (outputs,), optional=True),
        },
        {"done": whole(0, chunks), "valid": list_of(look), "since_best": whole()},
    )  # fmt: skip


def _resumed(
    checkpoints: Checkpoints, identity: dict[str, Any], tables: _Tables, settings: Settings, chunks: int
) -> _State:
    assert checkpoints.path is not None
    schema = _checkpoint_schema(identity["words"], chunks, tables, settings)
    saved, arrays = load_checkpoint(checkpoints.path, COMMAND, identity, schema)
    inputs = aligned_zeros(len(arrays["inputs"]))
    outputs = aligned_zeros(len(arrays["outputs"]))
    inputs[:], outputs[:] = arrays["inputs"], arrays["outputs"]
    valid = [(float(epoch), float(loss)) for epoch, loss in saved["valid"]]
    best = [arrays[name] for name in BEST] if all(name in arrays for name in BEST) else []
    return _State(inputs, outputs, arrays["totals"].copy(), saved["done"], valid, saved["since_best"], best)


def _initial(
    words: int, tables: _Tables, settings: Settings, start: tuple[NDArray[np.int64], Matrix] | None
) -> _State:
    """Draw input vectors from [-1, 1) / dim (as gensim), set output vectors to 0, and put given vectors in place."""
    inputs, outputs = aligned_zeros(words * tables.dim), aligned_zeros(tables.output_rows * tables.dim)
    rows = inputs.reshape(words, tables.dim)[:, : settings.dim]
    generator = np.random.Generator(np.random.Philox(settings.seed))
    for first in range(0, words, 4096):
        block = rows[first : first + 4096]
        block[:] = (generator.random(block.shape, np.float32) - np.float32(0.5)) * np.float32(
            2 / settings.dim
        )
    if start is not None:
        known, given = start
        if given.shape[1] != settings.dim:
            raise UsageError(
                f"the vectors to start from have {given.shape[1]} dimensions: use --dim {given.shape[1]}"
            )
        rows[known] = given
    return _State(inputs, outputs, np.zeros((settings.epochs, 3)))


def _key(seed: int, number: int) -> np.uint64:
    """Return the key of a chunk's random numbers: far apart for neighbours, by SplitMix64's own mixing twice."""
    mask = (1 << 64) - 1

    def mixed(bits: int) -> int:
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & mask
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & mask
        return bits ^ (bits >> 31)

    return np.uint64(mixed((mixed(seed & mask) + number * 0x9E3779B97F4A7C15) & mask))


def _mean(totals: NDArray[np.float64]) -> float:
    return float(totals[0] / totals[1]) if totals[1] else 0.0


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


def _require_finite(finite: Any) -> None:
    if not finite:
        raise MlkitError("the training diverged: the loss is not finite", hint="lower --lr")
