"""Co-occurrence counts on disk: mlkit's own compact rows, and the records of Stanford's GloVe.

mlkit's file: 4096 bytes of header (magic, then JSON padded with spaces), the rows one after another (see
`embeddings.kernels_cooccur`: columns and weights as variable-length numbers; of a symmetric matrix the lower
half), padding to 8 bytes, the ends of the rows (int64, from 0), then the vocabulary: counts, ends of words (int64),
bytes of words. Weights are whole numbers of 1/scale, so that sums do not depend on the order.

GloVe's file: records of int32 word, int32 word (ranks from 1), float64 weight, nothing else.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from mlkit.errors import ModelError, UsageError
from mlkit.formats.streams import PathLike, open_output
from mlkit.formats.vocabulary import Ints, Vocabulary, raw

HEADER = 4096
MAGIC = b"MLKITCOO"
FORMAT = 1
RECORD = np.dtype([("word", "<i4"), ("context", "<i4"), ("weight", "<f8")])
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Cooccurrences:
    """A matrix of co-occurrence weights on a memory map.

    data: uint8, the rows; ends: int64[words + 1], where each row begins; header: words, records (of the full
    matrix), scale, symmetric, window, distance_weighting, vocabulary (its fingerprint).
    """

    path: str
    data: Bytes
    ends: Ints
    header: dict[str, Any]
    mapped: mmap.mmap

    def rows(self, first: int, last: int) -> Bytes:
        """Return a copy of the bytes of rows first..last-1; pages of the file do not stay in this process."""
        copy = self.data[self.ends[first] : self.ends[last]].copy()
        self.release()
        return copy

    def release(self) -> None:
        """Let go of the pages of the file that are in the memory of this process."""
        self.mapped.madvise(mmap.MADV_DONTNEED)

    def blocks(
        self, size: int = 4 << 20, first: int = 0, *, stay: bool = False
    ) -> Iterator[tuple[int, int, Bytes]]:
        """Yield (first, last, bytes) of the rows from `first` on, `size` bytes of them at a time or one row.

        stay: the bytes are those of the file, whose pages may stay in memory, not copies.
        """
        while first < self.words:
            last = max(int(np.searchsorted(self.ends, self.ends[first] + size, "right")) - 1, first + 1)
            whole = self.data[self.ends[first] : self.ends[last]] if stay else self.rows(first, last)
            yield first, last, whole
            first = last

    @property
    def words(self) -> int:
        return int(self.header["words"])

    @property
    def symmetric(self) -> bool:
        return bool(self.header["symmetric"])

    @property
    def scale(self) -> float:
        return float(self.header["scale"])

    @classmethod
    def open(cls, path: PathLike) -> Cooccurrences:
        """Map a file; raises `ModelError` for another kind, a newer format or a truncated file."""
        with open(path, "rb") as file:
            return cls.map(file, os.fspath(path))

    @classmethod
    def map(cls, file: BinaryIO, path: str) -> Cooccurrences:
        """Map an open file; `path` is for messages."""
        file.seek(0)
        header = _read_header(file.read(HEADER), path)
        size = os.fstat(file.fileno()).st_size
        if size != _vocabulary_start(header) + 16 * header["words"] + 8 + header["bytes"]:
            raise ModelError("is cut short or damaged", path=path)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        content = np.frombuffer(mapped, np.uint8)
        start = _ends_start(header)
        ends = content[start : start + 8 * (header["words"] + 1)].view(np.int64)
        data = content[HEADER : HEADER + header["size"]]
        if ends[0] != 0 or ends[-1] != header["size"] or np.any(np.diff(ends) < 1):
            raise ModelError("its table of rows is damaged", path=path)
        return cls(path, data, ends, header, mapped)

    def vocabulary(self) -> Vocabulary:
        """Read the vocabulary that the file carries."""
        words = self.words
        with open(self.path, "rb") as file:
            file.seek(_vocabulary_start(self.header))
            counts = np.fromfile(file, np.int64, words)
            offsets = np.fromfile(file, np.int64, words + 1)
            blob = np.fromfile(file, np.uint8, self.header["bytes"])
        found = Vocabulary(blob, offsets, counts)
        if found.fingerprint != self.header["vocabulary"]:
            raise ModelError("its vocabulary is damaged", path=self.path)
        return found


def is_cooccurrences(path: PathLike) -> bool:
    """Say whether a file begins as mlkit's co-occurrence files do."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class RowWriter:
    """Write rows in order; the vocabulary and the header come last."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.lengths: list[Ints] = []
        self.records = 0
        file.write(b" " * HEADER)

    def write(self, rows: Bytes, lengths: Ints, records: int) -> None:
        """Append rows of the given lengths in bytes, which stand for `records` entries of the full matrix."""
        self.records += records
        self.file.write(raw(rows))
        self.lengths.append(lengths)

    def finish(self, vocabulary: Vocabulary, facts: dict[str, Any]) -> None:
        """Complete the file; `facts` are what the header says of the counting."""
        ends = np.zeros(len(vocabulary) + 1, np.int64)
        if self.lengths:
            np.cumsum(np.concatenate(self.lengths), out=ends[1:])
        header = facts | {
            "format": FORMAT, "words": len(vocabulary), "size": int(ends[-1]), "bytes": len(vocabulary.blob),
            "records": self.records, "vocabulary": vocabulary.fingerprint,
        }  # fmt: skip
        self.file.write(b"\0" * (_ends_start(header) - HEADER - header["size"]))
        for array in (ends, vocabulary.counts, vocabulary.offsets, vocabulary.blob):
            self.file.write(raw(array))
        block = MAGIC + json.dumps(header, sort_keys=True).encode()
        self.file.seek(0)
        self.file.write(block.ljust(HEADER))
        self.file.seek(0, 2)
        self.file.flush()


@contextmanager
def row_writer(path: PathLike) -> Iterator[RowWriter]:
    """Open a file of rows that appears whole at the end of the block."""
    with open_output(path) as file:
        if not file.seekable():
            raise UsageError(
                f"{os.fspath(path)}: mlkit's co-occurrence format needs a regular, uncompressed file",
                hint="--format glove can be written to a pipe",
            )
        yield RowWriter(file)


def map_records(path: PathLike) -> npt.NDArray[Any]:
    """Map a file of GloVe's records; raises `ModelError` for a size that is no multiple of 16."""
    size = Path(path).stat().st_size
    if size % RECORD.itemsize:
        raise ModelError(f"is not a file of GloVe's records: {size} bytes are no multiple of 16", path=path)
    if not size:
        return np.empty(0, RECORD)
    with open(path, "rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), RECORD)


def _ends_start(header: dict[str, Any]) -> int:
    return (HEADER + int(header["size"]) + 7) // 8 * 8


def _vocabulary_start(header: dict[str, Any]) -> int:
    return _ends_start(header) + 8 * (int(header["words"]) + 1)


def _read_header(block: bytes, path: str) -> dict[str, Any]:
    if not block.startswith(MAGIC):
        raise ModelError("is not a co-occurrence file of mlkit", path=path)
    try:
        header: dict[str, Any] = json.loads(block[len(MAGIC) :])
        if header["format"] > FORMAT:
            raise ModelError("was written by a newer mlkit", path=path)
        for key in ("words", "size", "bytes", "scale", "window", "records"):
            if not isinstance(header[key], int) or not 0 <= header[key] < 1 << 60:
                raise ValueError(key)
        if header["scale"] < 1:
            raise ValueError("scale")
        for key in ("symmetric", "distance_weighting", "vocabulary"):
            header[key]
        return header
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError("its header is damaged", path=path) from error
