"""A vocabulary: words with their counts, in one block of bytes, and its text files.

Two text formats are read and written: ``word<TAB>count`` (tsv) and ``word count`` (that of word2vec and GloVe).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError
from mlkit.formats import kernels_corpus as kernels
from mlkit.formats.streams import PathLike, decode_lines, display_name, open_input, open_output, read_bytes

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def raw(array: npt.NDArray[Any]) -> memoryview:
    """Return the bytes of a contiguous array, to be written, or read into."""
    return np.ascontiguousarray(array).view(np.uint8).data


class Vocabulary:
    """Words and their counts; the id of a word is its place, from 0.

    blob: uint8, the UTF-8 bytes of all words one after another; offsets: int64[len + 1], where each begins;
    counts: int64[len].
    """

    def __init__(self, blob: Bytes, offsets: Ints, counts: Ints) -> None:
        self.blob, self.offsets, self.counts = blob, offsets, counts

    @classmethod
    def from_words(cls, words: list[str], counts: Any) -> Vocabulary:
        """Make a vocabulary of words in the given order."""
        return cls.from_bytes([word.encode("utf-8") for word in words], counts)

    @classmethod
    def from_bytes(cls, words: list[bytes], counts: Any) -> Vocabulary:
        offsets = np.zeros(len(words) + 1, np.int64)
        np.cumsum([len(word) for word in words], out=offsets[1:])
        return cls(np.frombuffer(b"".join(words), np.uint8), offsets, np.asarray(counts, np.int64))

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def tokens(self) -> int:
        """The sum of all counts."""
        return int(self.counts.sum())

    def word_bytes(self, index: int) -> bytes:
        return self.blob[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def words(self) -> list[str]:
        """Return all words; invalid UTF-8 cannot occur in a vocabulary that mlkit made."""
        data, ends = self.blob.tobytes(), self.offsets.tolist()
        return [data[start:end].decode("utf-8") for start, end in pairwise(ends)]

    def index(self, word: str) -> int:
        """Return the id of `word`, or -1."""
        return self._index.get(word, -1)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words())}

    @cached_property
    def fingerprint(self) -> str:
        """A hash of words and counts, by which encoded corpora and checkpoints know their vocabulary."""
        digest = hashlib.sha256()
        for array in (self.offsets, self.counts, self.blob):
            digest.update(raw(array))
        return digest.hexdigest()[:32]

    def select(self, order: Ints) -> Vocabulary:
        """Return the words with the ids `order`, in that order."""
        lengths = np.diff(self.offsets)[order]
        blob = np.empty(int(lengths.sum()), np.uint8)
        offsets = np.zeros(len(order) + 1, np.int64)
        kernels.gather_words(self.blob, self.offsets, order, blob, offsets)
        return Vocabulary(blob, offsets, self.counts[order])

    def frequent(self, min_count: int = 1, max_size: int | None = None) -> Vocabulary:
        """Return the words seen at least `min_count` times, at most `max_size`: most frequent first, then by bytes."""
        kept = self if min_count <= 1 else self.select(np.flatnonzero(self.counts >= min_count))
        order = kept.sorted_order()
        return kept.select(order if max_size is None else order[:max_size])

    def sorted_order(self) -> Ints:
        """Return the ids by descending count, then by bytes."""
        keys = np.empty((2, len(self)), np.uint64)
        kernels.prefix_keys(self.blob, self.offsets, 0, keys[0])
        kernels.prefix_keys(self.blob, self.offsets, 8, keys[1])
        order = np.lexsort((keys[1], keys[0], -self.counts))
        same = np.ones(max(len(self) - 1, 0), np.bool_)
        for key in (keys[0], keys[1], self.counts):
            ordered = key[order]
            same &= ordered[1:] == ordered[:-1]
        # runs that agree in count and 16 bytes are put in order one by one
        edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
        for start, end in edges.reshape(-1, 2).tolist():
            run = order[start : end + 1].tolist()
            order[start : end + 1] = sorted(run, key=self.word_bytes)
        return order

    def save(self, path: PathLike, format: str = "tsv") -> None:
        """Write ``word<TAB>count`` lines (tsv), or ``word count`` lines (word2vec)."""
        between = {"tsv": b"\t", "word2vec": b" "}[format]
        block = 1 << 16
        with open_output(path) as stream:
            for first in range(0, len(self), block):
                ends = self.offsets[first : first + block + 1]
                data = self.blob[ends[0] : ends[-1]].tobytes()
                places = (ends - ends[0]).tolist()
                counts = self.counts[first : first + block].tolist()
                stream.write(
                    b"".join(
                        b"%b%b%d\n" % (data[start:end], between, count)
                        for start, end, count in zip(places, places[1:], counts, strict=False)
                    )
                )

    @classmethod
    def load(cls, path: PathLike, *, fast: bool = True) -> Vocabulary:
        """Read ``word<TAB>count`` or ``word count`` lines; ids are the places in the file.

        The line ``</s> n`` with which word2vec's files begin is left out: line ends are no words here.
        Raises `DataError` for a line without a count, or a word that comes twice. `fast` False reads line by line
        also what can be read at once.
        """
        data, name = read_bytes(path), display_name(path)
        plain = cls._of_plain_table(data) if fast else None
        return plain if plain is not None else cls._of_lines(data, name)

    @classmethod
    def blocks(cls, path: PathLike, size: int = 1 << 20) -> Iterator[Vocabulary]:
        """Read a file as `load` does, about `size` bytes at a time; words that come twice are found in a block only."""
        name, before = display_name(path), 0
        with open_input(path) as stream:
            while lines := stream.readlines(size):
                data = b"".join(lines)
                words = cls._of_plain_table(data)
                if words is None:
                    # what is special about a first line holds for that of the file
                    head = b"\n" if before else b""
                    try:
                        words = cls._of_lines(head + data, name)
                    except DataError as error:
                        line = None if error.line is None else error.line + before - len(head)
                        raise DataError(error.message, path=error.path, line=line, hint=error.hint) from None
                yield words
                before += len(lines)

    @classmethod
    def _of_lines(cls, data: bytes, name: str) -> Vocabulary:
        words: list[str] = []
        counts: list[int] = []
        seen: set[str] = set()
        for number, line in enumerate(decode_lines(io.BytesIO(data), name), 1):
            word, tab, count = line.rpartition("\t")
            if not tab:
                word, _, count = line.rpartition(" ")
                if word == "</s>" and number == 1:
                    continue
            if not line and not words:
                continue
            if not word or not count.isascii() or not count.isdigit() or len(count) > 18:
                raise DataError("expected a word, a tab or space, and its count", path=name, line=number)
            if word in seen:
                raise DataError(f"the word {word!r} comes twice", path=name, line=number)
            seen.add(word)
            words.append(word)
            counts.append(int(count))
        return cls.from_words(words, counts)

    @classmethod
    def load_known(cls, path: PathLike) -> Vocabulary:
        """Read the words that a job is to know (`--vocab`). Raises `DataError` where there are none, too."""
        known = cls.load(path)
        if not len(known):
            raise DataError("no words: the vocabulary is empty", path=display_name(path))
        return known

    @classmethod
    def _of_plain_table(cls, data: bytes) -> Vocabulary | None:
        """Read ``word<TAB>count`` lines as `save` writes them at once; None if there is anything else, or a fault."""
        text = np.frombuffer(data, np.uint8)
        ends, tabs = np.flatnonzero(text == 10), np.flatnonzero(text == 9)
        whole = len(ends) > 0 and len(tabs) > 0 and ends[-1] == len(text) - 1
        if not whole or b"\r" in data or data.startswith(b"\xef\xbb\xbf"):
            return None
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1] + 1))
        last = np.searchsorted(tabs, ends) - 1
        stops = tabs[last]  # of words: the last tab of a line
        digits = ends - stops - 1
        if last[0] < 0 or (stops <= starts).any() or digits.min() < 1 or digits.max() > 18:
            return None
        counts = np.zeros(len(ends), np.int64)
        for place in range(int(digits.max())):
            here = np.flatnonzero(digits > place)
            values = text[stops[here] + 1 + place].astype(np.int64) - 48
            if values.min() < 0 or values.max() > 9:
                return None
            counts[here] = counts[here] * 10 + values
        places = zip(starts.tolist(), stops.tolist(), strict=True)
        if len({data[start:stop] for start, stop in places}) < len(ends):
            return None
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return None
        edges = np.zeros(len(text) + 1, np.int8)
        edges[starts], edges[stops] = 1, -1
        offsets = np.zeros(len(ends) + 1, np.int64)
        np.cumsum(stops - starts, out=offsets[1:])
        return cls(text[np.cumsum(edges[:-1], dtype=np.int8) > 0], offsets, counts)
