"""Files of n-gram counts: text as SRILM writes it (``words<TAB>count``), and a compact binary form."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from mlkit.formats import kernels_lm as kernels
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

    def begin(self, vocabulary: LmVocabulary, sizes: Sequence[int]) -> None:
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

    def finish(self, header: dict[str, Any]) -> None:
        """Nothing is left to be written."""


class BinaryCountWriter:
    """Write the binary form: the words, and of every order the n-grams (int32) and their counts."""

    def __init__(self, stream: BinaryIO) -> None:
        self._writer = SectionWriter(stream, KIND)
        # counts stand behind the n-grams of their order, and wait here until those are written
        self._counts: Any = tempfile.SpooledTemporaryFile(max_size=_WAITING)
        self._whole = True
        self._level = 0

    def begin(self, vocabulary: LmVocabulary, sizes: Sequence[int]) -> None:
        """Write the words."""
        self._orders = len(sizes)
        self._writer.add("word bytes", vocabulary.blob)
        self._writer.add("word starts", vocabulary.starts)

    def prepare(self, level: int, grams: Grams, counts: Counts) -> Any:
        """Keep a piece as it is."""
        return grams, counts

    def write(self, level: int, prepared: Any) -> None:
        """Write the n-grams, keep their counts until the order is complete."""
        self._advance(level)
        self._writer.append(np.ascontiguousarray(prepared[0]))
        counts = np.ascontiguousarray(prepared[1], np.float64)
        self._whole = self._whole and bool((counts == counts.astype(np.uint32)).all())
        self._counts.write(counts.data)

    def _advance(self, level: int) -> None:
        while self._level < level:
            self._end_level()
            self._level += 1
            self._writer.begin(f"grams {self._level}")
            self._writer.append(np.empty((0, self._level), np.int32))

    def _end_level(self) -> None:
        if self._level:
            kind = np.uint32 if self._whole else np.float64
            self._writer.begin(f"counts {self._level}")
            self._writer.append(np.empty(0, kind))
            self._counts.seek(0)
            while data := self._counts.read(_WAITING):
                self._writer.append(np.frombuffer(data, np.float64).astype(kind))
            self._counts.seek(0)
            self._counts.truncate()
            self._whole = True

    def finish(self, header: dict[str, Any]) -> None:
        """Complete the file."""
        self._advance(self._orders)
        self._end_level()
        self._counts.close()
        self._writer.finish(header)
