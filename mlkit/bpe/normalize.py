"""sentencepiece's normalizer: its table of characters, runs of spaces, the space before a line, spaces as ▁."""

from __future__ import annotations

import re
from dataclasses import replace

from mlkit.bpe.charsmap import Charsmap
from mlkit.bpe.text_blocks import Piece
from mlkit.formats.sentencepiece import USER_DEFINED, SentencePieceModel

# a word with the space behind it: no other text decides what becomes of most of them
_WORDS = re.compile(rb"[^ ]* |[^ ]+")
_SPACE, _MARK = " ", "▁"


class Normalizer:
    """Prepare lines as the model wants them; user-defined symbols are left as they stand."""

    def __init__(self, model: SentencePieceModel) -> None:
        self.model = model
        self._table = Charsmap(model.charsmap) if model.charsmap else None
        self._symbols = user_symbols(model)
        self._known: dict[bytes, tuple[str, ...]] = {}
        self._whole = any(" " in piece for piece, _, kind in model.pieces if kind == USER_DEFINED)

    def __call__(self, piece: Piece) -> Piece:
        """Prepare the lines of a piece of text."""
        return replace(piece, text=b"\n".join(map(self._line, piece.text.split(b"\n"))))

    def line(self, line: str) -> str:
        """Prepare a line."""
        return self._line(line.encode()).decode()

    def _line(self, line: bytes) -> bytes:
        model = self.model
        collapse = model.remove_extra_whitespaces
        chunks = self._chunks(line)
        if collapse:
            first = next((k for k, chunk in enumerate(chunks) if chunk != _SPACE), len(chunks))
            chunks = chunks[first:]
        if not chunks:
            return b""
        out: list[str] = []
        behind_space = collapse
        for text in chunks:
            if behind_space:
                text = text.lstrip(_SPACE)
            if text:
                out.append(text)
                behind_space = collapse and text.endswith(_SPACE)
        mark = _MARK if model.escape_whitespaces else _SPACE
        joined = "".join(out).replace(_SPACE, mark)
        if model.dummy_prefix and not model.whitespace_suffix:
            joined = mark + joined
        if collapse:
            joined = joined.rstrip(mark)
        if model.dummy_prefix and model.whitespace_suffix:
            joined += mark
        return joined.encode()

    def _chunks(self, line: bytes) -> list[str]:
        """Return what the prefixes of a line become, one after the other; those without spaces are joined."""
        if self._table is None and self._symbols is None:
            return re.findall(" |[^ ]+", line.decode())
        out: list[str] = []
        at = 0
        while at < len(line):
            match = None if self._whole else _WORDS.match(line, at)
            word = line[at:] if match is None else match[0]
            found = self._known.get(word)
            if found is None:
                # the word alone, unless a key or a symbol may reach beyond it
                found, alone = self._replaced(word)
                if not alone and at + len(word) < len(line):
                    found, _ = self._replaced(line[at:])
                    return [*out, *found]
                if alone or at + len(word) == len(line):
                    self._keep(word, found, alone)
            out += found
            at += len(word)
        return out

    def _keep(self, word: bytes, found: tuple[str, ...], alone: bool) -> None:
        if alone:
            if len(self._known) >= 1 << 18:
                self._known.clear()
            self._known[word] = found

    def _replaced(self, text: bytes) -> tuple[tuple[str, ...], bool]:
        """Return the chunks of a text, and whether they are the same whatever stands behind it."""
        chunks: list[str] = []
        plain: list[bytes] = []
        at, alone = 0, True
        while at < len(text):
            end, value = at, None
            if self._symbols is not None and (match := self._symbols.match(text, at)):
                end, value = match.end(), match[0]
                alone &= end < len(text)
            elif self._table is not None:
                value, end, open_end = self._table.longest(text, at)
                alone &= not open_end
            if value is None:
                end = at + 1
                while end < len(text) and text[end] & 0xC0 == 0x80:
                    end += 1
                value = text[at:end]
            if b" " in value:
                if plain:
                    chunks.append(b"".join(plain).decode())
                    plain = []
                chunks.append(value.decode())
            else:
                plain.append(value)
            at = end
        if plain:
            chunks.append(b"".join(plain).decode())
        if self._symbols is not None and not text.endswith(b" "):
            alone = False
        return tuple(chunks), alone


def user_symbols(model: SentencePieceModel) -> re.Pattern[bytes] | None:
    """Return an expression for the user-defined symbols of a model, the longest first."""
    found = {piece.encode() for piece, _, kind in model.pieces if kind == USER_DEFINED and piece}
    ordered = sorted(found, key=len, reverse=True)
    return re.compile(b"|".join(map(re.escape, ordered)), re.DOTALL) if ordered else None
