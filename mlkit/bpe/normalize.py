"""sentencepiece's normalizer: its table of characters, and runs of spaces."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from mlkit.bpe.text_blocks import Piece

# what no table of sentencepiece changes
_CLEAN = re.compile(rb"[^\x00-\x09\x0b-\x1f\x7f-\xff]*")
_SPACES = re.compile(r" +")


class Normalizer:
    """Apply the character table of a sentencepiece model (by the `tokenizers` library) and collapse spaces."""

    def __init__(self, charsmap: bytes, collapse: bool) -> None:
        self._collapse = collapse
        self._table: Any = None
        if charsmap:
            from tokenizers.normalizers import Precompiled

            self._table = Precompiled(charsmap)

    def __call__(self, piece: Piece) -> Piece:
        lines = piece.text.split(b"\n")
        return replace(piece, text=b"\n".join(map(self._line, lines)))

    def _line(self, line: bytes) -> bytes:
        if self._table is not None and not _CLEAN.fullmatch(line):
            line = self._table.normalize_str(line.decode()).encode()
        if self._collapse and (b"  " in line or line[:1] == b" " or line[-1:] == b" "):
            line = _SPACES.sub(" ", line.decode()).strip(" ").encode()
        return line
