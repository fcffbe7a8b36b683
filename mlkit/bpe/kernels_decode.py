# mypy: ignore-errors
"""Decode: lines of ids, rows of ids and lines of byte-level pieces become text."""

import numpy as np

from mlkit.jit import inline, kernel
from mlkit.jit.bytes import copy16, first_mark, load8

U8 = np.uint64
HIGH_BITS = U8(0x8080808080808080)
LOW_BITS = U8(0x7F7F7F7F7F7F7F7F)
ZEROS = U8(0x3030303030303030)
ABOVE_NINE = U8(0x7676767676767676)
PAIRS = U8(0x00FF00FF00FF00FF)
QUADS = U8(0x0000FFFF0000FFFF)
LOW_HALF = U8(0xFFFFFFFF)

ROOM = 16  # bytes of a token are written at once: `out` has so many to spare


@inline
def digits_at(block):
    """Return how many of 8 bytes are digits before the first other one."""
    values = block ^ ZEROS
    return first_mark((((values & LOW_BITS) + ABOVE_NINE) | values) & HIGH_BITS)


@inline
def number_of_digits(block, digits):
    """Return the number that the first 1 to 7 bytes spell."""
    values = (block ^ ZEROS) << U8(8 * (8 - digits))
    values = (values & PAIRS) * U8(10) + ((values >> U8(8)) & PAIRS)
    values = (values & QUADS) * U8(100) + ((values >> U8(16)) & QUADS)
    return np.int64((values & LOW_HALF) * U8(10000) + (values >> U8(32)))


@kernel("i8(const u1[:], i8, const u1[:,:], const u1[:], const i8[:], const i4[:], b1, b1, u1[:])")
def decode_ids(text, size, heads, tokens, begins, lengths, strip_first, strip_last, out):
    """Turn lines of ids, text[:size], into text; return its length, or -1 - the place of what is not an id.

    Token i is tokens[begins[i]:begins[i] + lengths[i]], -1 long where there is none; heads[i] are its first 16 bytes.
    A space at the start of a line is dropped if `strip_first`, one at its end if `strip_last`. Eight newlines stand
    behind text[:size].
    """
    i = np.int64(0)
    at = np.int64(0)
    line = np.int64(0)
    fresh = True
    while i < size:
        block = load8(text, U8(i))
        digits = digits_at(block)
        if digits == 0:
            b = text[i]
            if b == 10:
                if strip_last and at > line and out[at - 1] == 32:
                    at -= 1
                out[at] = 10
                at += 1
                line = at
                fresh = True
            elif b != 32 and b != 9 and b != 13:
                return -1 - i
            i += 1
            continue
        begin = i
        if digits < 8:
            value = number_of_digits(block, digits)
            i += digits
        else:
            value = np.int64(0)
            while i < size and 48 <= text[i] <= 57 and i - begin < 11:
                value = value * 10 + np.int64(text[i]) - 48
                i += 1
        if text[begin] == 48 and i - begin > 1:
            return -1 - begin  # ids are not written so
        b = text[i]
        if (b != 32 and b != 10 and b != 9 and b != 13) or value >= lengths.shape[0] or lengths[value] < 0:
            return -1 - begin
        if b == 32:
            i += 1
        length = np.int64(lengths[value])
        copy16(heads, U8(value * ROOM), out, U8(at))
        for k in range(ROOM, length):
            out[at + k] = tokens[begins[value] + k]
        if fresh and strip_first and length > 0 and out[at] == 32:
            length -= 1
            for k in range(length):
                out[at + k] = out[at + k + 1]
        fresh = False
        at += length
    if strip_last and at > line and out[at - 1] == 32:
        at -= 1
    return at


@kernel("i8(const u1[:], const i2[:], u1[:])")
def decode_byte_pieces(text, byte_of, out):
    """Turn lines of pieces in GPT-2's alphabet into bytes; return the length, or -1 - the place of a fault.

    byte_of[c] is the byte of code point c < 512, or -1. Spaces stand between pieces.
    """
    size = text.shape[0]
    i = 0
    at = 0
    while i < size:
        b = np.int64(text[i])
        if b == 32:
            i += 1
            continue
        if b == 10:
            out[at] = 10
            at += 1
            i += 1
            continue
        here = i
        if b >= 0x80:
            if b >= 0xC8 or b < 0xC2 or i + 1 >= size:
                return np.int64(-1 - here)
            b = ((b & 0x1F) << 6) | (np.int64(text[i + 1]) & 0x3F)
            i += 1
        i += 1
        if byte_of[b] < 0:
            return np.int64(-1 - here)
        out[at] = byte_of[b]
        at += 1
    return at
