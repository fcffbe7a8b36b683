"""Make a classifier small: keep the longest rows, train on, and code the matrices (Joulin et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mlkit.arrays import aligned_zeros
from mlkit.errors import DataError, ModelError, UsageError
from mlkit.fasttext import kernels_dictionary
from mlkit.fasttext import kernels_quantize as kernels
from mlkit.fasttext.dictionary import Corpus, read_corpus
from mlkit.fasttext.loop import Job, Loop, Rows, identity, padded
from mlkit.fasttext.model import BLOCK_ROWS, Model, take
from mlkit.fasttext.settings import Settings
from mlkit.fasttext.subwords import EOS
from mlkit.fasttext.supervised import LineTrainer
from mlkit.formats.fasttext_bin import CENTROIDS, Floats, Ints, ProductQuantizer, QuantMatrix
from mlkit.progress import Progress, Report, silent

MAX_POINTS = CENTROIDS * 256
ITERATIONS = 25
SEED = 1234


def quantise(
    model: Model,
    *,
    cutoff: int = 0,
    retrain: str | None = None,
    qnorm: bool = False,
    qout: bool = False,
    dsub: int = 2,
    epoch: int = 5,
    lr: float = 0.1,
    seed: int = 1,
    threads: int = 1,
    progress: Progress = silent,
) -> Model:
    """Return a quantised copy of a classifier.

    `cutoff` keeps that many input rows, those of the greatest length, and `</s>`; `retrain` names a text to
    train on afterwards. Raises `ModelError` for word vectors and for a model that is quantised already.
    """
    model.need_supervised()
    if isinstance(model.input, QuantMatrix) or (model.path and model.path.endswith(".ftz")):
        raise ModelError("is quantised already", path=model.path)
    if dsub < 1 or dsub > model.args.dim:
        raise UsageError(f"--dsub must lie between 1 and the dimension {model.args.dim}")
    rows = model.input.shape[0]
    if model.sparse or 0 < cutoff < rows:  # buckets that hold nothing are cut off in any case
        model = prune(model, min(cutoff or rows, rows))
        if retrain is not None:
            model = train_on(model, retrain, Job(threads=threads, progress=progress), epoch, lr, seed)
    small = replace(
        model,
        input=quantise_matrix(np.asarray(model.input), dsub, qnorm, progress, "input"),
        output=quantise_matrix(model.output_rows(), 2, qnorm, progress, "output")
        if qout
        else model.output_rows(),
    )
    return small


def prune(model: Model, cutoff: int) -> Model:
    """Keep the `cutoff` longest input rows, words and n-grams together, `</s>` in any case."""
    dense = np.asarray(model.input)
    rows = len(dense)
    norms = np.concatenate(
        [np.linalg.norm(dense[start : start + BLOCK_ROWS], axis=1) for start in range(0, rows, BLOCK_ROWS)]
    )
    eos = model.index.get(EOS, -1)
    if eos >= 0:
        norms[eos] = np.inf
    kept = np.sort(np.argsort(-norms, kind="stable")[:cutoff])
    count = model.word_count
    words, grams = kept[kept < count], kept[kept >= count] - count
    if model.buckets is not None:
        grams = model.buckets[grams].astype(np.int64)
    entries = np.concatenate([words, np.arange(count, len(model.words))])
    return replace(
        model,
        words=[model.words[i] for i in entries.tolist()],
        counts=model.counts[entries],
        kinds=model.kinds[entries],
        input=take(model.input, kept),
        buckets=grams.astype(np.int32),
        bucket_rows=np.arange(len(grams), dtype=np.int32),
    )


def quantise_matrix(
    matrix: Floats, dsub: int, with_norms: bool, progress: Progress = silent, name: str = "matrix"
) -> QuantMatrix:
    """Code a matrix by groups of `dsub` columns; `with_norms` codes the rows' lengths apart."""
    rows = len(matrix)
    if rows < CENTROIDS:
        raise DataError(f"the {name} matrix has {rows} rows, quantisation needs at least {CENTROIDS}")
    generator = np.random.Generator(np.random.SFC64(SEED))
    norm_codes, norms = None, None
    if with_norms:
        lengths = np.linalg.norm(matrix, axis=1).astype(np.float32)
        matrix = (matrix / np.where(lengths > 0, lengths, 1)[:, None]).astype(np.float32)
        norms, codes = _learn(lengths[:, None], 1, generator, lambda done: None)
        norm_codes = codes[:, 0]
    quantizer, codes = _learn(
        matrix, dsub, generator, lambda done: progress(Report(f"{name} matrix", done, 1.0))
    )
    return QuantMatrix(codes, quantizer, norm_codes, norms)


def _learn(
    matrix: Floats, dsub: int, generator: np.random.Generator, tell: Callable[[float], None]
) -> tuple[ProductQuantizer, NDArray[np.uint8]]:
    rows, dim = matrix.shape
    groups = -(-dim // dsub)
    last = dim - (groups - 1) * dsub
    codes = np.empty((rows, groups), np.uint8)
    books = []
    sample = generator.permutation(rows)[:MAX_POINTS]
    for group in range(groups):
        part = np.ascontiguousarray(matrix[:, group * dsub : group * dsub + dsub], np.float32)
        width = part.shape[1]
        points = part[sample]
        book = np.ascontiguousarray(points[generator.permutation(len(points))[:CENTROIDS]]).ravel()
        table = np.empty((width + 1) * CENTROIDS, np.float32)
        scores = np.empty(CENTROIDS + kernels.LANES, np.float32)
        kernels.cluster(
            points.ravel(), width, book, ITERATIONS, generator.random(1 << 12), table, scores,
            np.empty(CENTROIDS * width), np.empty(CENTROIDS, np.int64),
        )  # fmt: skip
        column = np.empty(rows, np.uint8)
        kernels.encode(part.ravel(), width, book, column, table, scores)
        codes[:, group] = column
        books.append(book)
        tell((group + 1) / groups)
    return ProductQuantizer(dim, dsub, last, np.concatenate(books)), codes


def train_on(model: Model, path: str, job: Job, epoch: int, lr: float, seed: int) -> Model:
    """Train a pruned classifier on a text, with its dictionary as it is."""
    args = model.args
    settings = replace(
        Settings.of("supervised"), lr=lr, epoch=epoch, dim=args.dim, negative=args.neg, loss=args.loss,
        word_ngrams=args.word_ngrams, bucket=args.bucket, minn=args.minn, maxn=args.maxn,
        label_prefix=model.label_prefix, seed=seed,
    )  # fmt: skip
    corpus = _with_dictionary(
        read_corpus(path, label_prefix=model.label_prefix, progress=job.progress), model
    )
    bounds = corpus.line_bounds()
    rows = _rows_of(corpus, model, bounds)
    size = padded(args.dim)
    matrix = aligned_zeros(model.input.shape[0] * size)
    matrix.reshape(-1, size)[:, : args.dim] = np.asarray(model.input)
    output = aligned_zeros(padded(len(model.labels)) * size)
    output.reshape(-1, size)[: len(model.labels), : args.dim] = model.output_rows()
    trainer = LineTrainer(corpus, settings, rows, bounds, matrix, output)
    Loop(settings, job, identity(settings, corpus), {}, trainer.chunks, trainer.work).run()
    return replace(
        model, input=matrix.reshape(-1, size)[:, : args.dim],
        output=output.reshape(-1, size)[: len(model.labels), : args.dim].copy(),
    )  # fmt: skip


def _with_dictionary(corpus: Corpus, model: Model) -> Corpus:
    """Renumber a corpus: the model's words and labels first, as it has them, then words it does not know."""
    names = [*corpus.words, *corpus.labels]
    known = np.array([model.index.get(name, -1) for name in names], np.int64)
    is_word = np.arange(len(names)) < len(corpus.words)
    # a word of the text may be a label of the model, if the prefix was another: it is then neither
    known[(known >= 0) & ((known < model.word_count) != is_word)] = -1
    rare = np.flatnonzero((known < 0) & is_word)
    lost = np.flatnonzero((known < 0) & ~is_word)
    size = len(model.words)
    known[rare] = size + np.arange(len(rare))
    known[lost] = size + len(rare) + np.arange(len(lost))
    kernels_dictionary.renumber(corpus.ids, known.astype(np.int32), size + len(names))
    hashes = np.zeros(size + len(rare) + len(lost), np.uint32)
    hashes[known] = corpus.hashes
    counts = np.asarray(model.counts)
    return Corpus(
        corpus.ids, model.words[: model.word_count], model.labels, counts,
        [names[i] for i in rare.tolist()], hashes, corpus.tokens,
    )  # fmt: skip


def _rows_of(corpus: Corpus, model: Model, bounds: NDArray[np.int64]) -> Rows:
    """Return the rows that the model has for every token."""
    texts = [*corpus.words, *corpus.rare]
    parts = list(model.rows_of_words(texts))
    owner = np.concatenate([part[0] for part in parts])
    row = np.concatenate([part[1] for part in parts])
    counts = np.bincount(owner, minlength=len(texts))
    sizes = np.zeros(len(corpus.hashes), np.int64)
    sizes[: len(corpus.words)] = counts[: len(corpus.words)]
    first = len(corpus.words) + len(corpus.labels)
    sizes[first : first + len(corpus.rare)] = counts[len(corpus.words) :]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    subs = row[np.argsort(owner, kind="stable")].astype(np.int32)
    args = model.args
    bucket_rows: Ints = np.full(max(args.bucket, 1), -1, np.int32)
    if model.buckets is not None and model.bucket_rows is not None:
        bucket_rows[model.buckets] = model.bucket_rows + model.word_count
    most = np.zeros(2, np.int64)
    used = np.zeros(max(args.bucket, 1), np.uint8)
    kernels_dictionary.survey_lines(
        corpus.ids, bounds, corpus.hashes, corpus.kinds, starts, args.word_ngrams if args.bucket else 1,
        args.bucket, used, most,
    )  # fmt: skip
    return Rows(starts, subs, np.zeros(0, np.int32), bucket_rows, int(most[0]), int(most[1]))
