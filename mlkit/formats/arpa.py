"""ARPA files of back-off language models: a writer for levels as they are made, and a parallel reader.

The writer gives log10 values 6 decimals, `<s>` the probability -99, and leaves out back-off weights that are
0. The reader takes what SRILM, KenLM and IRSTLM write: text before ``\\data\\``, spaces or tabs, -99 and
-inf, missing or superfluous back-off columns, blank lines, ``<unk>`` or ``<UNK>`` (or none), any order of
n-grams.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError
from mlkit.formats import kernels_words as kernels
from mlkit.formats.kernels_corpus import count_newlines
from mlkit.formats.lm_words import BEGIN, END, FIRST_WORD, UNKNOWN, LmVocabulary
from mlkit.formats.streams import PathLike, display_name
from mlkit.formats.text_chunks import text_chunks
from mlkit.threads import map_chunks

Singles = npt.NDArray[np.float32]
Grams = npt.NDArray[np.int32]
LOWEST = np.float32(-99.0)
_NGRAM = re.compile(rb"^ngram\s+(\d+)\s*=\s*(\d+)\s*$")
_SECTION = re.compile(rb"^\\(\d+)-grams:\s*$")
_FAULTS = {
    kernels.BAD_NUMBER: "no log10 probability at the start of the line",
    kernels.BAD_WORDS: "not a line of {order} words with an optional back-off weight",
    kernels.UNKNOWN_WORD: "a word that is not among the 1-grams",
    kernels.POSITIVE: "a log10 probability above 0",
}


class ArpaWriter:
    """Write an ARPA file level by level, in pieces that threads may format."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._level = 0

    def begin(self, vocabulary: LmVocabulary, sizes: Sequence[int]) -> None:
        """Write the header."""
        self._starts = vocabulary.starts
        # words are copied eight bytes at a time
        self._blob = np.concatenate((vocabulary.blob, np.zeros(8, np.uint8)))
        lines = ["\\data\\", *(f"ngram {order}={size}" for order, size in enumerate(sizes, 1)), ""]
        self._stream.write("\n".join(lines).encode())
        self._orders = len(sizes)

    def prepare(self, level: int, grams: Grams, values: Singles, contexts: Singles) -> npt.NDArray[np.uint8]:
        """Return the lines of n-grams; values: log10 p, contexts: log10 back-off weights, or empty."""
        if level == 1 and len(grams) >= BEGIN and grams[BEGIN - 1, 0] == BEGIN:
            values = values.copy()
            values[BEGIN - 1] = LOWEST
        room = int(kernels.words_size(grams, self._blob, self._starts)) + 26 * len(grams) + 8
        out = np.empty(room, np.uint8)
        size = kernels.format_grams(grams, values, contexts, self._blob, self._starts, out)
        return out[:size]

    def write(self, level: int, prepared: npt.NDArray[np.uint8]) -> None:
        """Write prepared lines."""
        while self._level < level:
            self._level += 1
            self._stream.write(f"\n\\{self._level}-grams:\n".encode())
        self._stream.write(prepared.data)

    def finish(self) -> None:
        """Write the end of the file."""
        while self._level < self._orders:
            self._level += 1
            self._stream.write(f"\n\\{self._level}-grams:\n".encode())
        self._stream.write(b"\n\\end\\\n")


@dataclass
class ArpaLevel:
    """The n-grams of one order: int32[n, order] ids in reading order, log10 p, log10 back-off weight."""

    grams: Grams
    values: Singles
    backoffs: Singles


@dataclass
class ArpaModel:
    """A back-off model as read."""

    vocabulary: LmVocabulary
    levels: list[ArpaLevel]
    has_unknown: bool


@dataclass(frozen=True)
class _Piece:
    """Lines of one section of the file."""

    data: npt.NDArray[np.uint8]
    begin: int
    end: int
    order: int
    line: int


def read_arpa(path: PathLike, threads: int = 1, unknown: str | None = None) -> ArpaModel:
    """Read an ARPA file; compressed ones and "-" will do. unknown: the name of the unknown word, if not `<unk>`.

    Raises `DataError` with file and line for wrong counts, missing sections, unknown words, bad numbers.
    """
    return _Reader(path, threads, unknown).read()


class _Reader:
    def __init__(self, path: PathLike, threads: int, unknown: str | None) -> None:
        self.path, self.threads = path, threads
        self.unknown_names = (unknown.encode(),) if unknown else (b"<unk>", b"<UNK>")
        self.name = display_name(path)
        self.sizes: list[int] = []
        self.words: list[bytes] = []
        self.unigrams: list[tuple[Singles, Singles]] = []
        self.vocabulary: LmVocabulary | None = None
        self.ended = False
        self.section_lines: dict[int, int] = {}

    def fault(self, message: str, line: int | None = None, hint: str | None = None) -> DataError:
        return DataError(message, path=self.name, line=line, hint=hint)

    def read(self) -> ArpaModel:
        pieces: dict[int, list[ArpaLevel]] = {}
        for order, level in map_chunks(self._parse, self._pieces(), self.threads):
            pieces.setdefault(order, []).append(level)
        if not self.sizes:
            raise self.fault("no \\data\\ section: this is not an ARPA file")
        if not self.ended:
            raise self.fault("the file ends before \\end\\; it is cut short")
        vocabulary, has_unknown, first = self._first_level()
        levels = [first]
        for order in range(2, len(self.sizes) + 1):
            found = pieces.get(order, [])
            if not found:
                empty = np.empty(0, np.float32)
                found = [ArpaLevel(np.empty((0, order), np.int32), empty, empty)]
            levels.append(
                ArpaLevel(
                    np.concatenate([level.grams for level in found]),
                    np.concatenate([level.values for level in found]),
                    np.concatenate([level.backoffs for level in found]),
                )
            )
            pieces.pop(order, None)
        for order, (level, size) in enumerate(zip(levels, self.sizes, strict=True), 1):
            seen = len(level.values) if order > 1 else len(self.words)
            if seen != size:
                raise self.fault(
                    f"the header promises {size} {order}-grams, the section has {seen}",
                    self.section_lines.get(order),
                )
        return ArpaModel(vocabulary, levels, has_unknown)

    # Lines of the header and where sections begin

    def _pieces(self) -> Iterator[_Piece]:
        line, order = 1, 0
        header = True
        for chunk in text_chunks([self.path], whole_lines=True, chunk_bytes=1 << 22):
            data, size = chunk.data, chunk.size
            text = data[:size].tobytes()
            position = 0
            while position < size:
                if order and not self.ended:
                    stop = _next_marker(text, position)
                    if stop > position:
                        piece = _Piece(data, position, stop, order, line)
                        line += int(count_newlines(data[position:stop], stop - position))
                        if order == 1:
                            self._parse_unigrams(piece)
                        else:
                            yield piece
                        position = stop
                        continue
                end = text.find(b"\n", position)
                end = size if end < 0 else end
                content = text[position:end].strip()
                position = end + 1
                order, header = self._marker(content, line, order, header)
                line += 1
                if self.ended:
                    return

    def _marker(self, content: bytes, line: int, order: int, header: bool) -> tuple[int, bool]:
        if content == b"\\data\\":
            self.sizes = []
            return 0, False
        if header:
            return 0, True
        if not content:
            return order, header
        counts = _NGRAM.match(content)
        if counts and order == 0:
            if int(counts[1]) != len(self.sizes) + 1:
                raise self.fault(f"'ngram {len(self.sizes) + 1}=' is expected", line)
            self.sizes.append(int(counts[2]))
            return 0, header
        section = _SECTION.match(content)
        if section:
            if int(section[1]) != order + 1 or order + 1 > len(self.sizes):
                raise self.fault(f"the section of {order + 1}-grams is expected here, if any", line)
            if order == 1:
                self._freeze()
            self.section_lines[order + 1] = line
            return order + 1, header
        if content == b"\\end\\":
            if order != len(self.sizes):
                raise self.fault(f"the section of {order + 1}-grams is missing", line)
            self.ended = True
            return order, header
        raise self.fault(f"unexpected line {content[:40].decode('utf-8', 'replace')!r}", line)

    # Sections

    def _parse_unigrams(self, piece: _Piece) -> None:
        lines = piece.end - piece.begin + 1
        room = min(lines, int(np.count_nonzero(piece.data[piece.begin : piece.end] == 10)) + 1)
        starts, lengths = np.empty(room, np.int64), np.empty(room, np.int32)
        values, backoffs = np.empty(room, np.float32), np.empty(room, np.float32)
        state = np.zeros(2, np.int64)
        found = kernels.parse_unigrams(
            piece.data, piece.begin, piece.end, starts, lengths, values, backoffs, state
        )
        self._check(piece, state)
        text = piece.data.tobytes()
        begins, sizes = starts[:found].tolist(), lengths[:found].tolist()
        self.words.extend(text[b : b + n] for b, n in zip(begins, sizes, strict=True))
        self.unigrams.append((values[:found], backoffs[:found]))
        if len(self.words) > self.sizes[0]:
            raise self.fault(f"more 1-grams than the {self.sizes[0]} that the header promises", piece.line)

    def _check(self, piece: _Piece, state: npt.NDArray[np.int64]) -> None:
        if state[0] != kernels.GOOD:
            before = piece.data[piece.begin : int(state[1])].tobytes().count(b"\n")
            message = _FAULTS[int(state[0])].format(order=piece.order)
            if state[0] == kernels.UNKNOWN_WORD:
                word = piece.data[int(state[1]) : piece.end].tobytes().split(None, 1)[0]
                message += f": {word.decode('utf-8', 'replace')!r}"
            raise self.fault(message, piece.line + before)

    def _freeze(self) -> None:
        """Make the vocabulary when the 1-grams are complete."""
        try:
            b"\n".join(self.words).decode("utf-8")
        except UnicodeDecodeError:
            line = self.section_lines[1]
            for word in self.words:
                line += 1
                try:
                    word.decode("utf-8")
                except UnicodeDecodeError:
                    raise self.fault("invalid UTF-8", line) from None
        self.unknown_name = next((word for word in self.unknown_names if word in self.words), None)
        special = (self.unknown_name, b"<s>", b"</s>")
        plain = [word for word in self.words if word not in special]
        if len(set(self.words)) != len(self.words):
            seen: set[bytes] = set()
            twice = next(word for word in self.words if word in seen or seen.add(word))  # type: ignore[func-returns-value]
            raise self.fault(f"the 1-gram {twice.decode('utf-8', 'replace')!r} stands twice")
        self.vocabulary = LmVocabulary.of(plain, (self.unknown_name or b"<unk>").decode())
        _ = self.vocabulary.index

    def _first_level(self) -> tuple[LmVocabulary, bool, ArpaLevel]:
        if self.vocabulary is None:
            self._freeze()
        assert self.vocabulary is not None
        vocabulary = self.vocabulary
        size = len(vocabulary)
        values, backoffs = np.full(size - 1, LOWEST, np.float32), np.zeros(size - 1, np.float32)
        special = {b"<s>": BEGIN, b"</s>": END}
        if self.unknown_name is not None:
            special[self.unknown_name] = UNKNOWN
        ids = np.zeros(len(self.words), np.int64)
        following = FIRST_WORD
        for number, word in enumerate(self.words):
            if word in special:
                ids[number] = special[word]
            else:
                ids[number] = following
                following += 1
        if self.unigrams:
            values[ids - 1] = np.concatenate([v for v, _ in self.unigrams])
            backoffs[ids - 1] = np.concatenate([b for _, b in self.unigrams])
        values[values < LOWEST] = LOWEST
        grams = np.arange(1, size, dtype=np.int32).reshape(-1, 1)
        return vocabulary, self.unknown_name is not None, ArpaLevel(grams, values, backoffs)

    def _parse(self, piece: _Piece) -> tuple[int, ArpaLevel]:
        assert self.vocabulary is not None
        vocabulary = self.vocabulary
        slots, keys, lengths = vocabulary.index
        room = int(np.count_nonzero(piece.data[piece.begin : piece.end] == 10)) + 1
        grams = np.empty((room, piece.order), np.int32)
        values, backoffs = np.empty(room, np.float32), np.empty(room, np.float32)
        state = np.zeros(2, np.int64)
        with np.errstate(over="ignore"):
            found = kernels.parse_grams(
                piece.data, piece.begin, piece.end, slots, keys, vocabulary.starts, lengths, vocabulary.blob,
                grams, values, backoffs, state,
            )  # fmt: skip
        self._check(piece, state)
        np.maximum(values, LOWEST, out=values)
        return piece.order, ArpaLevel(grams[:found], values[:found], backoffs[:found])


def _next_marker(text: bytes, position: int) -> int:
    """Return where the next line begins that starts with a backslash, or the size of the text."""
    while True:
        found = text.find(b"\\", position)
        if found < 0:
            return len(text)
        if found == 0 or text[found - 1] == 10:
            return found
        position = found + 1
