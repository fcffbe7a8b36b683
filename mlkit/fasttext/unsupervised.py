"""Train word vectors with character n-grams (Bojanowski et al. 2017)."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlkit.arrays import aligned_zeros
from mlkit.fasttext import kernels_training as kernels
from mlkit.fasttext.dictionary import Corpus, read_corpus
from mlkit.fasttext.loop import (
    CHUNK_TOKENS,
    LANES,
    LOSS_NUMBERS,
    Chunk,
    Job,
    Loop,
    Result,
    Rows,
    begin,
    chunk_seed,
    collect_rows,
    finished,
    identity,
    noise_table,
    padded,
    tree_paths,
    with_rate,
)
from mlkit.fasttext.model import read_pretrained
from mlkit.fasttext.settings import Settings
from mlkit.formats.fasttext_bin import Floats, Ints
from mlkit.range_test import FindRate

Longs = NDArray[np.int64]


def train_vectors(
    path: str, settings: Settings, job: Job | None = None, *, find_rate: FindRate | None = None
) -> Result:
    """Train skip-gram or CBOW vectors on a text, one sentence a line (or cut at 1,024 words).

    `find_rate` chooses the learning rate (see `mlkit.range_test`).
    """
    job = job or Job()
    extra = read_pretrained(settings.pretrained, settings.dim)[0] if settings.pretrained else ()
    corpus = read_corpus(
        path, min_count=settings.min_count, min_count_label=settings.min_count_label,
        label_prefix=settings.label_prefix, extra_words=extra, keep_rare=False, directory=job.directory,
        progress=job.progress,
    )  # fmt: skip
    corpus.rare.clear()  # their vectors come from n-grams that other words trained
    corpus.hashes = corpus.hashes[: len(corpus.words) + len(corpus.labels)]
    rows = collect_rows(corpus, settings)

    def fresh(own: Settings) -> WordTrainer:
        matrix = begin(corpus, own, rows)
        output = aligned_zeros(padded(len(corpus.words)) * padded(own.dim))
        return WordTrainer(corpus, own, rows, matrix, output)

    settings = with_rate(settings, fresh, find_rate)
    trainer = fresh(settings)
    matrix, output = trainer.matrix, trainer.output
    loop = Loop(
        settings, job, identity(settings, corpus), {"input": matrix, "output": output},
        trainer.chunks, trainer.work,
    )  # fmt: skip
    losses = loop.run()
    return Result(finished(corpus, settings, rows, matrix, output), losses)


def keep_thresholds(counts: NDArray[np.int64], tokens: int, sample: float) -> NDArray[np.uint32]:
    """Return for every word the largest 32-bit random number at which an occurrence is kept.

    The probability is sqrt(t/f) + t/f with f the share of all tokens of the text, rare words included.
    """
    if sample <= 0:
        return np.full(len(counts), 0xFFFFFFFF, np.uint32)
    relative = sample * tokens / np.maximum(counts, 1)
    return (np.minimum(np.sqrt(relative) + relative, 1.0) * 0xFFFFFFFF).astype(np.uint32)


PIECE_TOKENS = 10_000  # of a step of a range test
BLOCK_TOKENS = 256  # at least, but for the end of a text without line ends


def block_bounds(ids: Ints, end_of_line: int) -> Longs:
    """Return where the blocks of a text begin, and its length.

    A block is about 256 tokens in whole lines, or at most 1,024 tokens of one line. Blocks are what an epoch visits in
    a new order. That matters: on 10 MB of an encyclopaedia, two epochs in the
    order of the text lose 4 points of SimLex-999 and a third of the analogies. The original reads in order too, but
    with its twelve threads from twelve places at once, and loses as much with `-thread 2`.
    """
    ends = np.flatnonzero(ids == end_of_line) + 1
    cuts = ends[:-1][np.diff(ends // BLOCK_TOKENS) > 0]
    bounds = np.unique(np.concatenate([[0], cuts, ends[-1:], [len(ids)]]))
    pieces = -(-np.diff(bounds) // kernels.MAX_LINE)
    within = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.append(np.repeat(bounds[:-1], pieces) + kernels.MAX_LINE * within, len(ids))


class Order(NamedTuple):
    """An epoch's order: the numbers of the blocks, and how many tokens come before each (and in all)."""

    epoch: int
    places: Longs
    seen: Longs


class WordTrainer:
    """Trains chunks of the id-encoded text, in an order of blocks that every epoch shuffles anew."""

    def __init__(
        self, corpus: Corpus, settings: Settings, rows: Rows, matrix: Floats, output: Floats
    ) -> None:
        self.corpus, self.settings, self.rows = corpus, settings, rows
        self.matrix, self.output = matrix, output
        counts = corpus.counts[: len(corpus.words)]
        self.keep = keep_thresholds(counts, corpus.tokens, settings.sample)
        self.paths, self.path = tree_paths(counts, settings.loss)
        self.noise = noise_table(counts, settings.loss)
        self.end_of_line = corpus.end_of_line
        self.size = padded(settings.dim)
        self.sizes = np.array(
            [self.end_of_line, len(counts), settings.window, settings.negative, self.size,
             LOSS_NUMBERS[settings.loss]],
            np.int64,
        )  # fmt: skip
        self.chunk_tokens = CHUNK_TOKENS
        self.total = max(1, len(corpus.ids)) * max(1, settings.epoch)
        self.blocks = block_bounds(corpus.ids, self.end_of_line)
        self._order = Order(-1, self.blocks[:0], self.blocks[:0])

    def order(self, epoch: int) -> Order:
        """Return the blocks of the text in an epoch's order."""
        if self._order.epoch != epoch:
            places = np.arange(len(self.blocks) - 1)
            if self.settings.shuffle:
                np.random.Generator(np.random.SFC64([self.settings.seed, epoch])).shuffle(places)
            sizes = self.blocks[places + 1] - self.blocks[places]
            self._order = Order(epoch, places, np.concatenate([[0], np.cumsum(sizes)]))
        return self._order

    def chunks(self, epoch: int) -> list[Chunk]:
        """Cut an epoch into chunks of blocks; the learning rate falls linearly."""
        seen = self.order(epoch).seen
        tokens = int(seen[-1])
        return [
            (first, last, self.settings.lr * (1 - (epoch * tokens + int(seen[first])) / self.total))
            for first, last in self._parts(seen, self.chunk_tokens)
        ]

    def pieces(self, epoch: int) -> list[Chunk]:
        """Cut an epoch into steps of a range test."""
        return [(first, last, 0.0) for first, last in self._parts(self.order(epoch).seen, PIECE_TOKENS)]

    @staticmethod
    def _parts(seen: Longs, size: int) -> list[tuple[int, int]]:
        cuts = np.searchsorted(seen, np.arange(0, int(seen[-1]), size))
        return list(pairwise(np.unique([*cuts.tolist(), len(seen) - 1]).tolist()))

    def text(self, epoch: int, chunk: Chunk) -> Ints:
        """Return the ids of a chunk."""
        ids, blocks = self.corpus.ids, self.blocks
        return np.concatenate(
            [ids[blocks[k] : blocks[k + 1]] for k in self.order(epoch).places[chunk[0] : chunk[1]]]
        )

    def work(self, epoch: int, number: int, chunk: Chunk) -> tuple[float, float]:
        """Train one chunk; return (sum of losses, pairs)."""
        rate, text = chunk[2], self.text(epoch, chunk)
        result = np.zeros(2)
        scratch = aligned_zeros(3 * self.size + padded(len(self.corpus.words)) + LANES)
        shared = (
            text, 0, len(text), self.rows.starts, self.rows.subs, self.keep, self.sizes, self.paths,
            self.path, self.noise, self.matrix, self.output, rate, self.settings.lr / self.total,
            np.uint64(chunk_seed(self.settings.seed, epoch, number)), scratch,
        )  # fmt: skip
        if self.settings.model == "cbow":
            sentence = aligned_zeros(2 * kernels.MAX_LINE * self.size)
            kernels.train_cbow(*shared, sentence, result)
        else:
            kernels.train_skipgram(*shared, result)
        return float(result[0]), float(result[1])
