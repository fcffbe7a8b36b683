"""A model's parts as text, as `fasttext dump` prints them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mlkit.errors import UsageError
from mlkit.fasttext.model import BLOCK_ROWS, Model, take
from mlkit.formats.fasttext_bin import WORD, Matrix, QuantMatrix

_MODELS = {"supervised": "sup", "skipgram": "sg", "cbow": "cbow"}


def dump_lines(model: Model, what: str) -> Iterator[bytes]:
    """Yield the lines of a part: args, dict, input or output."""
    if what == "args":
        return _args(model)
    if what == "dict":
        return _dictionary(model)
    if what in ("input", "output"):
        return _matrix(model.input if what == "input" else model.output)
    raise UsageError(f"{what!r} is not a part of a model", hint="choose args, dict, input or output")


def _args(model: Model) -> Iterator[bytes]:
    args = model.args
    loss = "one-vs-all" if args.loss == "ova" else args.loss
    pairs = {
        "dim": args.dim, "ws": args.ws, "epoch": args.epoch, "minCount": args.min_count, "neg": args.neg,
        "wordNgrams": args.word_ngrams, "loss": loss, "model": _MODELS[args.model], "bucket": args.bucket,
        "minn": args.minn, "maxn": args.maxn, "lrUpdateRate": args.lr_update_rate, "t": f"{args.t:.6g}",
    }  # fmt: skip
    for name, value in pairs.items():
        yield f"{name} {value}".encode()


def _dictionary(model: Model) -> Iterator[bytes]:
    yield str(len(model.words)).encode()
    for word, count, kind in zip(model.words, model.counts.tolist(), model.kinds.tolist(), strict=True):
        yield b"%b %d %b" % (word, count, b"word" if kind == WORD else b"label")


def _matrix(matrix: Matrix) -> Iterator[bytes]:
    if isinstance(matrix, QuantMatrix):
        raise UsageError("the matrix is quantised, it cannot be printed")
    yield b"%d %d" % matrix.shape
    for start in range(0, len(matrix), BLOCK_ROWS):
        for row in take(matrix, np.arange(start, min(start + BLOCK_ROWS, len(matrix)))).tolist():
            yield " ".join([f"{value:.6g}" for value in row]).encode()
