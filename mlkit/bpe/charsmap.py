"""sentencepiece's table of characters: a double-array trie of what is replaced, and the texts put in its place.

The trie's layout is that of Darts-clone: 32-bit units, in each a label, an offset to the children and a mark that
says whether a key ends there.
"""

from __future__ import annotations

import array
import sys

from mlkit.errors import ModelError


class Charsmap:
    """The table of a model's normalizer; the longest key that matches counts."""

    def __init__(self, data: bytes) -> None:
        size = int.from_bytes(data[:4], "little")
        if len(data) < 8 or size % 4 or not 4 <= size <= len(data) - 4:
            raise ModelError("the table of characters of its normalizer is damaged")
        self._units = array.array("I", data[4 : 4 + size])
        if sys.byteorder == "big":
            self._units.byteswap()
        self._texts = data[4 + size :]

    def longest(self, text: bytes, start: int) -> tuple[bytes | None, int, bool]:
        """Return what replaces the longest key at `start` (None: no key), where it ends, and whether more text
        behind `text` could make it longer.
        """
        units, count = self._units, len(self._units)
        node = _offset(units[0])
        found, end = -1, start
        for at in range(start, len(text)):
            byte = text[at]
            node ^= byte
            if node >= count:
                return self._value(found), end, False
            unit = units[node]
            if unit & 0x800000FF != byte:
                return self._value(found), end, False
            node ^= _offset(unit)
            if unit >> 8 & 1 and node < count:
                found, end = units[node] & 0x7FFFFFFF, at + 1
        return self._value(found), end, True

    def _value(self, place: int) -> bytes | None:
        if place < 0:
            return None
        end = self._texts.find(b"\0", place)
        return self._texts[place:] if end < 0 else self._texts[place:end]


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)
