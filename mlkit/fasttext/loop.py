"""What all fastText training shares: the rows of every token, the matrices, the loop over chunks."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlkit.arrays import aligned_zeros
from mlkit.checkpoint import Checkpoints, load_checkpoint
from mlkit.errors import MlkitError, ModelError, UsageError
from mlkit.fasttext import kernels_dictionary
from mlkit.fasttext.dictionary import Corpus
from mlkit.fasttext.model import Model, read_pretrained
from mlkit.fasttext.predict import huffman_children
from mlkit.fasttext.settings import Settings
from mlkit.fasttext.subwords import ngram_buckets
from mlkit.formats.fasttext_bin import LABEL, LOSSES, WORD, Floats, Ints
from mlkit.formats.schema import Schema, like, list_of, or_none, real, whole
from mlkit.progress import Progress, Report, silent
from mlkit.range_test import FindRate, Point, Sweep, piece_of
from mlkit.signals import StopSignals
from mlkit.threads import map_chunks
from mlkit.word2vec.sampling import alias_table

LANES = 16
NOISE_EXPONENT = 0.5  # the square root of the counts, where word2vec takes the power 0.75
CHUNK_TOKENS = 1 << 15
SEGMENT_CHUNKS = 64  # chunks between two looks at the clock and the signals
WORDS_AT_ONCE = 1 << 15
LOSS_NUMBERS = {name: number for number, name in LOSSES.items()}
COMMAND = "fasttext"
EXTRA = {
    "scores": list_of(real(finite=False)),
    "best_epoch": or_none(whole(1)),
}  # what early stopping keeps
# between which a range test looks
RATES = {"supervised": (1e-3, 100.0), "skipgram": (1e-4, 10.0), "cbow": (1e-4, 10.0)}


@dataclass(frozen=True)
class Job:
    """How a training runs, which its result does not depend on (threads excepted)."""

    threads: int = 1
    checkpoint: str | None = None
    checkpoint_every: float = 600.0
    resume: bool = False
    directory: str | None = None
    progress: Progress = silent


@dataclass(frozen=True)
class Rows:
    """The input rows of every token id (CSR), and the row of every hash bucket that the text touches."""

    starts: NDArray[np.int64]
    subs: Ints
    buckets: Ints  # the touched buckets, ascending; their rows follow the words' in this order
    bucket_rows: Ints  # for every bucket its row or -1
    longest_line: int = 0
    most_labels: int = 0


@dataclass
class Result:
    """A trained model and how it went: mean loss of every epoch, and held-out scores where there are some."""

    model: Model
    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_epoch: int | None = None


# given where the rows of every token start, and a mark for every bucket, to be set for those of word n-grams; returns
# the greatest numbers of rows and labels of a line
Survey = Callable[[NDArray[np.int64], NDArray[np.uint8]], NDArray[np.int64]]


def survey_of(corpus: Corpus, settings: Settings, bounds: NDArray[np.int64]) -> Survey:
    """Return the survey of a text whose lines start at `bounds`."""
    args = settings.args()

    def survey(starts: NDArray[np.int64], used: NDArray[np.uint8]) -> NDArray[np.int64]:
        most = np.zeros(2, np.int64)
        size = args.word_ngrams if args.bucket else 1
        kernels_dictionary.survey_lines(
            corpus.ids, bounds, corpus.hashes, corpus.kinds, starts, size, args.bucket, used, most
        )
        return most

    return survey


def collect_rows(corpus: Corpus, settings: Settings, survey: Survey | None = None) -> Rows:
    """Return the rows of all token ids; a `survey` makes the buckets of word n-grams count as touched."""
    args = settings.args()
    ids = len(corpus.hashes)
    parts: list[NDArray[np.int32]] = []
    sizes = np.zeros(ids, np.int64)
    used = np.zeros(max(args.bucket, 1), np.uint8)
    first_rare = len(corpus.words) + len(corpus.labels)
    for texts, first in ((corpus.words, 0), (corpus.rare, first_rare)):
        for start in range(0, len(texts), WORDS_AT_ONCE):
            part = texts[start : start + WORDS_AT_ONCE]
            own = first == 0
            owners = [np.arange(len(part))] if own else []
            rows = [np.arange(start, start + len(part), dtype=np.int64)] if own else []
            for owner, bucket in ngram_buckets(part, args.minn, args.maxn, args.bucket):
                used[bucket] = 1
                owners.append(owner)
                rows.append(bucket.astype(np.int64) + len(corpus.words))  # by bucket; made dense below
            if not owners:
                continue
            owner = np.concatenate(owners)
            sizes[first + start : first + start + len(part)] = np.bincount(owner, minlength=len(part))
            parts.append(np.concatenate(rows)[np.argsort(owner, kind="stable")].astype(np.int32))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    most = np.zeros(2, np.int64) if survey is None else survey(starts, used)
    buckets = np.flatnonzero(used[: args.bucket]).astype(np.int32)
    bucket_rows = np.full(max(args.bucket, 1), -1, np.int32)
    bucket_rows[buckets] = len(corpus.words) + np.arange(len(buckets), dtype=np.int32)
    subs = np.concatenate(parts) if parts else np.zeros(0, np.int32)
    grams = subs >= len(corpus.words)
    subs[grams] = bucket_rows[subs[grams] - len(corpus.words)]
    return Rows(starts, subs, buckets, bucket_rows, int(most[0]), int(most[1]))


def padded(size: int) -> int:
    """Return the next multiple of the vector length."""
    return -(-size // LANES) * LANES


def new_matrix(rows: int, dim: int, seed: int) -> Floats:
    """Return a flat input matrix, uniform in [-1/dim, 1/dim), rows padded with zeros; the seed fixes it."""
    size = padded(dim)
    matrix = aligned_zeros(rows * size)
    table = matrix.reshape(rows, size)
    generator = np.random.Generator(np.random.SFC64([seed, 0x0FA57]))
    step = max(1, (1 << 20) // dim)
    for start in range(0, rows, step):
        part = table[start : start + step]
        values = generator.random((len(part), dim), np.float32)
        values -= np.float32(0.5)
        values *= np.float32(2 / dim)
        part[:, :dim] = values
    return matrix


def begin(corpus: Corpus, settings: Settings, rows: Rows) -> Floats:
    """Return the flat input matrix that a training begins with: random, pretrained vectors in their places."""
    matrix = new_matrix(len(corpus.words) + len(rows.buckets), settings.dim, settings.seed)
    use_pretrained(matrix, corpus, settings)
    return matrix


def use_pretrained(matrix: Floats, corpus: Corpus, settings: Settings) -> None:
    """Put the pretrained vectors into the rows of their words."""
    if settings.pretrained is None:
        return
    words, vectors = read_pretrained(settings.pretrained, settings.dim)
    index = {word: row for row, word in enumerate(corpus.words)}
    found = [(index[word], place) for place, word in enumerate(words) if word in index]
    if found:
        rows, places = np.array(found).T
        matrix.reshape(-1, padded(settings.dim))[rows, : settings.dim] = vectors[places]


def noise_table(counts: NDArray[np.int64], loss: str) -> NDArray[np.uint64]:
    """Return the alias table of noise words, or a dummy where the loss needs none."""
    return alias_table(counts, NOISE_EXPONENT) if loss == "ns" else np.zeros(1, np.uint64)


def tree_paths(counts: NDArray[np.int64], loss: str) -> tuple[NDArray[np.int64], Ints]:
    """Return (starts, path) of the Huffman tree: every label's inner nodes as 2 * node + (1 for a right child)."""
    leaves = len(counts)
    if loss != "hs" or leaves < 2:
        return np.zeros(leaves + 1, np.int64), np.zeros(0, np.int32)
    left, right = huffman_children(counts.tolist())
    parent = np.zeros(2 * leaves - 1, np.int64)
    code = np.zeros(2 * leaves - 1, np.int64)
    parent[left] = parent[right] = np.arange(leaves - 1)
    code[right] = 1
    node = np.arange(leaves)
    owners, steps = [], []
    alive = np.arange(leaves)
    while len(alive):
        above = parent[node]
        owners.append(alive)
        steps.append(2 * above + code[node])
        node = above + leaves
        climbing = node < 2 * leaves - 2
        node, alive = node[climbing], alive[climbing]
    owner = np.concatenate(owners)
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=leaves))])
    return starts, np.concatenate(steps)[np.argsort(owner, kind="stable")].astype(np.int32)


def chunk_seed(seed: int, epoch: int, chunk: int) -> int:
    """Return the random seed of one chunk: what it draws does not depend on threads or on where a run resumed."""
    value = (seed * 0x9E3779B97F4A7C15 + epoch * 0xBF58476D1CE4E5B9 + chunk * 0x94D049BB133111EB) & (
        2**64 - 1
    )
    return value ^ (value >> 29)


Chunk = tuple[int, int, float]  # first and last position, learning rate at the first


class Trainer(Protocol):
    """What trains chunks; `total` tokens are those over which the rate falls to 0."""

    total: int

    def pieces(self, epoch: int) -> list[Chunk]:
        """Cut an epoch into the steps of a range test; their rates do not count."""
        ...

    def work(self, epoch: int, number: int, chunk: Chunk) -> tuple[float, float]:
        """Train one chunk; return (sum of losses, examples)."""
        ...


def with_rate(
    settings: Settings, fresh: Callable[[Settings], Trainer], find_rate: FindRate | None
) -> Settings:
    """Return the settings with the rate that `find_rate` chooses, if there is one (see `mlkit.range_test`)."""
    if find_rate is None:
        return settings
    return replace(settings, lr=find_rate(Sweep(partial(_sweep, settings, fresh), *RATES[settings.model])))


def _sweep(
    settings: Settings, fresh: Callable[[Settings], Trainer], rates: Sequence[float], repeat: int
) -> Iterator[Point]:
    """Yield (rate, mean loss) while training a fresh model, one piece of the text per rate."""
    trainer = fresh(replace(settings, seed=settings.seed + repeat))
    trainer.total = 1 << 62  # the rate does not fall inside a step
    pieces = trainer.pieces(0)
    for number, rate in enumerate(rates):
        epoch, place = piece_of(number, len(rates), len(pieces))
        loss, examples = trainer.work(epoch, number, (*pieces[place][:2], rate))
        if examples:
            yield rate, loss / examples


@dataclass
class Loop:
    """Epochs over chunks with Hogwild threads, progress, checkpoints and stop signals.

    `chunks(epoch)` lists an epoch's chunks; `work(epoch, number, chunk)` trains one and returns (loss, examples).
    `after_epoch(epoch)` may return False to stop early.
    """

    settings: Settings
    job: Job
    identity: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    chunks: Callable[[int], list[Chunk]]
    work: Callable[[int, int, Chunk], tuple[float, float]]
    after_epoch: Callable[[int, float], bool] = lambda epoch, loss: True
    extra_state: dict[str, Any] = field(default_factory=dict)

    def run(self) -> list[float]:
        """Train; return the mean loss of every epoch."""
        epoch, chunk = 0, 0
        losses: list[float] = []
        total = [0.0, 0.0]
        if self.job.resume:
            epoch, chunk, losses, total = self._resume()
        with StopSignals(keyboard=self.job.checkpoint is not None) as stop:
            saves = Checkpoints(self.job.checkpoint, self.job.checkpoint_every, stop)
            while epoch < self.settings.epoch:
                todo = self.chunks(epoch)
                while chunk < len(todo):
                    last = min(chunk + SEGMENT_CHUNKS, len(todo))
                    for loss, examples in self._segment(epoch, todo, chunk, last):
                        total[0] += loss
                        total[1] += examples
                        chunk += 1
                        mean = total[0] / total[1] if total[1] else 0.0
                        done = (epoch + chunk / len(todo)) / self.settings.epoch
                        self.job.progress(
                            Report(f"epoch {epoch + 1}", done, 1.0, "", mean, todo[chunk - 1][2])
                        )
                    if saves.due() and (chunk < len(todo) or epoch + 1 < self.settings.epoch):
                        state = {"epoch": epoch, "chunk": chunk, "losses": losses, "total": total}
                        saves.save(COMMAND, self.identity, {**state, **self.extra_state}, self.arrays)
                losses.append(total[0] / total[1] if total[1] else 0.0)
                if not (np.isfinite(losses[-1]) and self.finite()):
                    raise MlkitError(f"training diverged in epoch {epoch + 1}", hint="lower --lr")
                more = self.after_epoch(epoch, losses[-1])
                epoch, chunk, total = epoch + 1, 0, [0.0, 0.0]
                if not more:
                    break
        return losses

    def schema(self) -> Schema:
        """Return what a checkpoint holds."""
        header = {
            "epoch": whole(), "chunk": whole(), "losses": list_of(real(finite=False)),
            "total": list_of(real(finite=False), 2, 2), **{name: EXTRA[name] for name in self.extra_state},
        }  # fmt: skip
        return Schema(like(self.arrays), header)

    def finite(self) -> bool:
        """Say whether the output matrix holds numbers only."""
        output = self.arrays.get("output")
        return output is None or bool(np.isfinite(output.sum(dtype=np.float64)))

    def _segment(self, epoch: int, todo: list[Chunk], first: int, last: int) -> Iterator[tuple[float, float]]:
        return map_chunks(
            lambda number: self.work(epoch, number, todo[number]), range(first, last), self.job.threads
        )

    def _resume(self) -> tuple[int, int, list[float], list[float]]:
        if self.job.checkpoint is None:
            raise UsageError("--resume needs --checkpoint")
        state, arrays = load_checkpoint(self.job.checkpoint, COMMAND, self.identity, self.schema())
        if state["epoch"] < self.settings.epoch and state["chunk"] > len(self.chunks(state["epoch"])):
            raise ModelError("damaged checkpoint (chunk)", path=self.job.checkpoint)
        for name, array in self.arrays.items():
            array[...] = arrays[name]
        for name in self.extra_state:
            self.extra_state[name] = state[name]
        return state["epoch"], state["chunk"], list(state["losses"]), list(state["total"])


def identity(settings: Settings, corpus: Corpus) -> dict[str, Any]:
    """Return what identifies a job: its settings and its text."""
    return {**settings.identity(), "tokens": corpus.tokens, "text": zlib.crc32(corpus.hashes.tobytes())}


def finished(corpus: Corpus, settings: Settings, rows: Rows, matrix: Floats, output: Floats) -> Model:
    """Return the model that the flat matrices make."""
    size = padded(settings.dim)
    outputs = len(corpus.labels) if settings.model == "supervised" else len(corpus.words)
    kinds = np.full(len(corpus.counts), LABEL, np.int8)
    kinds[: len(corpus.words)] = WORD
    args = settings.args()
    return Model(
        args, [*corpus.words, *corpus.labels], corpus.counts, kinds, corpus.tokens,
        matrix.reshape(-1, size)[:, : settings.dim], output.reshape(-1, size)[:outputs, : settings.dim],
        rows.buckets if args.bucket else None, None, settings.label_prefix,
    )  # fmt: skip
