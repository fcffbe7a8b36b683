# mypy: ignore-errors
"""Kernels of co-occurrence counting: one row of the matrix at a time, in a table that stays in the cache.

A row is written as variable-length numbers (7 bits a byte, the last byte below 128): for each entry, by ascending
column, the distance from the column before (from -1 at first, so never 0) and the weight in units; then 0.
"""

from __future__ import annotations

import numpy as np

from mlkit.jit import inline, kernel, prefetch

U8 = np.uint64
ZERO, ONE, THREE, SIX, SEVEN, LOW7, BIT7 = U8(0), U8(1), U8(3), U8(6), U8(7), U8(127), U8(128)
ENTRY = 15  # most bytes of an entry: 5 for the column, 10 for the weight
AHEAD = 6


@inline
def put_number(out, at, value):
    """Write a number; return the position behind it."""
    while value > LOW7:
        out[at] = np.uint8((value & LOW7) | BIT7)
        value >>= SEVEN
        at += ONE
    out[at] = np.uint8(value)
    return at + ONE


@inline
def get_number(data, at):
    """Return (number at data[at], position behind it)."""
    byte = U8(data[at])
    at += ONE
    if byte < BIT7:
        return byte, at
    value = byte & LOW7
    shift = SEVEN
    while byte >= BIT7:
        byte = U8(data[at])
        at += ONE
        value |= (byte & LOW7) << shift
        shift += SEVEN
    return value, at


@inline
def add(table, flags, column, units):
    """Add to a column of the row in the making; every group of 8 columns has a flag."""
    table[column] += units
    flags[column >> THREE] = np.uint8(1)


@inline
def put_row(table, flags, eights, columns, out, at):
    """Write the columns of a row that are in the table, and clear table and flags; return (position, entries).

    `eights` views the same bytes as `flags`, eight at a time: most are 0 in the row of a rare word.
    """
    entries = 0
    following = ZERO
    for eight in range((columns + U8(63)) >> SIX):
        if eights[eight] != ZERO:
            eights[eight] = ZERO
            for k in range(64):
                column = (U8(eight) << SIX) + U8(k)
                units = table[column]
                if units != ZERO:
                    table[column] = ZERO
                    at = put_number(out, at, column + ONE - following)
                    at = put_number(out, at, units)
                    following = column + ONE
                    entries += 1
    return put_number(out, at, ZERO), entries


@kernel("void(const i4[:], i8, i8, i8[:])")
def count_ids(ids, start, stop, counts):
    """Count the ids in ids[start:stop]; negative ones are sentence ends."""
    for p in range(start, stop):
        word = ids[U8(p)]
        if word >= 0:
            counts[U8(word)] += 1


@kernel("void(const i4[:], i8, i8, i8[:], i4[:])")
def place_ids(ids, start, stop, heads, positions):
    """Write the positions of every word of ids[start:stop] from heads[word] on; heads move to the ends."""
    for p in range(start, stop):
        word = ids[U8(p)]
        if word >= 0:
            positions[U8(heads[U8(word)])] = np.int32(p)
            heads[U8(word)] += 1


@kernel(
    "i8(const i4[:], const i4[:], const i8[:], i8, i8, const u8[:], b1, u8[:], u1[:], u8[:], u1[:], i8[:], i8[:])"
)
def count_rows(
    ids, positions, starts, first, last, weights, symmetric, table, flags, eights, out, lengths, records
):
    """Write rows first..last-1 of the co-occurrence matrix; return how many fitted into `out`.

    positions[starts[word] : starts[word + 1]] are the occurrences of a word in `ids`. weights[k] is the weight at
    distance k, from 1 on. symmetric: words on both sides count, and columns up to the row itself are written (the
    rest is the mirror image); else words to the right count. `lengths` receives the bytes of every row, `records[0]`
    the number of entries that the rows stand for is added to.
    """
    window = weights.size - 1
    size = ids.size
    words = table.size
    at = ZERO
    for row in range(first, last):
        begin, end = starts[row], starts[row + 1]
        columns = row + 1 if symmetric else words
        room = 10 + ENTRY * min(columns, (end - begin) * 2 * window)
        if np.int64(at) + room > out.size:
            return row - first
        before = at
        for n in range(begin, end):
            if n + AHEAD < end:
                ahead = np.int64(positions[U8(n + AHEAD)])
                prefetch(ids, max(ahead - window, 0))
                prefetch(ids, ahead)
                prefetch(ids, min(ahead + window, size - 1))
            p = np.int64(positions[U8(n)])
            for k in range(1, min(window, size - 1 - p) + 1):
                word = ids[U8(p + k)]
                if word < 0:
                    break
                if word < columns:
                    add(table, flags, U8(word), weights[U8(k)])
            if symmetric:
                for k in range(1, min(window, p) + 1):
                    word = ids[U8(p - k)]
                    if word < 0:
                        break
                    if word < columns:
                        add(table, flags, U8(word), weights[U8(k)])
        diagonal = table[row] != ZERO
        at, entries = put_row(table, flags, eights, U8(columns), out, at)
        lengths[row - first] = np.int64(at - before)
        records[0] += 2 * entries - diagonal if symmetric else entries
    return last - first


@kernel("i8(const u1[:], const i8[:,:], i8, b1, u8[:], u1[:], u8[:], u1[:], i8[:], i8[:])")
def add_rows(data, starts, first, symmetric, table, flags, eights, out, lengths, records):
    """Add up rows of several matrices: row first + r of matrix m begins at data[starts[m, r]].

    `out` must be as large as `data`. Write the bytes of every sum to `lengths`, return their total; `records` as
    in `count_rows`.
    """
    at = ZERO
    for row in range(lengths.size):
        before = at
        for m in range(starts.shape[0]):
            here = U8(starts[m, row])
            following = ZERO
            while True:
                step, here = get_number(data, here)
                if step == ZERO:
                    break
                units, here = get_number(data, here)
                following += step
                add(table, flags, following - ONE, units)
        diagonal = table[first + row] != ZERO
        at, entries = put_row(table, flags, eights, U8(table.size), out, at)
        lengths[row] = np.int64(at - before)
        records[0] += 2 * entries - diagonal if symmetric else entries
    return np.int64(at)


@kernel("i8(const u1[:], i8, i8, i8, b1, i8[:])")
def check_rows(data, first, last, words, symmetric, degrees):
    """Check that `data` is rows first..last-1 and count the entries of the full matrix by row.

    Return a faulty row or -1.

    Nothing outside `data` is read: every number must end inside, every column must be below `words`.
    """
    size = U8(data.size)
    at = ZERO
    for row in range(first, last):
        following = ZERO
        columns = U8(row + 1 if symmetric else words)
        is_column = True
        while True:
            value = ZERO
            shift = ZERO
            while True:
                if at >= size or shift > U8(63):
                    return row
                byte = U8(data[at])
                at += ONE
                value |= (byte & LOW7) << shift
                shift += SEVEN
                if byte < BIT7:
                    break
            if is_column:
                if value == ZERO:
                    break
                if value > columns - following:
                    return row
                following += value
            else:
                column = np.int64(following) - 1
                degrees[row] += 1
                if symmetric and column != row:
                    degrees[column] += 1
            is_column = not is_column
    return last - 1 if at != size else np.int64(-1)


@kernel("void(const u1[:], i8, i8, b1, i8[:])")
def count_entries(data, first, last, symmetric, degrees):
    """Count the entries of the full matrix by row, of rows first..last-1 that are known to be whole."""
    at = ZERO
    for row in range(first, last):
        following = ZERO
        entries = 0
        while True:
            step, at = get_number(data, at)
            if step == ZERO:
                break
            following += step
            while U8(data[at]) >= BIT7:
                at += ONE
            at += ONE
            entries += 1
            if symmetric:
                degrees[following - ONE] += 1
        # the diagonal is not its own mirror image
        diagonal = symmetric and entries > 0 and following == U8(row + 1)
        degrees[row] += entries - diagonal


@inline
def put_record(row, column, value, heads, first, ints, values):
    """Write one record at the head of its row."""
    at = heads[row - first]
    heads[row - first] = at + 1
    ints[4 * at] = np.int32(row + 1)
    ints[4 * at + 1] = np.int32(column + 1)
    values[2 * at + 1] = value


@kernel("void(const u1[:], const i8[:], i8, i8, b1, i8, i8, f8, i8[:], i8[:], i8[:], i4[:], f8[:])")
def write_records(
    data, starts, begin, end, symmetric, first, last, scale, places, columns, heads, ints, values
):  # fmt: skip
    """Write what rows begin..end-1, in `data`, have for rows first..last-1 of the full matrix, as GloVe's records.

    starts: where rows begin in the file; begin is not below first. places, columns: how far the rows from `last` on
    have been read for earlier words, and up to which column. `ints` and `values` are views of the same bytes, 16 a
    record; heads[row - first] is where a row begins.
    """
    base = starts[begin]
    for row in range(begin, end):
        own = row < last
        at = U8((starts[row] if own else places[row]) - base)
        following = ZERO if own else U8(columns[row])
        while True:
            step, after = get_number(data, at)
            if step == ZERO or (not own and following + step > U8(last)):
                break
            units, at = get_number(data, after)
            following += step
            column = np.int64(following) - 1
            value = np.float64(units) / scale
            if own:
                put_record(row, column, value, heads, first, ints, values)
            if symmetric and column != row and column >= first:
                put_record(column, row, value, heads, first, ints, values)
        places[row] = np.int64(at) + base
        columns[row] = np.int64(following)


@kernel("i8(const u1[:], i8, i8, f8, i4[:], i4[:], f8[:])")
def read_rows(data, first, last, scale, words, contexts, weights):
    """Read rows first..last-1 from `data` into records (from 0 on) as stored; return how many there are."""
    at = ZERO
    n = U8(0)
    for row in range(first, last):
        following = ZERO
        while True:
            step, at = get_number(data, at)
            if step == ZERO:
                break
            units, at = get_number(data, at)
            following += step
            words[n] = np.int32(row)
            contexts[n] = np.int32(following - ONE)
            weights[n] = np.float64(units) / scale
            n += ONE
    return np.int64(n)
