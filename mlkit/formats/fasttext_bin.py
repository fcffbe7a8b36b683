"""fastText's `.bin` and `.ftz` files: layout version 12, version 11 and the one before the magic number.

Reading maps the file, so that a model of several gigabytes opens at once and only the rows that are asked for are
read. Layout: `save_model` and `load_model` of fastText 0.9.2; the oldest one: the files that gensim tests with.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import ModelError

MAGIC = 793712314
VERSION = 12
LOSSES = {1: "hs", 2: "ns", 3: "softmax", 4: "ova"}
MODELS = {1: "cbow", 2: "skipgram", 3: "supervised"}
WORD, LABEL = 0, 1
CENTROIDS = 256
ENTRY_TAIL = 10  # NUL, count and kind after a word
ENTRY_BLOCK = 1 << 20

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class FastTextArgs:
    """The settings that a file carries, under fastText's names; not the label prefix, the rate or the seed."""

    dim: int = 100
    ws: int = 5
    epoch: int = 5
    min_count: int = 5
    neg: int = 5
    word_ngrams: int = 1
    loss: str = "ns"
    model: str = "skipgram"
    bucket: int = 2_000_000
    minn: int = 3
    maxn: int = 6
    lr_update_rate: int = 100
    t: float = 1e-4


@dataclass(frozen=True)
class ProductQuantizer:
    """Codebooks of 256 centroids for every group of `dsub` columns; the last group has `last_dsub`."""

    dim: int
    dsub: int
    last_dsub: int
    centroids: Floats  # flat, dim * 256

    @property
    def groups(self) -> int:
        """Number of codes of one row."""
        return -(-self.dim // self.dsub)

    def width(self, group: int) -> int:
        """Return the number of columns of `group`."""
        return self.last_dsub if group == self.groups - 1 else self.dsub

    def codebook(self, group: int) -> Floats:
        """Return the centroids of `group`: float32 [256, width]."""
        start = group * CENTROIDS * self.dsub
        width = self.width(group)
        return self.centroids[start : start + CENTROIDS * width].reshape(CENTROIDS, width)

    def decode(self, codes: NDArray[np.uint8]) -> Floats:
        """Return the rows [n, dim] that `codes` [n, groups] stand for."""
        rows = np.empty((len(codes), self.dim), np.float32)
        for group in range(self.groups):
            start = group * self.dsub
            rows[:, start : start + self.width(group)] = self.codebook(group)[codes[:, group]]
        return rows


@dataclass(frozen=True)
class QuantMatrix:
    """A matrix kept as product-quantiser codes, with the rows' lengths apart when `norms` is not None."""

    codes: NDArray[np.uint8]  # [rows, groups]
    quantizer: ProductQuantizer
    norm_codes: NDArray[np.uint8] | None = None
    norms: ProductQuantizer | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix that the codes stand for."""
        return len(self.codes), self.quantizer.dim

    def take(self, rows: NDArray[np.integer]) -> Floats:
        """Decode the given rows: float32 [n, columns]."""
        values = self.quantizer.decode(self.codes[rows])
        if self.norms is not None and self.norm_codes is not None:
            values *= self.norms.decode(self.norm_codes[rows].reshape(-1, 1))
        return values


Matrix = Floats | QuantMatrix


@dataclass
class FastTextFile:
    """What a file holds. `words` are the words and then the labels; `counts` and `kinds` go with them."""

    args: FastTextArgs
    words: list[bytes]
    counts: NDArray[np.int64]
    kinds: NDArray[np.int8]
    tokens: int
    input: Matrix
    output: Matrix
    kept: Ints | None = None  # [n, 2]: old bucket, new row after the words; None when no bucket was cut off
    version: int = VERSION
    path: str = field(default="", compare=False)

    @property
    def word_count(self) -> int:
        """Number of words, which are the first entries."""
        return int(np.count_nonzero(self.kinds == WORD))


def read_fasttext(path: str | os.PathLike[str]) -> FastTextFile:
    """Read a `.bin` or `.ftz` file, compressed or not ("-" is stdin); matrices are views of the mapped file.

    Raises `ModelError` when the file is not fastText's, is truncated, or is of a newer version.
    """
    name = os.fspath(path)
    reader = _Reader(_content(name), name)
    magic = reader.int32()
    version = 0
    if magic == MAGIC:
        version = reader.int32()
        if not 11 <= version <= VERSION:
            raise ModelError(f"fastText file of version {version}; versions 11 and 12 are read", path=name)
        args = _read_args(reader, reader.int32())
    else:
        args = _read_args(reader, magic)
    if version == 11 and args.model == "supervised":
        args = replace(args, maxn=0)  # such models were trained without character n-grams
    words, counts, kinds, tokens, kept = _read_dictionary(reader, version)
    input_matrix = _read_matrix(reader, version, args.dim, "input")
    output_matrix = _read_matrix(reader, version, args.dim, "output")
    if reader.position != len(reader.data):
        raise ModelError(f"{len(reader.data) - reader.position} bytes too many at the end", path=name)
    file = FastTextFile(
        args, words, counts, kinds, tokens, input_matrix, output_matrix, kept, version, path=name
    )
    _check(file)
    return file


def _content(name: str) -> memoryview:
    """Map a plain file; read a compressed one or stdin."""
    from mlkit.formats.streams import open_input

    if name != "-":
        with Path(name).open("rb") as plain:
            start = plain.read(6)
            packed = start[:2] == b"\x1f\x8b" or start[:3] == b"BZh" or start[:6] == b"\xfd7zXZ\x00"
            packed = packed or start[:4] == b"\x28\xb5\x2f\xfd"
            if start and not packed:
                return memoryview(mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ))
    with open_input(name) as stream:
        return memoryview(stream.read())


class _Reader:
    """A position in the bytes of a file; every read past the end is a `ModelError`."""

    def __init__(self, data: memoryview, path: str) -> None:
        self.data = data
        self.path = path
        self.position = 0

    def fault(self, message: str) -> ModelError:
        return ModelError(message, path=self.path, hint="is this a .bin or .ftz file of fastText?")

    def take(self, size: int, what: str) -> int:
        """Step over `size` bytes and return where they began."""
        start = self.position
        if size < 0 or start + size > len(self.data):
            raise self.fault(f"truncated or not a fastText model: no room for {what}")
        self.position = start + size
        return start

    def unpack(self, layout: str, what: str = "the header") -> tuple[int, ...]:
        return struct.unpack_from(layout, self.data, self.take(struct.calcsize(layout), what))

    def int32(self) -> int:
        return self.unpack("<i")[0]

    def array(self, kind: str, count: int, what: str) -> NDArray[Any]:
        dtype = np.dtype(kind)
        start = self.take(dtype.itemsize * count, what)
        return np.frombuffer(self.data, dtype, count, start)


def _read_args(reader: _Reader, dim: int) -> FastTextArgs:
    ws, epoch, min_count, neg, word_ngrams, loss, model, bucket, minn, maxn, rate = reader.unpack("<11i")
    (t,) = reader.unpack("<d")
    if loss not in LOSSES or model not in MODELS or not 0 < dim < 1 << 20 or min(minn, maxn, bucket) < 0:
        raise reader.fault("not a fastText model: the settings make no sense")
    return FastTextArgs(
        dim, ws, epoch, min_count, neg, word_ngrams, LOSSES[loss], MODELS[model],
        bucket, minn, maxn, rate, t,
    )  # fmt: skip


def _read_dictionary(
    reader: _Reader, version: int
) -> tuple[list[bytes], NDArray[np.int64], NDArray[np.int8], int, Ints | None]:
    size, word_count, label_count = reader.unpack("<3i", "the dictionary")
    (tokens,) = reader.unpack("<q", "the dictionary")
    kept_size = reader.unpack("<q", "the dictionary")[0] if version else -1
    if min(size, word_count, label_count) < 0 or size != word_count + label_count or kept_size < -1:
        raise reader.fault("not a fastText model: the dictionary's sizes do not add up")
    words, counts, kinds = _read_entries(reader, size)
    kept = None
    if kept_size >= 0:
        kept = reader.array("<i4", 2 * kept_size, "the kept buckets").reshape(-1, 2)
    return words, counts, kinds, tokens, kept


def _read_entries(reader: _Reader, size: int) -> tuple[list[bytes], NDArray[np.int64], NDArray[np.int8]]:
    """Read `size` entries: word, NUL, count, kind. A regular expression splits a block of them at once."""
    content = reader.data.obj if isinstance(reader.data.obj, (mmap.mmap, bytes)) else bytes(reader.data)
    split = re.compile(rb"([^\0]*)\0.{9}", re.DOTALL).findall
    words: list[bytes] = []
    counts, kinds = [np.zeros(0, np.int64)], [np.zeros(0, np.int8)]
    block = ENTRY_BLOCK
    while len(words) < size:
        position = reader.position
        # the block ends with an entry (or with the NULs of a count: then that entry waits for the next block)
        last = content.rfind(b"\0", position, position + block)
        found = split(content, position, last + ENTRY_TAIL)[: size - len(words)] if last >= 0 else []
        if not found:
            if position + block >= len(content):
                raise reader.fault(
                    f"truncated or not a fastText model: {len(words)} of {size} dictionary entries"
                )
            block *= 4  # a word longer than the block
            continue
        words += found
        ends = np.cumsum(np.fromiter(map(len, found), np.int64, len(found)) + ENTRY_TAIL)
        part = np.frombuffer(content, np.uint8, int(ends[-1]), position)
        counts.append(part[ends[:, None] + np.arange(-9, -1)].view("<i8")[:, 0])
        kinds.append(part[ends - 1].view(np.int8))
        reader.position += int(ends[-1])
    return words, np.concatenate(counts), np.concatenate(kinds)


def _read_matrix(reader: _Reader, version: int, dim: int, what: str) -> Matrix:
    quantised = bool(reader.unpack("<?", f"the {what} matrix")[0]) if version else False
    if quantised:
        return _read_quantised(reader, what)
    rows, columns = reader.unpack("<2q", f"the {what} matrix")
    if rows < 0 or columns != dim:
        raise reader.fault(f"the {what} matrix has {rows} x {columns} values, but vectors have {dim}")
    return reader.array("<f4", rows * columns, f"the {what} matrix").reshape(rows, columns)


def _read_quantised(reader: _Reader, what: str) -> QuantMatrix:
    (with_norms,) = reader.unpack("<?", what)
    rows, columns = reader.unpack("<2q", what)
    size = reader.int32()
    groups = size // rows if rows > 0 else 0
    if rows <= 0 or columns <= 0 or size != rows * groups:
        raise reader.fault(f"the codes of the {what} matrix do not fit its shape")
    codes = reader.array("u1", size, f"the codes of the {what} matrix").reshape(rows, groups)
    quantizer = _read_quantizer(reader, what)
    if quantizer.dim != columns or quantizer.groups != groups:
        raise reader.fault(f"the quantiser of the {what} matrix does not fit its shape")
    if not with_norms:
        return QuantMatrix(codes, quantizer)
    norm_codes = reader.array("u1", rows, f"the norms of the {what} matrix")
    norms = _read_quantizer(reader, what)
    if norms.dim != 1:
        raise reader.fault(f"the quantiser of the norms of the {what} matrix is not of one dimension")
    return QuantMatrix(codes, quantizer, norm_codes, norms)


def _read_quantizer(reader: _Reader, what: str) -> ProductQuantizer:
    dim, groups, dsub, last_dsub = reader.unpack("<4i", f"the quantiser of the {what} matrix")
    fits = dim > 0 and dsub > 0 and 0 < last_dsub <= dsub and groups == -(-dim // dsub)
    if not fits or (groups - 1) * dsub + last_dsub != dim:
        raise reader.fault(f"the quantiser of the {what} matrix is damaged")
    centroids = reader.array("<f4", dim * CENTROIDS, f"the centroids of the {what} matrix")
    return ProductQuantizer(dim, dsub, last_dsub, centroids)


def _check(file: FastTextFile) -> None:
    """Refuse a file whose parts do not belong together, so that no later look-up leaves a matrix."""
    words = file.word_count
    if not (np.all(file.kinds[:words] == WORD) and np.all(file.kinds[words:] == LABEL)):
        raise ModelError("the labels do not follow the words", path=file.path)
    rows = file.input.shape[0] - words
    if file.kept is not None:
        buckets, targets = file.kept[:, 0], file.kept[:, 1]
        good = len(targets) == 0 or (
            targets.min() >= 0
            and targets.max() < rows
            and buckets.min() >= 0
            and buckets.max() < file.args.bucket
        )
    else:
        needed = file.args.bucket if file.args.maxn > 0 or file.args.word_ngrams > 1 else 0
        good = rows >= needed
    if not good or file.input.shape[1] != file.args.dim or file.output.shape[1] != file.args.dim:
        raise ModelError("the input matrix does not fit the dictionary", path=file.path)
    labels = len(file.words) - words
    outputs = file.output.shape[0]
    if outputs < (labels if file.args.model == "supervised" else words):
        raise ModelError(f"the output matrix has only {outputs} rows", path=file.path)


def write_fasttext(stream: BinaryIO, file: FastTextFile, rows: Iterator[Floats] | None = None) -> None:
    """Write version 12. `rows` replaces a dense `file.input` by blocks of rows that come one after the other."""
    args = file.args
    loss = {name: number for number, name in LOSSES.items()}[args.loss]
    model = {name: number for number, name in MODELS.items()}[args.model]
    stream.write(struct.pack(
        "<14id", MAGIC, VERSION, args.dim, args.ws, args.epoch, args.min_count, args.neg, args.word_ngrams,
        loss, model, args.bucket, args.minn, args.maxn, args.lr_update_rate, args.t,
    ))  # fmt: skip
    words = file.word_count
    kept = -1 if file.kept is None else len(file.kept)
    stream.write(struct.pack("<3i2q", len(file.words), words, len(file.words) - words, file.tokens, kept))
    entry = struct.Struct("<qb").pack
    stream.write(
        b"".join(
            word + b"\0" + entry(count, kind)
            for word, count, kind in zip(file.words, file.counts.tolist(), file.kinds.tolist(), strict=True)
        )
    )
    if file.kept is not None:
        stream.write(np.ascontiguousarray(file.kept, "<i4").tobytes())
    _write_matrix(stream, file.input, rows)
    _write_matrix(stream, file.output)


def _write_matrix(stream: BinaryIO, matrix: Matrix, blocks: Iterator[Floats] | None = None) -> None:
    stream.write(struct.pack("<?", isinstance(matrix, QuantMatrix)))
    if isinstance(matrix, QuantMatrix):
        _write_quantised(stream, matrix)
        return
    stream.write(struct.pack("<2q", *matrix.shape))
    for block in blocks if blocks is not None else _blocks(matrix):
        stream.write(np.ascontiguousarray(block, "<f4").data)


def _blocks(matrix: Floats) -> Iterator[Floats]:
    step = max(1, (1 << 22) // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), step):
        yield matrix[start : start + step]


def _write_quantised(stream: BinaryIO, matrix: QuantMatrix) -> None:
    stream.write(struct.pack("<?2qi", matrix.norms is not None, *matrix.shape, matrix.codes.size))
    stream.write(np.ascontiguousarray(matrix.codes).data)
    _write_quantizer(stream, matrix.quantizer)
    if matrix.norms is not None and matrix.norm_codes is not None:
        stream.write(matrix.norm_codes.tobytes())
        _write_quantizer(stream, matrix.norms)


def _write_quantizer(stream: BinaryIO, quantizer: ProductQuantizer) -> None:
    stream.write(struct.pack("<4i", quantizer.dim, quantizer.groups, quantizer.dsub, quantizer.last_dsub))
    stream.write(np.ascontiguousarray(quantizer.centroids, "<f4").tobytes())
