"""A fastText model in memory: the dictionary, the two matrices, and which hash buckets have a row.

Only buckets that training touched have rows in mlkit's own models; fastText's files give every bucket one,
or, after `quantize -cutoff`, the kept ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, ModelError, UsageError
from mlkit.fasttext import subwords
from mlkit.formats.fasttext_bin import (
    LOSSES,
    WORD,
    FastTextArgs,
    FastTextFile,
    Floats,
    Ints,
    Matrix,
    QuantMatrix,
    read_fasttext,
    write_fasttext,
)
from mlkit.formats.schema import Array, Check, Schema, one_of, reading, real, text, whole

KIND = "fasttext"
SMALL = whole(0, (1 << 31) - 1)
_ARGS: dict[str, Check] = {
    "dim": whole(1, 1 << 20), "ws": SMALL, "epoch": SMALL, "min_count": SMALL, "neg": SMALL, "word_ngrams": SMALL,
    "loss": one_of(*LOSSES.values()), "model": one_of("skipgram", "cbow", "supervised"), "bucket": SMALL,
    "minn": SMALL, "maxn": SMALL, "lr_update_rate": SMALL, "t": real(),
}  # fmt: skip


def _good_args(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == set(_ARGS) and all(_ARGS[k](v) for k, v in value.items())


# the native file; that the parts fit each other is seen to by `_fits`
NATIVE = Schema(
    {
        "words": Array("uint8", ("bytes",)), "counts": Array("int64", ("entries",), low=0),
        "kinds": Array("int8", ("entries",), low=0, high=2), "input": Array("float32", ("rows", "dim")),
        "output": Array("float32", ("outputs", "dim")), "buckets": Array("int32", ("buckets",), optional=True),
        "bucket_rows": Array("int32", ("buckets",), optional=True),
    },
    {"args": _good_args, "tokens": whole(), "label_prefix": text},
)  # fmt: skip
LABEL_PREFIX = "__label__"
BLOCK_ROWS = 1 << 13
GATHER = 1 << 18  # floats gathered at once: they stay in the cache until they are summed


@dataclass
class Model:
    """Words (then labels), their counts, and the matrices.

    `input` has a row for every word, then one for every bucket of `buckets` (sorted), or for all
    of them when `buckets` is None. `bucket_rows` says where those rows are, when not in the order of `buckets`.
    """

    args: FastTextArgs
    words: list[bytes]
    counts: NDArray[np.int64]
    kinds: NDArray[np.int8]
    tokens: int
    input: Matrix
    output: Matrix
    buckets: Ints | None = None
    bucket_rows: Ints | None = None
    label_prefix: str = LABEL_PREFIX
    path: str = field(default="", compare=False)
    eos_ngrams: bool = (
        False  # fastText's first layout is of a time when `</s>` had n-grams as other words have
    )

    @cached_property
    def word_count(self) -> int:
        """Number of words."""
        return int(np.count_nonzero(self.kinds == WORD))

    @property
    def labels(self) -> list[bytes]:
        """The labels, with their prefix."""
        return self.words[self.word_count :]

    @cached_property
    def index(self) -> dict[bytes, int]:
        """Entry number of every word and label."""
        return dict(zip(self.words, range(len(self.words)), strict=True))

    @property
    def supervised(self) -> bool:
        """Whether this is a classifier."""
        return self.args.model == "supervised"

    def need_supervised(self) -> None:
        """Refuse a model of word vectors where a classifier is needed."""
        if not self.supervised:
            raise ModelError("holds word vectors, a classifier is needed", path=self.path or None)

    def rows_of_buckets(self, buckets: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return (input rows, which of `buckets` have a row at all)."""
        if self.buckets is None:
            return buckets.astype(np.int64) + self.word_count, np.ones(len(buckets), bool)
        if not len(self.buckets):
            return np.zeros(0, np.int64), np.zeros(len(buckets), bool)
        rows = np.take(self._row_of_bucket, buckets)
        found = rows >= 0
        return rows[found].astype(np.int64) + self.word_count, found

    @cached_property
    def _row_of_bucket(self) -> Ints:
        """For every bucket its row after the words, or -1."""
        table = np.full(self.args.bucket, -1, np.int32)
        assert self.buckets is not None
        rows = self.bucket_rows
        table[self.buckets] = np.arange(len(self.buckets)) if rows is None else rows
        return table

    def input_rows(self, rows: NDArray[np.integer]) -> Floats:
        """Return rows of the input matrix: float32 [n, dim]."""
        return take(self.input, rows)

    def rows_of_words(self, words: Sequence[bytes]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield (owner, row) of the rows that make up `words`: their own, then n-grams by length; owners ascend.

        In a pruned model n-grams without a row are left out; an untouched bucket of mlkit's native file counts
        as a zero vector and gives row -1, so that the mean is that of the full `.bin`.
        """
        get = self.index.get
        own = np.fromiter((get(word, -1) for word in words), np.int64, len(words))
        known = np.flatnonzero((own >= 0) & (own < self.word_count))
        yield known, own[known]
        args = self.args
        for owner, bucket in subwords.ngram_buckets(
            words, args.minn, args.maxn, args.bucket, of_eos=self.eos_ngrams
        ):
            rows, found = self.rows_of_buckets(bucket)
            if self.buckets is None:
                yield owner, rows
            elif self.sparse:
                every = np.full(len(bucket), -1, np.int64)
                every[found] = rows
                yield owner, every
            else:
                yield owner[found], rows

    @property
    def sparse(self) -> bool:
        """Whether buckets without a row stand for zero vectors (native files) instead of not counting (pruned)."""
        return self.buckets is not None and self.bucket_rows is None

    def word_sums(self, words: Sequence[bytes]) -> tuple[Floats, NDArray[np.int64]]:
        """Return the sum of every word's rows, float32 [words, dim], and the number of rows."""
        sums = np.zeros((len(words), self.args.dim), np.float32)
        counts = np.zeros(len(words), np.int64)
        for owner, rows in self.rows_of_words(words):
            counts += np.bincount(owner, minlength=len(words))
            self.add_rows(sums, owner, rows)
        return sums, counts

    def add_rows(self, sums: Floats, owner: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Add input rows to the rows of `sums` that `owner` (ascending) names; row -1 is a zero vector."""
        step = max(1, GATHER // self.args.dim)
        for start in range(0, len(rows), step):
            part, whose = rows[start : start + step], owner[start : start + step]
            if self.sparse:
                real = part >= 0
                part, whose = part[real], whose[real]
            if len(part):
                add_groups(sums, whose, take(self.input, part))

    def word_vectors(self, words: Sequence[bytes]) -> Floats:
        """Return the vector of every word: the mean of its rows; zero when it has none."""
        sums, counts = self.word_sums(words)
        sums /= np.maximum(counts, 1).astype(np.float32)[:, None]
        return sums

    def vocabulary_vectors(self) -> Iterator[tuple[list[bytes], Floats]]:
        """Yield (words, vectors) of the dictionary's words in blocks."""
        for start in range(0, self.word_count, BLOCK_ROWS):
            words = self.words[start : min(start + BLOCK_ROWS, self.word_count)]
            yield words, self.word_vectors(words)

    def output_rows(self) -> Floats:
        """Return the whole output matrix as float32."""
        return take(self.output, np.arange(self.output.shape[0]))


def take(matrix: Matrix, rows: NDArray[np.integer]) -> Floats:
    """Return rows of a plain or quantised matrix."""
    if isinstance(matrix, QuantMatrix):
        return matrix.take(rows)
    if matrix.flags.c_contiguous and matrix.shape[1]:
        # rows as opaque items: four times as fast, since a mapped file need not be aligned
        items = matrix.view(np.dtype((np.void, 4 * matrix.shape[1])))[:, 0]
        return np.take(items, rows).view(np.float32).reshape(len(rows), matrix.shape[1])
    chosen: Floats = matrix[rows]
    return chosen


def _small(matrix: Matrix) -> Matrix:
    """Decode a quantised matrix that takes little room: every row is then decoded once only."""
    if isinstance(matrix, QuantMatrix) and matrix.shape[0] * matrix.shape[1] <= 1 << 22:
        return matrix.take(np.arange(matrix.shape[0]))
    return matrix


def add_groups(sums: Floats, owner: NDArray[np.int64], values: Floats) -> None:
    """Add `values` [n, dim] to the rows of `sums` that `owner` (ascending) names."""
    if not len(owner):
        return
    first = np.flatnonzero(np.diff(owner, prepend=owner[0] - 1))
    sums[owner[first]] += np.add.reduceat(values, first, axis=0)


def load(path: str | os.PathLike[str], label_prefix: str = LABEL_PREFIX) -> Model:
    """Load a model: fastText's `.bin` or `.ftz`, or mlkit's native file (recognised by its content)."""
    name = os.fspath(path)
    if name != "-" and Path(name).suffix == ".safetensors":
        return _load_native(name)
    file = read_fasttext(name)
    buckets = rows = None
    if file.kept is not None:
        order = np.argsort(file.kept[:, 0], kind="stable")
        buckets, rows = file.kept[order, 0], file.kept[order, 1]
    return Model(
        file.args, file.words, file.counts, file.kinds, file.tokens, _small(file.input), file.output,
        buckets, rows, label_prefix, name, file.version == 0,
    )  # fmt: skip


def save(path: str | os.PathLike[str] | BinaryIO, model: Model) -> None:
    """Write a model: the native file when the name ends in `.safetensors`, else fastText's layout, version 12.

    A stream in place of a name gets fastText's layout.
    """
    from mlkit.formats.streams import open_output

    if not isinstance(path, (str, os.PathLike)):
        _write_bin(path, model)
    elif Path(path).suffix == ".safetensors":
        _save_native(path, model)
    else:
        with open_output(path) as stream:
            _write_bin(stream, model)


def _write_bin(stream: BinaryIO, model: Model) -> None:
    kept = None
    if model.bucket_rows is not None and model.buckets is not None:
        kept = np.stack([model.buckets, model.bucket_rows], axis=1)
    blocks = None
    shape_source = model.input
    if model.sparse:
        rows = model.word_count + model.args.bucket
        blocks = _spread(model, rows)
        # a view that has the right shape but no memory behind it: `blocks` gives the content
        shape_source = np.broadcast_to(np.float32(0), (rows, model.args.dim))
    file = FastTextFile(
        model.args, model.words, model.counts, model.kinds, model.tokens, shape_source, model.output, kept
    )
    write_fasttext(stream, file, blocks)


def compacted(model: Model) -> Model:
    """Return the model without the buckets whose rows are all zeros: those that training did not touch.

    Of a classifier of the original, whose untouched rows hold random numbers, nothing can be left out.
    """
    if model.buckets is not None or isinstance(model.input, QuantMatrix):
        return model
    words = model.word_count
    used = [np.zeros(0, np.int64)]
    for start in range(words, len(model.input), BLOCK_ROWS):
        block = model.input[start : start + BLOCK_ROWS]
        used.append(np.flatnonzero(block.any(axis=1)) + start - words)
    buckets = np.concatenate(used).astype(np.int32)
    rows = np.concatenate([np.arange(words), buckets.astype(np.int64) + words])
    return replace(model, input=model.input[rows], buckets=buckets)


def _spread(model: Model, rows: int) -> Iterator[Floats]:
    """Yield the rows of the full matrix, zeros where no bucket has a row."""
    assert model.buckets is not None
    assert not isinstance(model.input, QuantMatrix)
    words = model.word_count
    for start in range(0, words, BLOCK_ROWS):
        yield model.input[start : min(start + BLOCK_ROWS, words)]
    for start in range(0, rows - words, BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, rows - words)
        block = np.zeros((stop - start, model.args.dim), np.float32)
        low, high = np.searchsorted(model.buckets, [start, stop])
        block[model.buckets[low:high] - start] = model.input[words + low : words + high]
        yield block


def _save_native(path: str | os.PathLike[str], model: Model) -> None:
    from mlkit.formats.model_file import save_model

    if isinstance(model.input, QuantMatrix) or isinstance(model.output, QuantMatrix):
        raise UsageError("a quantised model is written as .ftz, the native file holds plain matrices")
    header: dict[str, Any] = {
        "args": asdict(model.args), "tokens": model.tokens, "label_prefix": model.label_prefix,
    }  # fmt: skip
    text = b"\0".join(model.words)
    tensors: dict[str, NDArray[Any]] = {
        "words": np.frombuffer(text, np.uint8), "counts": model.counts, "kinds": model.kinds,
        "input": model.input, "output": model.output,
    }  # fmt: skip
    if model.buckets is not None:
        tensors["buckets"] = model.buckets
    if model.bucket_rows is not None:
        tensors["bucket_rows"] = model.bucket_rows
    save_model(path, KIND, header, tensors)


def _load_native(name: str) -> Model:
    from mlkit.formats.model_file import load_model

    header, tensors = load_model(name, KIND)
    NATIVE.check(header, tensors, name)
    with reading(name, "fastText model"):
        words = tensors["words"].tobytes().split(b"\0") if len(tensors["counts"]) else []
        model = Model(
            FastTextArgs(**header["args"]), words, tensors["counts"], tensors["kinds"], int(header["tokens"]),
            tensors["input"], tensors["output"], tensors.get("buckets"), tensors.get("bucket_rows"),
            str(header["label_prefix"]), name,
        )  # fmt: skip
    if not _fits(model):
        raise ModelError("damaged fastText model: the parts do not fit", path=name)
    return model


def _fits(model: Model) -> bool:
    """Say whether no look-up can leave the matrices."""
    words, entries = model.word_count, len(model.counts)
    if len(model.words) != entries or len(model.kinds) != entries or np.any(model.kinds[words:] == WORD):
        return False
    if any(
        len(matrix.shape) != 2 or matrix.shape[1] != model.args.dim for matrix in (model.input, model.output)
    ):
        return False
    if model.output.shape[0] < (entries - words if model.supervised else words) or model.args.bucket < 0:
        return False
    rows = model.input.shape[0] - words
    if model.buckets is None:
        return bool(rows >= model.args.bucket)
    places = np.arange(len(model.buckets)) if model.bucket_rows is None else model.bucket_rows
    if len(places) != len(model.buckets):
        return False
    buckets = model.buckets
    return not len(buckets) or bool(
        buckets.min() >= 0 and buckets.max() < model.args.bucket and places.min() >= 0 and places.max() < rows
    )


def read_pretrained(path: str, dim: int) -> tuple[list[bytes], Floats]:
    """Read `-pretrainedVectors`, a .vec file of the model's dimension."""
    from mlkit.formats.vectors import load_vectors

    words, matrix = load_vectors(path)
    if matrix.shape[1] != dim:
        raise DataError(f"the vectors have {matrix.shape[1]} dimensions, --dim is {dim}", path=path)
    return [word.encode("utf-8", "surrogateescape") for word in words], matrix
