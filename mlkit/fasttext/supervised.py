"""Train text classifiers (Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlkit.arrays import aligned_zeros
from mlkit.errors import DataError
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
    survey_of,
    tree_paths,
    with_rate,
)
from mlkit.fasttext.model import Model, read_pretrained
from mlkit.fasttext.settings import Settings
from mlkit.formats.fasttext_bin import Floats
from mlkit.range_test import FindRate

Score = Callable[[Model], float]
FEWEST_LINES, MOST_LINES = 20, 500  # of a step of a range test


def train_supervised(
    path: str,
    settings: Settings,
    job: Job | None = None,
    *,
    score: Score | None = None,
    patience: int = 0,
    find_rate: FindRate | None = None,
) -> Result:
    """Train a classifier on a text with labels (`__label__x` tokens) in its lines.

    `score` rates the model after every epoch (such as F1 on held-out lines); with `patience` training ends when
    that many epochs brought nothing better, and the best epoch's model is returned. `find_rate` chooses the
    learning rate (see `mlkit.range_test`).
    """
    job = job or Job()
    extra = read_pretrained(settings.pretrained, settings.dim)[0] if settings.pretrained else ()
    corpus = read_corpus(
        path, min_count=settings.min_count, min_count_label=settings.min_count_label,
        label_prefix=settings.label_prefix, extra_words=extra, directory=job.directory, progress=job.progress,
    )  # fmt: skip
    return train_corpus(corpus, settings, job, score=score, patience=patience, path=path, find_rate=find_rate)


def train_corpus(
    corpus: Corpus,
    settings: Settings,
    job: Job,
    *,
    score: Score | None = None,
    patience: int = 0,
    path: str = "",
    find_rate: FindRate | None = None,
) -> Result:
    """Train on a corpus that was read before."""
    if not corpus.labels:
        raise no_label(path, settings)
    bounds = corpus.line_bounds()
    rows = collect_rows(corpus, settings, survey_of(corpus, settings, bounds))

    def fresh(own: Settings) -> LineTrainer:
        matrix = begin(corpus, own, rows)
        output = aligned_zeros(padded(len(corpus.labels)) * padded(own.dim))
        return LineTrainer(corpus, own, rows, bounds, matrix, output)

    settings = with_rate(settings, fresh, find_rate)
    trainer = fresh(settings)
    matrix, output = trainer.matrix, trainer.output
    best = Best(corpus, settings, rows, matrix, output, score, patience)
    loop = Loop(
        settings, job, identity(settings, corpus), {"input": matrix, "output": output, **best.arrays},
        trainer.chunks, trainer.work, best.after_epoch, best.state,
    )  # fmt: skip
    losses = loop.run()
    best.restore()
    model = finished(corpus, settings, rows, matrix, output)
    return Result(model, losses, best.state["scores"], best.state["best_epoch"])


def no_label(path: str, settings: Settings) -> DataError:
    """Return the fault of a text without labels."""
    message = f"no label found: no token starts with {settings.label_prefix!r}"
    return DataError(message, path=path, hint="--label sets the prefix of labels")


class LineTrainer:
    """Trains chunks of lines, in an order that every epoch shuffles anew."""

    def __init__(
        self,
        corpus: Corpus,
        settings: Settings,
        rows: Rows,
        bounds: np.ndarray[tuple[int], np.dtype[np.int64]],
        matrix: Floats,
        output: Floats,
    ) -> None:
        self.corpus, self.settings, self.rows, self.bounds = corpus, settings, rows, bounds
        self.matrix, self.output = matrix, output
        args = settings.args()
        labels = corpus.counts[len(corpus.words) :]
        self.kinds = corpus.kinds
        self.paths, self.path = tree_paths(labels, settings.loss)
        self.noise = noise_table(labels, settings.loss)
        self.sizes = np.array(
            [
                len(corpus.words), len(corpus.labels), args.word_ngrams if args.bucket else 1, args.bucket,
                padded(settings.dim), LOSS_NUMBERS[settings.loss], settings.negative,
            ],
            np.int64,
        )  # fmt: skip
        self.chunk_tokens = CHUNK_TOKENS
        self.lines = len(bounds) - 1
        self.total = max(1, int(bounds[-1])) * max(1, settings.epoch)
        self._epoch, self._order = -1, np.zeros(0, np.int32)

    def order(self, epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """Return the order of the lines in an epoch."""
        if epoch != self._epoch:
            self._order = np.arange(self.lines, dtype=np.int32)
            if self.settings.shuffle:
                np.random.Generator(np.random.SFC64([self.settings.seed, epoch])).shuffle(self._order)
            self._epoch = epoch
        return self._order

    def chunks(self, epoch: int) -> list[Chunk]:
        """Cut an epoch into chunks of lines; the learning rate falls linearly with the tokens seen."""
        tokens = max(1, int(self.bounds[-1]))
        ends = np.cumsum(np.diff(self.bounds)[self.order(epoch)])
        step = max(1, self.lines * self.chunk_tokens // tokens)
        chunks = []
        for first in range(0, self.lines, step):
            seen = epoch * tokens + (int(ends[first - 1]) if first else 0)
            chunks.append((first, min(first + step, self.lines), self.settings.lr * (1 - seen / self.total)))
        return chunks

    def pieces(self, epoch: int) -> list[Chunk]:
        """Cut an epoch into steps of a range test: a hundredth of the lines each, within bounds."""
        size = min(max(self.lines // 100, FEWEST_LINES), MOST_LINES)
        count = max(1, self.lines // size)
        return [(self.lines * k // count, self.lines * (k + 1) // count, 0.0) for k in range(count)]

    def work(self, epoch: int, number: int, chunk: Chunk) -> tuple[float, float]:
        """Train one chunk; return (sum of losses, examples)."""
        first, last, rate = chunk
        size = padded(self.settings.dim)
        scratch = aligned_zeros(3 * size + padded(len(self.corpus.labels)) + LANES)
        result = np.zeros(2)
        kernels.train_lines(
            self.corpus.ids, self.bounds, self.order(epoch), first, last, self.rows.starts, self.rows.subs,
            self.kinds, self.corpus.hashes, self.rows.bucket_rows, self.sizes, self.paths, self.path, self.noise,
            self.matrix, self.output, rate, self.settings.lr / self.total,
            np.uint64(chunk_seed(self.settings.seed, epoch, number)),
            np.empty(self.rows.longest_line + 1, np.int32), np.empty(self.rows.most_labels + 1, np.int32),
            scratch, result,
        )  # fmt: skip
        return float(result[0]), float(result[1])


class Best:
    """Held-out scores, and the best epoch's matrices where training may stop early."""

    def __init__(
        self,
        corpus: Corpus,
        settings: Settings,
        rows: Rows,
        matrix: Floats,
        output: Floats,
        score: Score | None,
        patience: int,
    ) -> None:
        self.score, self.patience = score, patience
        self.matrix, self.output = matrix, output
        self.view = (corpus, settings, rows, matrix, output)
        self.state: dict[str, Any] = {"scores": [], "best_epoch": None}
        keeps = score is not None and patience > 0
        self.arrays = {"best_input": matrix.copy(), "best_output": output.copy()} if keeps else {}

    def after_epoch(self, epoch: int, loss: float) -> bool:
        """Rate the model; say whether training goes on."""
        if self.score is None:
            return True
        scores: list[float] = self.state["scores"]
        scores.append(self.score(finished(*self.view)))
        best = int(np.argmax(scores))
        if best == len(scores) - 1:
            self.state["best_epoch"] = best + 1
            if self.arrays:
                self.arrays["best_input"][:] = self.matrix
                self.arrays["best_output"][:] = self.output
        return not self.patience or len(scores) - 1 - best < self.patience

    def restore(self) -> None:
        """Put the best epoch's matrices back."""
        if self.arrays and self.state["scores"]:
            self.matrix[:] = self.arrays["best_input"]
            self.output[:] = self.arrays["best_output"]
