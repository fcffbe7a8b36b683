"""Put sentencepiece's pieces together, as its own `decode` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlkit.bpe.model import SPACE, BpeModel
from mlkit.bpe.normalize import Normalizer
from mlkit.formats.sentencepiece import BYTE, CONTROL, UNKNOWN


class PieceJoiner:
    """Text of rows of pieces or ids.

    Control symbols leave nothing, what is unknown ` ⁇ ` (as a piece: itself), runs of bytes their characters, or
    U+FFFD for each byte that makes none.
    """

    def __init__(self, model: BpeModel) -> None:
        found = model.sentencepiece
        assert found is not None
        self._strips = found.dummy_prefix or found.remove_extra_whitespaces
        self._strips_all = found.remove_extra_whitespaces
        self._texts: dict[str, str] = {}
        self._bytes: dict[str, int] = {}
        self._bare: set[str] = set()  # what loses no ▁ at the start of a line
        for piece, _, kind in found.pieces:
            if kind == BYTE:
                self._bytes[piece] = int(piece[3:5], 16)
            elif kind == CONTROL:
                self._texts[piece] = ""
                self._bare.add(piece)
            elif kind == UNKNOWN:
                self._texts[piece] = found.unknown_surface
                self._bare.add(piece)
            else:
                self._texts[piece] = piece.replace(SPACE, " ")
        self._finish: Callable[[str], str] | None = None
        if found.denormalizer:
            plain = replace(
                found, charsmap=found.denormalizer, dummy_prefix=False, remove_extra_whitespaces=False,
                escape_whitespaces=False, pieces=[],
            )  # fmt: skip
            self._finish = Normalizer(plain).line

    def join(self, pieces: list[str]) -> str:
        """Return the text of a line."""
        out: list[str] = []
        held: list[int] = []
        start, seen = True, False
        for piece in pieces:
            if piece in self._bytes:
                held.append(self._bytes[piece])
                continue
            if held:
                out.append(_text_of(held))
                held = []
            if start and (seen or any(out)):
                start = False
            text = self._texts.get(piece, piece)
            seen = False
            if start and self._strips and piece in self._texts and piece not in self._bare:
                seen = text.startswith(" ")
                text = text[seen:]
                seen = seen and not self._strips_all
            out.append(text)
        if held:
            out.append(_text_of(held))
        joined = "".join(out)
        return joined if self._finish is None else self._finish(joined)


def _text_of(held: list[int]) -> str:
    """Read bytes as UTF-8; each that is part of no character becomes U+FFFD."""
    data, out, at = bytes(held), [], 0
    while at < len(data):
        first = data[at]
        length = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        try:
            out.append(data[at : at + length].decode())
            at += length
        except UnicodeDecodeError:
            out.append("�")
            at += 1
    return "".join(out)
