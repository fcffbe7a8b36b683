# mypy: ignore-errors
"""From word ids to sorted n-grams: packed keys, radix sort, and the levels of the reversed trie.

An n-gram is a row of uint64 words that hold its word ids, `bits` bits each, `fields` of them per word, the
last word of the n-gram first. Zeros fill the row of an n-gram that is shorter, as those that begin with <s>
are. Sorting rows as numbers sorts n-grams by last word, then the word before, and so on.

In the reversed trie, an entry of level k is a k-gram; its `word` is the first word of the k-gram and its
`parent` the entry of level k - 1 for the rest. Entries of one level are in sorted order.
"""

from __future__ import annotations

import numpy as np

from mlkit.jit import inline, kernel

U8 = np.uint64
ZERO, ONE = U8(0), U8(1)
DIGIT, BUCKETS = U8(11), 2048
DIGIT_MASK = U8(2047)
BEGIN = 2  # the id of <s>
MISSING = 0xFFFFFFFF


@inline
def field(rows, row, index, bits, fields):
    """Return field `index` (0 = last word of the n-gram) of a row."""
    column = index // fields
    shift = U8(bits * (fields - 1 - (index - column * fields)))
    return (rows[row, column] >> shift) & ((ONE << U8(bits)) - ONE)


@kernel("void(const i4[:], const i4[:], const i4[:], i8[:])")
def count_parts(ids, numbers, part_of, counts):
    """Count the n-grams that end in a word of every part; -1 in `ids` is the end of a line (id 3)."""
    for i in range(ids.size):
        word = 3
        if ids[i] >= 0:
            word = np.int64(numbers[ids[i]])
        if word >= 0:
            counts[part_of[word]] += 1


@kernel("void(const i4[:], const i4[:], i8, i8, i8, const i4[:], i8[:], u8[:,:], const f8[:], f8[:])")
def scatter_grams(ids, numbers, order, bits, fields, part_of, cursor, rows, line_weights, weights):
    """Write the row of the n-gram that ends at every position to its part; `cursor` says where parts go on.

    `numbers` turns ids into those of the vocabulary (negative: the word is left out). `line_weights` may be
    empty.
    """
    columns = rows.shape[1]
    low = U8(bits)
    top = U8(bits * (fields - 1))
    mask = (ONE << low) - ONE
    unused = U8(bits * (columns * fields - order))
    last_mask = ~((ONE << unused) - ONE)
    current = np.zeros(columns, np.uint64)
    current[0] = U8(BEGIN) << top
    line = 0
    for i in range(ids.size):
        word = 3
        if ids[i] >= 0:
            word = np.int64(numbers[ids[i]])
            if word < 0:
                continue
        for c in range(columns - 1, 0, -1):
            current[c] = (current[c] >> low) | ((current[c - 1] & mask) << top)
        current[0] = (current[0] >> low) | (U8(word) << top)
        current[columns - 1] &= last_mask
        part = part_of[word]
        at = cursor[part]
        cursor[part] = at + 1
        for c in range(columns):
            rows[at, c] = current[c]
        if line_weights.size:
            weights[at] = line_weights[line]
        if ids[i] < 0:
            line += 1
            for c in range(columns):
                current[c] = ZERO
            current[0] = U8(BEGIN) << top


@kernel("void(const i4[:,:], i8, i8, i8, u8[:,:])")
def pack_rows(grams, order, bits, fields, rows):
    """Pack n-grams (words in reading order, right-aligned, zeros before them) into rows of `order` fields."""
    for i in range(grams.shape[0]):
        for c in range(rows.shape[1]):
            rows[i, c] = ZERO
        for f in range(order):
            column = f // fields
            shift = U8(bits * (fields - 1 - (f - column * fields)))
            rows[i, column] |= U8(grams[i, order - 1 - f]) << shift


@kernel("void(const u8[:,:], i8, i8, i8, i4[:,:])")
def unpack_rows(rows, order, bits, fields, grams):
    """Undo `pack_rows`."""
    for i in range(rows.shape[0]):
        for f in range(order):
            grams[i, order - 1 - f] = np.int32(field(rows, i, f, bits, fields))


@kernel("void(const u8[:,:], i8, u4[:], u4[:])")
def sort_rows(rows, used_bits, order, spare):
    """Write the stable order that sorts `rows`; only the `used_bits` lowest bits of the words vary.

    Least significant digit first, 11 bits at a time; digits that do not vary are skipped.
    """
    size = rows.shape[0]
    digits = (used_bits + 10) // 11
    histogram = np.zeros((digits, BUCKETS), np.int64)
    source, target = order, spare
    for i in range(size):
        source[i] = i
    passes = 0
    for c in range(rows.shape[1] - 1, -1, -1):
        histogram[:, :] = 0
        for i in range(size):
            word = rows[i, c]
            for d in range(digits):
                histogram[d, word & DIGIT_MASK] += 1
                word = word >> DIGIT
        for d in range(digits):
            shift = U8(11 * d)
            starts = histogram[d]
            if size == 0 or starts[(rows[0, c] >> shift) & DIGIT_MASK] == size:
                continue
            total = 0
            for b in range(BUCKETS):
                count = starts[b]
                starts[b] = total
                total += count
            for i in range(size):
                row = source[i]
                digit = (rows[row, c] >> shift) & DIGIT_MASK
                target[starts[digit]] = row
                starts[digit] += 1
            source, target = target, source
            passes += 1
    if passes & 1:
        for i in range(size):
            order[i] = spare[i]


@inline
def common_fields(rows, a, b, order, bits, fields):
    """Return how many fields rows a and b share from the front."""
    shared = 0
    for c in range(rows.shape[1]):
        difference = rows[a, c] ^ rows[b, c]
        stop = min(fields, order - c * fields)
        if difference == ZERO:
            shared += stop
            continue
        for f in range(stop):
            if difference >> U8(bits * (fields - 1 - f)) != ZERO:
                return shared + f
        return shared + stop
    return shared


@inline
def depth_of(rows, row, order, bits, fields):
    """Return the number of words of the n-gram in a row."""
    depth = order
    while depth > 0 and field(rows, row, depth - 1, bits, fields) == ZERO:
        depth -= 1
    return depth


@kernel("void(const u8[:,:], const u4[:], i8, i8, i8, i8[:])")
def measure_levels(rows, sorting, order, bits, fields, sizes):
    """Count the distinct k-grams that end the n-grams of sorted rows, for k = 1 to order."""
    for i in range(sorting.size):
        row = sorting[i]
        shared = 0
        if i > 0:
            shared = common_fields(rows, sorting[i - 1], row, order, bits, fields)
            if shared == order:
                continue
        for k in range(shared, depth_of(rows, row, order, bits, fields)):
            sizes[k] += 1


@kernel(
    "void(const u8[:,:], const u4[:], const f8[:], b1, i8, i8, i8, const i8[:], u4[:], u4[:], f8[:], u4[:])"
)
def build_levels(
    rows, sorting, weights, explicit, order, bits, fields, offsets, words, parents, counts, left
):
    """Fill the levels of the reversed trie, level k at offsets[k-1]:offsets[k].

    counts: how often an entry occurs (`weights` empty: every row once); left: how many different words stand
    before it. `explicit`: rows are entries of a count file; the count of an entry that has a row of its own
    is that of the row and not the sum of its extensions.
    """
    last = np.full(order + 1, -1, np.int64)
    given = np.zeros(order + 1, np.bool_)
    for i in range(sorting.size):
        row = sorting[i]
        shared = 0
        if i > 0:
            shared = common_fields(rows, sorting[i - 1], row, order, bits, fields)
        depth = depth_of(rows, row, order, bits, fields)
        for k in range(shared, depth):
            last[k] += 1
            at = offsets[k] + last[k]
            words[at] = field(rows, row, k, bits, fields)
            parents[at] = 0
            counts[at] = 0.0
            left[at] = 0
            given[k] = False
            if k > 0:
                parents[at] = last[k - 1]
                left[offsets[k - 1] + last[k - 1]] += 1
        weight = 1.0
        if weights.size:
            weight = weights[row]
        for k in range(depth):
            if not given[k] or k == depth - 1:
                counts[offsets[k] + last[k]] += weight
        if explicit and depth > 0:
            given[depth - 1] = True


@kernel("void(const i8[:], const u4[:], const u4[:], const u1[:], u4[:])")
def number_kept(offsets, words, parents, keep, numbers):
    """Number the kept entries of every level from 0; others, and those whose parent is dropped, get MISSING."""
    for k in range(offsets.size - 1):
        number = 0
        for i in range(offsets[k], offsets[k + 1]):
            kept = keep[i] != 0
            if k > 0 and numbers[offsets[k - 1] + parents[i]] == MISSING:
                kept = False
            if kept:
                numbers[i] = number
                number += 1
            else:
                numbers[i] = MISSING


@kernel("void(const i8[:], const u4[:], const u4[:], const u4[:], u4[:], u4[:])")
def keep_entries(offsets, words, parents, numbers, new_words, new_parents):
    """Copy the kept entries, with the numbers of their parents."""
    at = 0
    for k in range(offsets.size - 1):
        for i in range(offsets[k], offsets[k + 1]):
            if numbers[i] != MISSING:
                new_words[at] = words[i]
                new_parents[at] = 0
                if k > 0:
                    new_parents[at] = numbers[offsets[k - 1] + parents[i]]
                at += 1


@kernel("void(const i8[:], const u4[:], const u4[:], i8, i4[:,:])")
def read_level(offsets, words, parents, level, grams):
    """Write the words, in reading order, of every entry of a level (from 1)."""
    for i in range(offsets[level] - offsets[level - 1]):
        entry = np.int64(i)
        for step in range(level):
            at = offsets[level - 1 - step] + entry
            grams[i, step] = np.int32(words[at])
            entry = np.int64(parents[at])


@kernel("void(const i8[:], const u4[:], const u4[:], i8, const i4[:], i8[:])")
def count_contexts(offsets, words, parents, level, part_of, counts):
    """Count the entries of a level (from 2) by the part of the last word of their context."""
    for i in range(offsets[level - 1], offsets[level]):
        entry, at = np.int64(i - offsets[level - 1]), np.int64(i)
        for step in range(level - 2):
            entry = np.int64(parents[at])
            at = offsets[level - 2 - step] + entry
        counts[part_of[words[at]]] += 1


@kernel(
    "void(const i8[:], const u4[:], const u4[:], const u4[:], const f4[:], i8, i8, i8, const i4[:], i8[:],"
    " u8[:,:], u4[:], f4[:])"
)
def scatter_contexts(
    offsets, words, parents, numbers, counts, level, bits, fields, part_of, cursor, rows, entries, values
):
    """Group the entries of a level by the part of their context: row of the context, number of the entry, count."""
    for i in range(offsets[level - 1], offsets[level]):
        at = np.int64(i)
        context_word = np.int64(words[at])
        for step in range(level - 2):
            at = offsets[level - 2 - step] + np.int64(parents[at])
            context_word = np.int64(words[at])
        part = part_of[context_word]
        to = cursor[part]
        cursor[part] = to + 1
        for c in range(rows.shape[1]):
            rows[to, c] = ZERO
        at = np.int64(i)
        for step in range(level - 1):
            f = level - 2 - step
            column = f // fields
            rows[to, column] |= U8(words[at]) << U8(bits * (fields - 1 - (f - column * fields)))
            at = offsets[level - 2 - step] + np.int64(parents[at])
        entries[to] = numbers[i]
        values[to] = counts[i]
