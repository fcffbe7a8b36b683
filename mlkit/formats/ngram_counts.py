"""Files of n-gram counts: text as SRILM writes it (``words<TAB>count``), and a compact binary form."""

from __future__ import annotations

import tempfile
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from mlkit.formats import kernels_words as kernels
from mlkit.formats.lm_binary import SectionWriter
from mlkit.formats.lm_words import LmVocabulary

KIND = "n-gram counts"
_WAITING = 8 << 20  # bytes of counts that wait in memory
Grams = npt.NDArray[np.int32]
Counts = npt.NDArray[np.float64]


def format_count(count: float) -> str:
    """Write a count: whole ones without a point."""
    return str(int(count)) if count == int(count) else repr(float(count))


class TextCountWriter:
    """Write count lines: order by order, n-grams sorted by their last word, then the word before, ..."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def begin(self, vocabulary: LmVocabulary) -> None:
        """Learn the words."""
        self._vocabulary = vocabulary
        # words are copied eight bytes at a time
        self._blob = np.concatenate((vocabulary.blob, np.zeros(8, np.uint8)))

    def prepare(self, level: int, grams: Grams, counts: Counts) -> Any:
        """Return the lines of n-grams."""
        vocabulary = self._vocabulary
        whole = counts.astype(np.int64)
        if (whole == counts).all():
            room = int(kernels.words_size(grams, self._blob, vocabulary.starts)) + 21 * len(grams) + 8
            out = np.empty(room, np.uint8)
            return out[: kernels.format_counts(grams, whole, self._blob, vocabulary.starts, out)]
        words = vocabulary.words
        lines = (
            " ".join([words[i] for i in gram]) + "\t" + format_count(count) + "\n"
            for gram, count in zip(grams.tolist(), counts.tolist(), strict=True)
        )
        return np.frombuffer("".join(lines).encode(), np.uint8)

    def write(self, level: int, prepared: Any) -> None:
        """Write prepared lines."""
        self._stream.write(memoryview(prepared))

    def finish(self, header: dict[str, Any], order: int) -> None:
        """Nothing is left to be written."""


class BinaryCountWriter:
    """Write the binary form: words; for every order the n-grams (int32), their counts, how many end in each word."""

    def __init__(self, stream: BinaryIO, kind: str = KIND) -> None:
        self._writer = SectionWriter(stream, kind)
        # counts stand behind the n-grams of their order, and wait here until those are written
        self._counts: Any = tempfile.SpooledTemporaryFile(max_size=_WAITING)
        self._kind: Any = np.uint32
        self._rows = np.zeros(0, np.int64)
        self._level = 0

    def begin(self, vocabulary: LmVocabulary) -> None:
        """Write the words. A file without them has no numbers of rows either."""
        self._writer.add("word bytes", vocabulary.blob)
        self._writer.add("word starts", vocabulary.starts)
        self._rows = np.zeros(len(vocabulary), np.int64)

    def prepare(self, level: int, grams: Grams, counts: Counts) -> Any:
        """Keep a piece as it is."""
        return grams, counts

    def write(self, level: int, prepared: tuple[Grams, Counts]) -> None:
        """Write the n-grams, keep their counts until the order is complete."""
        grams, counts = prepared
        self._advance(level)
        self._writer.append(np.ascontiguousarray(grams))
        if level > 1 and len(self._rows):
            rows_of_words(grams[:, -1], self._rows)
        if self._kind is np.uint32:
            whole = counts.astype(np.uint32)
            if (counts == whole).all():
                self._counts.write(whole.data)
                return
            self._widen()
        self._counts.write(np.ascontiguousarray(counts, np.float64).data)

    def _widen(self) -> None:
        """There are counts that are not whole: write those that wait as such, too."""
        narrow, self._counts = self._counts, tempfile.SpooledTemporaryFile(max_size=_WAITING)
        narrow.seek(0)
        while data := narrow.read(_WAITING):
            self._counts.write(np.frombuffer(data, np.uint32).astype(np.float64).data)
        narrow.close()
        self._kind = np.float64

    def _advance(self, level: int) -> None:
        while self._level < level:
            self._end_level()
            self._level += 1
            self._writer.begin(f"grams {self._level}")
            self._writer.append(np.empty((0, self._level), np.int32))

    def _end_level(self) -> None:
        if self._level:
            self._writer.begin(f"counts {self._level}")
            self._writer.append(np.empty(0, self._kind))
            self._counts.seek(0)
            while data := self._counts.read(_WAITING):
                self._writer.append(np.frombuffer(data, self._kind))
            self._counts.seek(0)
            self._counts.truncate()
            self._kind = np.uint32
        if self._level > 1 and len(self._rows):
            self._writer.add(f"rows {self._level}", self._rows)
            self._rows[:] = 0

    def finish(self, header: dict[str, Any], order: int) -> None:
        """Complete the file: it has all orders up to `order`."""
        self._advance(order)
        self._end_level()
        self._counts.close()
        self._writer.finish(header)


def rows_of_words(last: npt.NDArray[np.int32], rows: npt.NDArray[np.int64]) -> None:
    """Add to `rows` how often every word is in `last`, the sorted last words of n-grams."""
    if len(last):
        first = int(last[0])
        found = np.bincount(last - first)
        rows[first : first + len(found)] += found
