"""A training text as numbers: fastText's vocabulary and the token ids, kept in a file without a name.

The text is read once, from any stream; the ids lie in a memory-mapped temporary file, so that memory holds
the vocabulary only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError
from mlkit.fasttext import kernels_dictionary as kernels
from mlkit.fasttext.subwords import EOS, hash_tokens
from mlkit.formats.streams import display_name, open_text
from mlkit.progress import Progress, Report, silent

WORD, LABEL, NEITHER = 0, 1, 2
BLOCK = 1 << 20


@dataclass
class Corpus:
    """Tokens as ids, and what the ids mean.

    ids: int32 [tokens] on a memory map. First come the `words` of the vocabulary by falling count, then the labels,
    then what training does not number: rarer words (`rare`, with their character n-grams) and rarer labels.
    tokens: how many the text has, newlines counted as `</s>`.
    """

    ids: NDArray[np.int32]
    words: list[bytes]
    labels: list[bytes]
    counts: NDArray[np.int64]  # of words, then of labels
    rare: list[bytes]
    hashes: NDArray[np.uint32]  # of every id, labels included
    tokens: int

    @property
    def kinds(self) -> NDArray[np.uint8]:
        """WORD, LABEL or NEITHER for every id."""
        kinds = np.full(len(self.hashes), NEITHER, np.uint8)
        first = len(self.words) + len(self.labels)
        kinds[: len(self.words)] = WORD
        kinds[len(self.words) : first] = LABEL
        kinds[first : first + len(self.rare)] = WORD
        return kinds

    @property
    def end_of_line(self) -> int:
        """The id of `</s>`."""
        if EOS in self.words:
            return self.words.index(EOS)
        return len(self.words) + len(self.labels) + self.rare.index(EOS) if EOS in self.rare else -1

    def line_bounds(self) -> NDArray[np.int64]:
        """Return where the lines start, and the end: int64 [lines + 1]."""
        lines = int(np.count_nonzero(self.ids == self.end_of_line))
        bounds = np.zeros(lines + 1, np.int64)
        kernels.line_bounds(self.ids, self.end_of_line, bounds)
        return bounds


def read_corpus(
    path: str,
    *,
    min_count: int = 1,
    min_count_label: int = 0,
    label_prefix: str = "__label__",
    extra_words: Sequence[bytes] = (),
    keep_rare: bool = True,
    directory: str | None = None,
    progress: Progress = silent,
) -> Corpus:
    """Number the tokens of a text file ("-" is stdin; compressed files work).

    Words with fewer than `min_count` occurrences and labels with fewer than `min_count_label` leave the
    vocabulary, but `extra_words` (of pretrained vectors) stay in any case. With `keep_rare` False rare words and
    rare labels leave the ids too. Raises `DataError` for a text without any token.
    """
    with tempfile.TemporaryFile(dir=directory) as spool:
        table = TypeTable()
        with open_text(path) as stream:
            table.read(stream, spool, progress)
        types = table.finish()
        if table.total == 0:
            raise DataError("the training text is empty", path=display_name(path))
        ids = np.memmap(spool, np.int32, "r+", shape=(table.total,))
    corpus, numbers, bound = number_types(
        path, types, table.counts[: len(types)], min_count=min_count, min_count_label=min_count_label,
        label_prefix=label_prefix, extra_words=extra_words, keep_rare=keep_rare,
    )  # fmt: skip
    corpus.ids, corpus.tokens = ids[: kernels.renumber(ids, numbers, bound)], table.total
    return corpus


def number_types(
    path: str,
    types: list[bytes],
    counts: NDArray[np.int64],
    *,
    min_count: int,
    min_count_label: int,
    label_prefix: str,
    extra_words: Sequence[bytes],
    keep_rare: bool,
) -> tuple[Corpus, NDArray[np.int32], int]:
    """Choose the vocabulary from the distinct tokens of a text, in the order in which they appeared.

    Returns a corpus without ids, the id of every type, and the bound from which on ids leave the text.
    """
    prefix = label_prefix.encode()
    kinds = np.array([word.startswith(prefix) for word in types], bool)
    forced = np.zeros(len(types), bool)
    if extra_words:
        number = {word: i for i, word in enumerate(types)}
        fresh = [word for word in dict.fromkeys(extra_words) if word not in number]
        forced = np.concatenate([forced, np.ones(len(fresh), bool)])
        known = [number[word] for word in dict.fromkeys(extra_words) if word in number]
        forced[known] = True
        types = [*types, *fresh]
        counts = np.concatenate([counts, np.zeros(len(fresh), np.int64)])
        counts[forced] += 1
        kinds = np.concatenate([kinds, np.zeros(len(fresh), bool)])
    kept = np.where(kinds, counts >= max(min_count_label, 1), (counts >= max(min_count, 1)) | forced)
    if not kept.any() or not np.any(kept & ~kinds):
        raise DataError(
            f"no word occurs {min_count} times", path=display_name(path), hint="lower --min-count"
        )
    # words, labels, rare words, rare labels; each by falling count, equal counts in order of appearance
    order = np.lexsort((np.arange(len(types)), -counts, kinds, ~kept))
    numbers = np.empty(len(types), np.int32)
    numbers[order] = np.arange(len(types), dtype=np.int32)
    words = int(np.count_nonzero(kept & ~kinds))
    labels = int(np.count_nonzero(kept & kinds))
    rare = int(np.count_nonzero(~kept & ~kinds))
    named = [types[i] for i in order.tolist()]
    corpus = Corpus(
        np.zeros(0, np.int32), named[:words], named[words : words + labels], counts[order[: words + labels]],
        named[words + labels : words + labels + rare], hash_tokens(types)[order], 0,
    )  # fmt: skip
    return corpus, numbers, len(types) if keep_rare else words


class TypeTable:
    """The growing table of distinct tokens; type 0 is `</s>`."""

    def __init__(self) -> None:
        self.table = np.zeros(1 << 16, np.int32)
        self.hashes = np.zeros(1 << 14, np.uint32)
        self.starts = np.zeros(1 << 14, np.int64)
        self.lengths = np.zeros(1 << 14, np.int32)
        self.counts = np.zeros(1 << 14, np.int64)
        self.store = np.zeros(1 << 18, np.uint8)
        self.state = np.zeros(3, np.int64)  # types, bytes in the store, ids in the buffer
        self.total = 0
        self._ids = np.zeros(BLOCK + 1, np.int32)
        self._number(np.frombuffer(EOS, np.uint8), None)
        self.counts[0] = 0

    def read(self, stream: BinaryIO, spool: BinaryIO, progress: Progress, size: int | None = None) -> None:
        """Number a stream, or the next `size` bytes of it; ids are appended to `spool`."""
        rest = b""
        done = 0
        while data := stream.read(BLOCK - 1 if size is None else min(BLOCK - 1, size - done)):
            done += len(data)
            text = rest + data
            # a token that the block may have cut waits for the next one
            cut = max(text.rfind(byte) for byte in (b" ", b"\n", b"\t", b"\r", b"\0")) + 1
            rest = text[cut:]
            self._number(np.frombuffer(text, np.uint8, cut), spool)
            progress(Report("Reading", done, size, unit="bytes"))
        if rest:
            self._number(np.frombuffer(rest, np.uint8), spool)
        if self.total and self._last != 0:
            self._number(np.frombuffer(b"\n", np.uint8), spool)
        spool.flush()

    def _number(self, text: NDArray[np.uint8], spool: BinaryIO | None) -> None:
        self._make_room(len(text))
        position = 0
        self.state[2] = 0
        while True:
            position = kernels.number_tokens(
                text, position, len(text), self.table, self.hashes, self.starts, self.lengths, self.store,
                self.counts, self._ids, self.state,
            )  # fmt: skip
            if position == len(text):
                break
            self.table = np.zeros(4 * len(self.table), np.int32)
            kernels.fill_table(self.table, self.hashes, int(self.state[0]))
        written = int(self.state[2])
        if spool is not None and written:
            spool.write(self._ids[:written].data)
            self.total += written
            self._last = int(self._ids[written - 1])

    def _make_room(self, size: int) -> None:
        """Make every array large enough for a block of `size` bytes."""
        types, used = int(self.state[0]), int(self.state[1])
        if len(self._ids) <= size:
            self._ids = np.zeros(size + 1, np.int32)
        needed = types + size // 2 + 2
        if len(self.hashes) < needed:
            for name in ("hashes", "starts", "lengths", "counts"):
                setattr(self, name, _grown(getattr(self, name), needed))
        if len(self.store) < used + size:
            self.store = _grown(self.store, used + size)

    def finish(self) -> list[bytes]:
        """Return the distinct tokens in the order in which they appeared."""
        types, used = int(self.state[0]), int(self.state[1])
        content = self.store[:used].tobytes()
        starts = self.starts[:types].tolist()
        ends = [*starts[1:], used]
        return [content[start:end] for start, end in zip(starts, ends, strict=True)]


def _grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    larger = np.zeros(max(size, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger
