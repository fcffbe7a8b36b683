"""A binary count file as a part of a merge: its words, checked, and its n-grams by their last words."""

from __future__ import annotations

import threading
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mlkit.errors import ModelError
from mlkit.formats.lm_binary import Sections
from mlkit.formats.lm_words import END, LmVocabulary
from mlkit.formats.ngram_counts import KIND, rows_of_words
from mlkit.formats.streams import PathLike, display_name
from mlkit.ngram import kernels_merge as kernels
from mlkit.ngram.count import Packing

_HEAD = LmVocabulary.of([]).blob.tobytes()  # the words that all vocabularies begin with
_READ = 32 << 20  # bytes of all parts that may be in memory because they were read
_CLUSTER = 1 << 16  # bytes of a file that the system maps at a time
_BLOCK = 1 << 18  # rows that are looked at at a time
Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]


class Part:
    """A count file: the n-grams of every order with their counts, and where the rows of every last word begin.

    others: how many other parts share the memory for what is read.
    """

    def __init__(self, path: PathLike, others: int = 0) -> None:
        self.name = display_name(path)
        self.sections = Sections(path, KIND)
        self._room = _READ // (others + 1)
        self._read, self._lock = 0, threading.Lock()
        self._index: tuple[int, Ints] = 0, np.empty(0, np.int64)
        arrays = self.sections.arrays
        try:
            self.blob, self.starts = arrays["word bytes"], arrays["word starts"]
            self.order = 0
            while f"grams {self.order + 1}" in arrays:
                self.order += 1
                if arrays[f"grams {self.order}"].shape != (len(arrays[f"counts {self.order}"]), self.order):
                    raise ValueError(f"grams {self.order}")
            self._check_words()
        except (KeyError, ValueError, IndexError) as error:
            raise self.damaged(error) from None

    def _check_words(self) -> None:
        """Kernels trust the words: see that they are where they are said to be."""
        starts, blob = self.starts, self.blob
        good = (
            starts.dtype == np.int64 and starts.ndim == blob.ndim == 1 and blob.dtype == np.uint8 and len(starts) > END
            and starts[0] == 0 and starts[-1] == len(blob) and bool((np.diff(starts) > 0).all())
            and bool((blob[starts[1:] - 1] == 10).all()) and bytes(blob[: len(_HEAD)]) == _HEAD
        )  # fmt: skip
        if not good:
            raise ValueError("words")
        grams = self.grams(1)[:, 0]
        if len(grams) and not 0 < grams.min() <= grams.max() < len(self):
            raise ValueError("grams 1")

    def __len__(self) -> int:
        return len(self.starts) - 1

    def damaged(self, what: object) -> ModelError:
        """Return the error of a file that is not as it was written."""
        return ModelError(f"the counts are damaged ({what})", path=self.name)

    def grams(self, level: int) -> npt.NDArray[np.int32]:
        """Return the n-grams of an order."""
        return cast(Numbers, self.sections.arrays.get(f"grams {level}", np.empty((0, level), np.int32)))

    def counts(self, level: int) -> npt.NDArray[Any]:
        """Return the counts of an order."""
        return self.sections.arrays.get(f"counts {level}", np.empty(0))

    def index(self, level: int) -> Ints | None:
        """Return where the rows of every last word begin, int64[words + 1]; None if they do not stand together."""
        if level != self._index[0]:
            rows = self.sections.arrays.get(f"rows {level}")
            if rows is None:  # written by an earlier version
                rows = self._count_rows(level)
                if rows is None:
                    return None
            index = np.zeros(len(self) + 1, np.int64)
            if len(rows) != len(self) or not len(rows) or rows.min() < 0:
                raise self.damaged(f"rows {level}")
            np.cumsum(rows, out=index[1:])
            if index[-1] != len(self.grams(level)):
                raise self.damaged(f"rows {level}")
            self._index = level, index
        return self._index[1]

    def _count_rows(self, level: int) -> Ints | None:
        rows, before = np.zeros(len(self), np.int64), 1
        for first in range(0, len(self.grams(level)), _BLOCK):
            last = self.grams(level)[first : first + _BLOCK, -1]
            if last[0] < before or last[-1] >= len(self) or (np.diff(last) < 0).any():
                return None
            before = int(last[-1])
            rows_of_words(last, rows)
            self.sections.release()
        return rows

    def take(self, level: int, starts: Ints, stops: Ints, numbers: Numbers, packing: Packing) -> Any:
        """Return packed rows of spans and their counts."""
        size = int((stops - starts).sum())
        rows, places = np.empty((size, packing.columns(level)), np.uint64), np.empty(size, np.int64)
        grams = self.grams(level)
        if kernels.gather_rows(grams, numbers, starts, stops, packing.bits, packing.fields, rows, places) < 0:
            raise self.damaged(f"grams {level}")
        counts = self.counts(level)[places].astype(np.float64)
        self._give_back(level, starts, stops)
        return rows, counts

    def groups(self, level: int, depth: int, start: int, stop: int) -> tuple[Numbers, Ints]:
        """Return the words that stand `depth` words before the last in rows start:stop, and where their runs begin."""
        room = min(len(self), stop - start)
        words, starts = np.empty(room, np.int32), np.empty(room + 1, np.int64)
        found = int(kernels.find_groups(self.grams(level), start, stop, level - 1 - depth, words, starts))
        if found < 0 or (found and not 0 < words[:found].min() <= words[:found].max() < len(self)):
            raise self.damaged(f"grams {level}")
        starts[found] = stop
        self._give_back(level, np.array([start]), np.array([stop]))
        return words[:found], starts[: found + 1]

    def _give_back(self, level: int, starts: Ints, stops: Ints) -> None:
        """What was read of a file counts as memory of this process, in clusters of pages, until it is given back."""
        width = 4 * level
        touched = np.zeros(len(self.grams(level)) * width // _CLUSTER + 1, np.bool_)
        touched[starts * width // _CLUSTER] = True
        size = max(int(touched.sum()) * _CLUSTER, int((stops - starts).sum()) * width) * (level + 1) // level
        with self._lock:
            self._read += size
            if self._read > self._room:
                self.sections.release()
                self._read = 0
