# mypy: ignore-errors
"""N-grams in hash tables: building, scoring, looking up.

A table has rows of two uint64: the hash of an n-gram and its value (two float32: log10 p and log10 back-off
weight, or count and count as a context). Rows are sorted by hash, with gaps: an n-gram stands at its ideal
place, which grows with the hash, or soon after it. A search ends at the hash, a larger one or a gap (hash 0).
The tables of all orders are parts of one array; sizes[k] and offsets[k] tell ideal places and begin of that
of order k + 1.

The hash of an n-gram is built from its last word to its first, so that those of all orders that end at one
position come in one pass, and rows are asked for ahead of their use.
"""

from __future__ import annotations

import math

import numpy as np

from mlkit.jit import inline, kernel, prefetch

U8 = np.uint64
ZERO, ONE, HALF, LOW = U8(0), U8(1), U8(32), U8(0xFFFFFFFF)
MIX_A, MIX_B = U8(0x9E3779B97F4A7C15), U8(0xD6E8FEB86659FD93)
AHEAD = 12
RING = 16
BEGIN, END = 2, 3


@inline
def extend_hash(hashed, word):
    """Return the hash of an n-gram with one more word before it; never 0."""
    x = (hashed ^ (hashed >> HALF)) + (U8(word) + ONE) * MIX_A
    x = (x ^ (x >> HALF)) * MIX_B
    x = (x ^ (x >> U8(29))) * MIX_A
    x = x ^ (x >> HALF)
    return x | U8(x == ZERO)


@inline
def ideal(hashed, size):
    """Return the place of a hash in a table of `size` ideal places."""
    return ((hashed >> HALF) * U8(size)) >> HALF


@inline
def find(table, offset, size, hashed):
    """Return the row of a hash, -1 when it is not there."""
    row = U8(offset) + ideal(hashed, size)
    while True:
        key = table[row, 0]
        if key == hashed:
            return np.int64(row)
        if key == ZERO or key > hashed:
            return np.int64(-1)
        row += ONE


@kernel("void(const i4[:,:], u8[:])")
def hash_grams(grams, hashes):
    """Hash n-grams given in reading order."""
    for i in range(grams.shape[0]):
        hashed = ZERO
        for k in range(grams.shape[1] - 1, -1, -1):
            hashed = extend_hash(hashed, grams[i, k])
        hashes[i] = hashed


@kernel("void(const u8[:], i8, i8[:])")
def count_groups(hashes, shift, counts):
    """Count hashes by their highest bits."""
    for i in range(hashes.size):
        counts[hashes[i] >> U8(shift)] += 1


@kernel("void(const u8[:], const u8[:], i8, i8[:], u8[:,:])")
def scatter_groups(hashes, values, shift, cursor, rows):
    """Bring (hash, value) rows together by their highest bits."""
    for i in range(hashes.size):
        group = hashes[i] >> U8(shift)
        at = cursor[group]
        cursor[group] = at + 1
        rows[at, 0] = hashes[i]
        rows[at, 1] = values[i]


@kernel("i8(const u8[:,:], const u4[:], i8, i8, i8, i8, u8[:,:])")
def place_rows(rows, sorting, size, first, following, stop, out):
    """Write sorted rows to their places; `out` is the table from row `first` on.

    following: the first free row. Return the first free row afterwards, -1 when a hash stands twice, -2 - row
    when `out` is too short.
    """
    previous = ZERO
    for i in range(sorting.size):
        row = sorting[i]
        hashed = rows[row, 0]
        if hashed == previous:
            return -1
        previous = hashed
        place = max(np.int64(ideal(hashed, size)), following)
        if place - first >= out.shape[0]:
            return -2
        out[place - first, 0] = hashed
        out[place - first, 1] = rows[row, 1]
        following = place + 1
    return max(following, stop)


@inline
def look_ahead(ids, at, since, order, offsets, sizes, table, hashes):
    """Compute the hashes of the n-grams of all orders that end at a position, and ask for their rows."""
    word = ids[at] if ids[at] >= 0 else END
    hashed = extend_hash(ZERO, word)
    depth = min(order, since + 2)
    for k in range(1, depth):
        before = BEGIN
        if k <= since:
            before = np.int64(ids[at - k])
        hashed = extend_hash(hashed, before)
        hashes[k] = hashed
        prefetch(table, offsets[k] + np.int64(ideal(hashed, sizes[k])))
    return depth


@kernel(
    "void(const i4[:], i8, const i8[:], const i8[:], const u8[:,:], const f4[:,:], const f4[:], const f4[:], f8, b1,"
    " f8[:], i1[:])"
)
def score_backoff(
    ids, order, offsets, sizes, table, values, words, word_backoffs, missing, closed, out, matched
):
    """Write log10 p and the matched order of every word and line end (-1) of `ids`, which begins with a line.

    missing: the logarithm that a context without an entry costs; closed: no n-gram is there without its
    suffix.
    """
    hashes = np.zeros((RING, order), np.uint64)
    depths = np.zeros(RING, np.int64)
    backoffs = np.zeros(order + 1)
    since = 0
    fresh = True
    for ahead in range(-AHEAD, ids.size):
        front = ahead + AHEAD
        if front < ids.size:
            slot = front & (RING - 1)
            depths[slot] = look_ahead(ids, front, since, order, offsets, sizes, table, hashes[slot])
            since = since + 1 if ids[front] >= 0 else 0
        if ahead < 0:
            continue
        slot = ahead & (RING - 1)
        depth = depths[slot]
        word = np.int64(ids[ahead]) if ids[ahead] >= 0 else END
        if fresh:
            backoffs[1] = word_backoffs[BEGIN]
            fresh = False
        total = np.float64(words[word])
        match = 1
        carried = np.float64(word_backoffs[word])
        for k in range(1, depth):
            row = find(table, offsets[k], sizes[k], hashes[slot, k])
            mine = missing
            # total is p of the longest match so far plus the weights of the longer contexts passed over
            if row >= 0:
                total = np.float64(values[row, 2])
                mine = np.float64(values[row, 3])
                match = k + 1
            else:
                total += backoffs[k]
            backoffs[k] = carried
            carried = mine
            if row < 0 and closed:
                for m in range(k + 1, depth):
                    total += backoffs[m]
                    backoffs[m] = carried
                    carried = missing
                break
        if depth < order:
            backoffs[depth] = carried
        out[ahead] = total
        matched[ahead] = match
        if ids[ahead] < 0:
            fresh = True


@kernel(
    "void(const i4[:], i8, const i8[:], const i8[:], const u8[:,:], const f4[:,:], const f4[:], const f4[:], f8, f8,"
    " f8[:], i1[:])"
)
def score_additive(ids, order, offsets, sizes, table, values, words, word_totals, alpha, types, out, matched):
    """Score as `score_backoff` does with P = (c(h, w) + alpha) / (c(h) + alpha V), V = types.

    The history is the longest one, order - 1 words, shorter only at the begin of a line. For order 1,
    word_totals[0] is the number of tokens.
    """
    hashes = np.zeros((RING, order), np.uint64)
    depths = np.zeros(RING, np.int64)
    totals = np.zeros(order + 1)
    since = 0
    fresh = True
    for ahead in range(-AHEAD, ids.size):
        front = ahead + AHEAD
        if front < ids.size:
            slot = front & (RING - 1)
            depths[slot] = look_ahead(ids, front, since, order, offsets, sizes, table, hashes[slot])
            since = since + 1 if ids[front] >= 0 else 0
        if ahead < 0:
            continue
        slot = ahead & (RING - 1)
        depth = depths[slot]
        word = np.int64(ids[ahead]) if ids[ahead] >= 0 else END
        if fresh:
            totals[1] = word_totals[BEGIN]
            fresh = False
        totals[0] = word_totals[0]
        count = np.float64(words[word])
        match = 1 if count > 0.0 else 0
        history = totals[depth - 1]
        carried = np.float64(word_totals[word])
        for k in range(1, depth):
            row = find(table, offsets[k], sizes[k], hashes[slot, k])
            count = 0.0
            mine = 0.0
            if row >= 0:
                count = np.float64(values[row, 2])
                mine = np.float64(values[row, 3])
                if count > 0.0:
                    match = k + 1
            totals[k] = carried
            carried = mine
        if depth < order:
            totals[depth] = carried
        top = count + alpha
        out[ahead] = math.log10(top / (history + alpha * types)) if top > 0.0 else -np.inf
        matched[ahead] = match
        if ids[ahead] < 0:
            fresh = True


@kernel(
    "void(const i4[:], i8, const i8[:], const i8[:], const u8[:,:], const f4[:,:], const f4[:], const f4[:],"
    " f4[:,:], f4[:,:])"
)
def count_components(ids, order, offsets, sizes, table, values, words, word_totals, counts, histories):
    """Write c(h, w) and c(h) of every position for histories of 0 to order - 1 words (a count model's tables)."""
    hashes = np.zeros(order, np.uint64)
    totals = np.zeros(order + 1)
    since = 0
    totals[1] = word_totals[BEGIN]
    for i in range(ids.size):
        depth = look_ahead(ids, i, since, order, offsets, sizes, table, hashes)
        word = np.int64(ids[i]) if ids[i] >= 0 else END
        counts[i, 0] = words[word]
        histories[i, 0] = word_totals[0]
        carried = np.float64(word_totals[word])
        for k in range(1, depth):
            row = find(table, offsets[k], sizes[k], hashes[k])
            mine = 0.0
            counts[i, k] = 0.0
            if row >= 0:
                counts[i, k] = values[row, 2]
                mine = np.float64(values[row, 3])
            histories[i, k] = totals[k]
            totals[k] = carried
            carried = mine
        for k in range(depth, order):
            counts[i, k] = 0.0
            histories[i, k] = 0.0
        if depth < order:
            totals[depth] = carried
        since += 1
        if ids[i] < 0:
            since = 0
            totals[1] = word_totals[BEGIN]


@kernel("void(const i4[:,:], i8, i8, const u8[:,:], u8[:], b1[:])")
def look_up_grams(grams, offset, size, table, values, found):
    """Write the value of every n-gram in the table of its order, and whether it is there."""
    order = grams.shape[1]
    for i in range(grams.shape[0]):
        hashed = ZERO
        for k in range(order - 1, -1, -1):
            hashed = extend_hash(hashed, grams[i, k])
        row = find(table, offset, size, hashed)
        found[i] = row >= 0
        values[i] = table[row, 1] if row >= 0 else ZERO
