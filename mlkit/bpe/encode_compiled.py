"""Encode large texts: distinct words once, by kernels; then the text is put together from them."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mlkit.bpe import kernels_encode as kernels
from mlkit.bpe import kernels_words
from mlkit.bpe.alphabet import byte_characters
from mlkit.bpe.encode_options import Options
from mlkit.bpe.encode_plain import PlainEncoder, UnknownCharacter
from mlkit.bpe.model import SPACE, BpeModel
from mlkit.bpe.text_blocks import Piece
from mlkit.bpe.word_table import NO_MARKS, Bytes, Ints, WordTable

Symbols = npt.NDArray[np.int32]

CACHE_BYTES = 96 << 20
_MODES = {
    "pieces": kernels.PIECES,
    "ids": kernels.IDS_TEXT,
    "uint16": kernels.IDS_16,
    "uint32": kernels.IDS_32,
}


class Tables:
    """A model and options as arrays for the kernels; shared by all threads."""

    def __init__(self, model: BpeModel, options: Options) -> None:
        self.model, self.options = model, options
        self.mode = _MODES[options.output]
        vocabulary = model.vocabulary
        self.by_bytes = model.kind == "bytes"
        size = 256 if self.by_bytes else 0x110000
        self.plain: Symbols = np.full(size, -1, np.int32)
        if self.by_bytes:
            self.plain[:] = [vocabulary.get(character, -1) for character in byte_characters()]
        else:
            for token, number in vocabulary.items():
                if len(token) == 1:
                    self.plain[ord(token)] = number
        self.final = self.plain
        self.closing = -1
        if model.suffix and model.closing:
            self.closing = vocabulary.get(model.suffix, model.size)
        elif model.suffix:
            self.final = np.full(size, -1, np.int32)
            length = len(model.suffix) + 1
            for token, number in vocabulary.items():
                if len(token) == length and token.endswith(model.suffix):
                    self.final[ord(token[0])] = number
        self.first = vocabulary.get(SPACE, -1) if model.kind == "metaspace" else -1
        fallback = [vocabulary.get(f"<0x{byte:02X}>", -1) for byte in range(256)]
        use_fallback = model.byte_fallback and options.output != "pieces"
        self.fallback: Symbols = np.array(fallback if use_fallback else [], np.int32)
        self.unknown = -1 if model.unknown is None else vocabulary.get(model.unknown, -1)
        self._fill_merges()
        self._fill_texts()

    def _fill_merges(self) -> None:
        model = self.model
        left, right, new = map(np.array, model.merge_ids, (np.int32, np.int32, np.int64))
        ranks = np.array(model.ranks, np.int64) if model.ranks else np.arange(len(new))
        size = 1 << max(4, (3 * len(left)).bit_length())
        self.keys: Ints = np.full(size, -1, np.int64)
        self.found: Ints = np.zeros(size, np.int64)
        kernels.fill_merges(left, right, (ranks << 32) | new, self.keys, self.found)

    def _fill_texts(self) -> None:
        model, options = self.model, self.options
        swap = {"Ġ": SPACE} if options.marker == SPACE else {}
        self.spelled: Bytes = np.zeros((256, 4), np.uint8)
        for byte, character in enumerate(byte_characters()):
            text = swap.get(character, character).encode() if self.by_bytes else bytes([byte])
            self.spelled[byte, : 1 + len(text)] = [len(text), *text]
        texts = [text.encode() for text in options.markers(model)]
        self.marker: Bytes = np.zeros((3, 1 + max(map(len, texts))), np.uint8)
        for row, text in enumerate(texts):
            self.marker[row, : 1 + len(text)] = [len(text), *text]
        self.specials = sorted(model.specials.items()) if model.has_ids else []
        plain = PlainEncoder(model, options)
        written = [
            plain._write([number]).encode("latin-1") if plain.ids else token.encode()
            for token, number in self.specials
        ]
        self.special_text: Bytes = np.frombuffer(b"".join(written) + b"\0", np.uint8)
        self.special_starts: Ints = np.cumsum([0, *map(len, written)], dtype=np.int64)
        # bytes that a word of n bytes may need: per symbol, and per byte
        most = int(self.marker[:, 0].max())
        self.per_symbol = {kernels.PIECES: 1 + most, kernels.IDS_TEXT: 11}.get(self.mode, 4)
        self.per_byte = int(self.spelled[:, 0].max()) if self.mode == kernels.PIECES else 0

    @cached_property
    def pattern(self) -> re.Pattern[bytes] | None:
        """An expression for the special tokens, the longest first."""
        ordered = sorted((token for token, _ in self.specials), key=len, reverse=True)
        return re.compile(b"|".join(re.escape(token.encode()) for token in ordered)) if ordered else None

    def marks(self, text: bytes) -> Ints:
        """Return where special tokens stand in a text: rows (start, stop, special)."""
        if self.pattern is None or not any(token.encode() in text for token, _ in self.specials):
            return NO_MARKS
        numbers = {token.encode(): place for place, (token, _) in enumerate(self.specials)}
        rows = [(m.start(), m.end(), numbers[m.group()]) for m in self.pattern.finditer(text)]
        return np.array(rows, np.int64).reshape(-1, 3)

    def spelling(self) -> tuple[object, ...]:
        """Return the arguments that kernels take to spell and merge words."""
        return (
            self.by_bytes, self.plain, self.final, self.first, self.closing, self.fallback, self.keys, self.found,
        )  # fmt: skip

    def writing(self) -> tuple[object, ...]:
        """Return the arguments that kernels take to write words."""
        return self.mode, self.unknown, self.model.fuse_unknown, self.spelled, self.marker


class KernelEncoder:
    """Encode pieces of text with a cache of distinct words; one for each thread."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.words = WordTable()
        self.done = 0
        self.out: Bytes = np.empty(1 << 18, np.uint8)
        self.starts: Ints = np.zeros(1 << 14, np.int64)
        options = tables.options
        # words of these kinds are encoded in Python, each distinct one once
        by_python = bool(options.glossaries) or options.vocabulary is not None
        # sentencepiece's pieces: runs of unknowns and bytes; a dropout that differs by word stays with the kernel
        by_python |= tables.model.fuse_unknown and options.output == "pieces" and not options.dropout
        self.python = PlainEncoder(tables.model, options) if by_python else None

    def encode(self, piece: Piece) -> bytes | memoryview:
        """Encode a piece of text."""
        tables, options = self.tables, self.tables.options
        if self.words.memory() + len(self.out) > CACHE_BYTES:
            self.words, self.done = WordTable(), 0
            self.out, self.starts = np.empty(1 << 18, np.uint8), np.zeros(1 << 14, np.int64)
        document = options.binary and tables.model.kind == "bytes"
        newline = kernels_words.DOCUMENT if document else kernels_words.WITHOUT_NEWLINE
        text = np.frombuffer(piece.text, np.uint8)
        items = self.words.items(text, tables.model.kind, newline, tables.marks(piece.text))
        if options.dropout:
            return self._with_dropout(piece, items, document)
        self._encode_new(piece, items)
        return self._join(items, self.out, self.starts)

    def _join(self, items: npt.NDArray[np.int32], words: Bytes, starts: Ints) -> memoryview:
        tables = self.tables
        as_text = not tables.options.binary
        size = kernels.measure_items(items, starts, tables.special_starts, as_text)
        out = np.empty(size + 16, np.uint8)
        keep_spaces = tables.model.kind == "chars" and tables.options.output == "pieces"
        used = kernels.join_items(
            items, words, starts, tables.special_text, tables.special_starts, as_text, keep_spaces, out
        )
        return memoryview(out[:used])  # type: ignore[arg-type]

    def _bound(self, words: int, size: int) -> int:
        """Bound the bytes that `words` words of `size` bytes become."""
        tables = self.tables
        return (size + 3 * words) * tables.per_symbol + size * tables.per_byte + 64

    def _encode_new(self, piece: Piece, items: npt.NDArray[np.int32]) -> None:
        count = self.words.count
        if count == self.done:
            return
        if count + 1 > len(self.starts):
            starts = np.zeros(2 * (count + 1), np.int64)
            starts[: self.done + 1] = self.starts[: self.done + 1]
            self.starts = starts
        if self.python is not None:
            return self._encode_in_python(self.python, count)
        size = int(self.words.starts[count] - self.words.starts[self.done])
        self._reserve(self._bound(count - self.done, size))
        failed = kernels.encode_words(
            self.words.arena, self.words.starts, self.done, count, *self.tables.spelling(), *self.tables.writing(),
            self.out, self.starts,
        )  # fmt: skip
        if failed >= 0:
            raise self._unknown(piece, items, int(failed))
        self.done = count

    def _reserve(self, need: int) -> None:
        used = int(self.starts[self.done])
        if used + need > len(self.out):
            out = np.empty(max(used + need, 2 * len(self.out)), np.uint8)
            out[:used] = self.out[:used]
            self.out = out

    def _encode_in_python(self, encoder: PlainEncoder, count: int) -> None:
        starts = self.words.starts[self.done : count + 1]
        arena = self.words.arena[starts[0] : starts[-1]].tobytes()
        ends = (starts - starts[0]).tolist()
        rendered = [encoder.render(arena[begin:end].decode()).encode() for begin, end in pairwise(ends)]
        text = b"".join(rendered)
        self._reserve(len(text) + 64)
        begin = int(self.starts[self.done])
        self.out[begin : begin + len(text)] = np.frombuffer(text, np.uint8)
        self.starts[self.done + 1 : count + 1] = begin + np.cumsum([len(part) for part in rendered])
        self.done = count

    def _with_dropout(self, piece: Piece, items: npt.NDArray[np.int32], document: bool) -> memoryview:
        encoded = items[items >= 0]
        lengths = np.diff(self.words.starts[: self.words.count + 1])
        size = int(lengths[encoded].sum())
        out = np.empty(self._bound(len(encoded), size), np.uint8)
        starts = np.zeros(len(encoded) + 1, np.int64)
        numbers = np.empty(len(items), np.int32)
        place = np.array([piece.offset if document else piece.line, 0], np.int64)
        seed = np.uint64(self.tables.options.seed & 0xFFFFFFFFFFFFFFFF)
        failed = kernels.encode_items_with_dropout(
            items, len(items), self.tables.options.dropout, seed, place, self.words.arena, self.words.starts,
            *self.tables.spelling(), *self.tables.writing(), numbers, out, starts,
        )  # fmt: skip
        if failed >= 0:
            raise self._unknown(piece, items, int(failed))
        return self._join(numbers, out, starts)

    def _unknown(self, piece: Piece, items: npt.NDArray[np.int32], word: int) -> Exception:
        """Return the error for the first place of a word with a character that has no id."""
        place = int(np.flatnonzero(items == word)[0])
        line = piece.line + int((items[:place] == kernels.NEWLINE).sum())
        start, stop = self.words.starts[word : word + 2]
        text = self.words.arena[start:stop].tobytes().decode()
        encoder = PlainEncoder(self.tables.model, self.tables.options)
        try:
            encoder.render(text)
        except UnknownCharacter as error:
            return error.at(piece.name, line)
        return AssertionError(text)
