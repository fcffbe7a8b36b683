# mypy: ignore-errors
"""Is a text UTF-8? Python says it too, but only by making a string of it, and one thread at a time."""

import numpy as np

from mlkit.jit import kernel
from mlkit.jit.bytes import load8

U8 = np.uint64
HIGH_BITS = U8(0x8080808080808080)


@kernel("b1(const u1[:])")
def valid_utf8(text):
    """Say whether a text is valid UTF-8: no surrogates, nothing beyond U+10FFFF, shortest forms only."""
    size = text.shape[0]
    i = 0
    while i < size:
        while i + 8 <= size and load8(text, U8(i)) & HIGH_BITS == U8(0):
            i += 8
        # then up to 8 bytes, one by one
        stop = min(i + 8, size)
        while i < stop:
            first = text[i]
            if first < 0x80:
                i += 1
                continue
            if first < 0xC2 or first > 0xF4:
                return False
            length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            if i + length > size:
                return False
            second = text[i + 1]
            low = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
            high = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
            if second < low or second > high:
                return False
            for k in range(2, length):
                if text[i + k] & 0xC0 != 0x80:
                    return False
            i += length
    return True
