"""Decimal text to float32 and back, at the speed of memory: the hot loops of vector files.

Reading gives the float32 of the nearest float64, as ``numpy.float32(float(text))`` does; a number for which the
arithmetic below cannot be certain of that stops the kernel, and the caller parses that line by other means.
Writing gives the shortest decimal that reads back as the same float32 (R. Giulietti, "The Schubfach way to render
doubles", 2020), laid out as numpy prints it.
"""

# mypy: ignore-errors
from __future__ import annotations

import numpy as np

from mlkit.jit import inline, kernel

MAX_NUMBER = 20  # bytes of the longest number that `format_rows` writes, with the space before it

# Powers of ten as the nearest float64.
_TENS = np.array([float(f"1e{e}") for e in range(301)])
_MAX_EXACT = np.uint64(1 << 53)
_NEWLINE, _SPACE, _TAB, _RETURN, _POINT, _MINUS, _PLUS = 10, 32, 9, 13, 46, 45, 43


def _schubfach_powers() -> np.ndarray:
    """Return ceil(10^k scaled to 64 bits) for k = -31..46, as two columns: high and low 32 bits."""
    rows = []
    for k in range(-31, 47):
        numerator, denominator = (10**k, 1) if k >= 0 else (1, 10**-k)
        shift = 63 - ((k * 1741647) >> 19)  # 63 - floor(log2(10^k))
        if shift >= 0:
            numerator <<= shift
        else:
            denominator <<= -shift
        value = -(-numerator // denominator)
        rows.append((value >> 32, value & 0xFFFFFFFF))
    return np.array(rows, np.uint64)


_POWERS = _schubfach_powers()
_U0, _U1, _U2, _U4, _U10, _U40 = (np.uint64(value) for value in (0, 1, 2, 4, 10, 40))
_U32 = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_TEN_THOUSANDTH = np.uint64(0x38D1B717)  # the largest float32 below 1e-4


@inline
def number_at(text, i):
    """Return (value, position after it, certain) of the number that begins at text[i]."""
    size = len(text)
    negative = False
    if i < size and (text[i] == _MINUS or text[i] == _PLUS):
        negative = text[i] == _MINUS
        i += 1
    mantissa = _U0
    digits = 0
    exponent = 0
    seen = 0
    fraction = False
    while i < size:
        c = np.int64(text[i])
        if 48 <= c <= 57:
            seen += 1
            if digits < 19:
                mantissa = mantissa * _U10 + np.uint64(c - 48)
                digits += mantissa > _U0
                exponent -= fraction
            else:
                exponent += not fraction
        elif c == _POINT and not fraction:
            fraction = True
        else:
            break
        i += 1
    if seen == 0:
        return 0.0, i, False
    if i < size and (text[i] == 69 or text[i] == 101):
        i += 1
        below = False
        if i < size and (text[i] == _MINUS or text[i] == _PLUS):
            below = text[i] == _MINUS
            i += 1
        power = 0
        begin = i
        while i < size and 48 <= text[i] <= 57:
            if power < 10000:
                power = power * 10 + (np.int64(text[i]) - 48)
            i += 1
        if i == begin:
            return 0.0, i, False
        exponent += -power if below else power
    if mantissa == _U0:
        return (-0.0 if negative else 0.0), i, True
    if not -290 <= exponent <= 280:
        return 0.0, i, False
    value = np.float64(mantissa)
    value = value * _TENS[exponent] if exponent >= 0 else value / _TENS[-exponent]
    certain = True
    if not (mantissa < _MAX_EXACT and -22 <= exponent <= 22):
        # at most four roundings of 2^-53 each: certain when both ends of the doubt are the same float32
        certain = value < 3.4e38 and np.float32(value * (1 - 2.0**-50)) == np.float32(value * (1 + 2.0**-50))
    elif value > 3.4e38:
        certain = False
    return (-value if negative else value), i, certain


@kernel("i8(const u1[:], i8, f4[:,:], i8, i8[:,:], i8[:])")
def parse_lines(text, position, vectors, row, bounds, stopped):
    """Parse lines "word number ... number" from text[position] on, into vectors[row:] and bounds[row:].

    Return the number of the row after the last one; stopped[0] is the position of the first line that was not
    taken (len(text) if all were): one of another shape, or with a number that needs care.
    """
    size = len(text)
    dimension = vectors.shape[1]
    while position < size and row < vectors.shape[0]:
        i = position
        while i < size and text[i] != _SPACE and text[i] != _NEWLINE:
            i += 1
        end = i
        good = i > position
        column = 0
        vector = vectors[row]
        while good and column < dimension:
            begin = i
            while i < size and text[i] == _SPACE:
                i += 1
            if i == begin:
                good = False
                break
            value, i, good = number_at(text, i)
            if good:
                vector[column] = value
            column += 1
        while i < size and (text[i] == _SPACE or text[i] == _TAB or text[i] == _RETURN):
            i += 1
        if not good or (i < size and text[i] != _NEWLINE):
            break
        bounds[row, 0] = position
        bounds[row, 1] = end
        row += 1
        position = min(i + 1, size)
    stopped[0] = position
    return row


@inline
def round_to_odd(high, low, factor):
    """Return the top bits of (high:low) * factor, with the lowest bit set if anything below was lost."""
    upper = high * factor + ((low * factor) >> _U32)
    return (upper >> _U32) | np.uint64((upper & _LOW) > _U1)


@inline
def shortest(bits):
    """Return (digits, exponent) of the shortest decimal for the finite, non-zero float32 with these bits."""
    fraction = bits & np.uint64(0x7FFFFF)
    biased = np.int64((bits >> np.uint64(23)) & np.uint64(0xFF))
    if biased != 0:
        c = fraction | np.uint64(0x800000)
        q = biased - 150
        if -24 < q <= 0 and (c & ((_U1 << np.uint64(-q)) - _U1)) == _U0:
            return c >> np.uint64(-q), 0
    else:
        c = fraction
        q = -149
    closer_below = np.int64(fraction == _U0 and biased > 1)
    odd = c & _U1
    k = (q * 1262611 - closer_below * 524031) >> 22
    h = np.uint64(q + ((-k * 1741647) >> 19) + 1)
    high = _POWERS[31 - k, 0]
    low = _POWERS[31 - k, 1]
    lower = round_to_odd(high, low, (_U4 * c - _U2 + np.uint64(closer_below)) << h) + odd
    value = round_to_odd(high, low, (_U4 * c) << h)
    upper = round_to_odd(high, low, (_U4 * c + _U2) << h) - odd
    s = value >> _U2
    if s >= _U10:
        tenth = s // _U10
        below_fits = lower <= _U40 * tenth
        above_fits = _U40 * tenth + _U40 <= upper
        if below_fits != above_fits:
            return tenth + np.uint64(above_fits), k + 1
    below_fits = lower <= _U4 * s
    above_fits = _U4 * s + _U4 <= upper
    if below_fits != above_fits:
        return s + np.uint64(above_fits), k
    middle = _U4 * s + _U2
    up = value > middle or (value == middle and (s & _U1) != _U0)
    return s + np.uint64(up), k


@inline
def put_number(bits, out, i):
    """Write the float32 with these bits at out[i] and return the position after it."""
    if bits >> np.uint64(31) and bits & np.uint64(0x7FFFFFFF) <= np.uint64(0x7F800000):
        out[i] = _MINUS
        i += 1
    bits = bits & np.uint64(0x7FFFFFFF)
    if bits >= np.uint64(0x7F800000):
        # nan, inf
        nan = bits > np.uint64(0x7F800000)
        out[i] = 110 if nan else 105
        out[i + 1] = 97 if nan else 110
        out[i + 2] = 110 if nan else 102
        return i + 3
    digits = _U0
    exponent = 0
    if bits != _U0:
        digits, exponent = shortest(bits)
        while digits % _U10 == _U0:
            digits //= _U10
            exponent += 1
    count = 1
    rest = digits // _U10
    while rest > _U0:
        count += 1
        rest //= _U10
    point = count + exponent  # digits before the decimal point
    if bits != _U0 and (point > 16 or bits <= _TEN_THOUSANDTH):
        # d.ddde-XX
        begin = i
        i += count + (count > 1)
        for place in range(count):
            offset = count - 1 - place
            out[begin + (offset + 1 if offset else 0)] = 48 + np.int64(digits % _U10)
            digits //= _U10
        if count > 1:
            out[begin + 1] = _POINT
        power = point - 1
        out[i] = 101
        out[i + 1] = _MINUS if power < 0 else _PLUS
        power = abs(power)
        out[i + 2] = 48 + power // 10
        out[i + 3] = 48 + power % 10
        return i + 4
    whole = max(point, 1)
    decimals = max(-exponent, 1)
    end = i + whole + 1 + decimals
    for place in range(i, end):
        out[place] = 48
    out[i + whole] = _POINT
    # the last digit stands for 10^exponent
    place = i + whole - 1 - exponent if exponent >= 0 else i + whole - exponent
    for _ in range(count):
        if place == i + whole:
            place -= 1
        out[place] = 48 + np.int64(digits % _U10)
        digits //= _U10
        place -= 1
    return end


@kernel("i8(const u4[:,:], const u1[:], const i8[:], u1[:])")
def format_rows(bits, words, ends, out):
    """Write lines "word number ... number" for rows of float32 (given as their bits); return the bytes written.

    words[ends[r - 1]:ends[r]] is the word of row r; `out` has room for MAX_NUMBER bytes a number.
    """
    i = 0
    begin = 0
    for row in range(bits.shape[0]):
        for place in range(begin, ends[row]):
            out[i] = words[place]
            i += 1
        begin = ends[row]
        for column in range(bits.shape[1]):
            out[i] = _SPACE
            i = put_number(np.uint64(bits[row, column]), out, i + 1)
        out[i] = _NEWLINE
        i += 1
    return i
