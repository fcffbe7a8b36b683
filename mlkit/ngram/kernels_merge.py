# mypy: ignore-errors
"""N-grams of sorted count files: spans of rows are gathered under new numbers of their words, sorted and added up."""

from __future__ import annotations

import numpy as np

from mlkit.jit import kernel

U8 = np.uint64
ZERO = U8(0)


@kernel("i8(const i4[:,:], i8, i8, i8, i4[:], i8[:])")
def find_groups(grams, start, stop, column, words, starts):
    """Find the runs of equal words in a column of grams[start:stop]: their words, and where they start.

    Returns their number, or -1 where they are more than there is room for.
    """
    found = 0
    last = np.int32(-1)
    for i in range(start, stop):
        word = grams[i, column]
        if word != last:
            if found == words.size:
                return -1
            words[found] = word
            starts[found] = i
            found += 1
            last = word
    return found


@kernel("i8(const i4[:,:], const i4[:], const i8[:], const i8[:], i8, i8, u8[:,:], i8[:])")
def gather_rows(grams, numbers, starts, stops, bits, fields, rows, places):
    """Pack the n-grams of spans, last word first, under the new numbers of their words; `places` says where they stood.

    Returns how many there are, or -1 for a word that is none.
    """
    order, columns = grams.shape[1], rows.shape[1]
    low = U8(bits)
    at = 0
    for span in range(starts.size):
        for i in range(starts[span], stops[span]):
            f = order - 1
            for c in range(columns):
                key = ZERO
                for _ in range(fields):
                    key = key << low
                    if f >= 0:
                        word = np.int64(grams[i, f])
                        if word <= 0 or word >= numbers.size:
                            return -1
                        key |= U8(numbers[word])
                    f -= 1
                rows[at, c] = key
            places[at] = i
            at += 1
    return at


@kernel("i8(const u8[:,:], const u4[:], const f8[:], i8, i8, i4[:,:], f8[:])")
def add_rows(rows, sorting, weights, bits, fields, grams, counts):
    """Write every distinct n-gram of sorted rows, in reading order, with the sum of its weights; return how many.

    Weights that are not above 0 do not count.
    """
    order, columns = grams.shape[1], rows.shape[1]
    mask = (U8(1) << U8(bits)) - U8(1)
    written = 0
    last = np.int64(-1)
    for i in range(sorting.size):
        row = np.int64(sorting[i])
        if not weights[row] > 0.0:
            continue
        same = last >= 0
        for c in range(columns):
            if same and rows[row, c] != rows[last, c]:
                same = False
        last = row
        if same:
            counts[written - 1] += weights[row]
            continue
        for f in range(order):
            c = f // fields
            shift = U8(bits * (fields - 1 - (f - c * fields)))
            grams[written, order - 1 - f] = np.int32((rows[row, c] >> shift) & mask)
        counts[written] = weights[row]
        written += 1
    return written
