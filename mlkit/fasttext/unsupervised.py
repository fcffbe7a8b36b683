"""Train word vectors with character n-grams (Bojanowski et al. 2017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlkit.fasttext import kernels_training as kernels
from mlkit.fasttext.dictionary import Corpus, read_corpus
from mlkit.fasttext.model import read_pretrained
from mlkit.fasttext.settings import Settings
from mlkit.fasttext.training import (
    CHUNK_TOKENS,
    LANES,
    LOSS_NUMBERS,
    Chunk,
    Job,
    Loop,
    Result,
    Rows,
    aligned_zeros,
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
from mlkit.formats.fasttext_bin import Floats
from mlkit.sweep import FindRate


def train_vectors(
    path: str, settings: Settings, job: Job | None = None, *, find_rate: FindRate | None = None
) -> Result:
    """Train skip-gram or CBOW vectors on a text, one sentence a line (or cut at 1,024 words).

    `find_rate` chooses the learning rate (see `mlkit.sweep`).
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


class WordTrainer:
    """Trains chunks of the id-encoded text."""

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
        self.total = max(1, len(corpus.ids)) * max(1, settings.epoch)

    def chunks(self, epoch: int) -> list[Chunk]:
        """Cut the text into chunks that end where lines do; the learning rate falls linearly."""
        ids, tokens = self.corpus.ids, len(self.corpus.ids)
        chunks = []
        first = 0
        while first < tokens:
            last = min(first + CHUNK_TOKENS, tokens)
            ends = np.flatnonzero(ids[last - 1 : last + CHUNK_TOKENS] == self.end_of_line)
            if len(ends):
                last += int(ends[0])
            rate = self.settings.lr * (1 - (epoch * tokens + first) / self.total)
            chunks.append((first, last, rate))
            first = last
        return chunks

    def pieces(self, epoch: int) -> list[Chunk]:
        """Cut the text into steps of a range test."""
        tokens = len(self.corpus.ids)
        count = max(1, round(tokens / PIECE_TOKENS))
        return [(tokens * k // count, tokens * (k + 1) // count, 0.0) for k in range(count)]

    def work(self, epoch: int, number: int, chunk: Chunk) -> tuple[float, float]:
        """Train one chunk; return (sum of losses, pairs)."""
        first, last, rate = chunk
        result = np.zeros(2)
        scratch = aligned_zeros(3 * self.size + padded(len(self.corpus.words)) + LANES)
        shared = (
            self.corpus.ids, first, last, self.rows.starts, self.rows.subs, self.keep, self.sizes, self.paths,
            self.path, self.noise, self.matrix, self.output, rate, self.settings.lr / self.total,
            np.uint64(chunk_seed(self.settings.seed, epoch, number)), scratch,
        )  # fmt: skip
        if self.settings.model == "cbow":
            sentence = aligned_zeros(2 * kernels.MAX_LINE * self.size)
            kernels.train_cbow(*shared, sentence, result)
        else:
            kernels.train_skipgram(*shared, result)
        return float(result[0]), float(result[1])
