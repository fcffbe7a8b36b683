# mypy: ignore-errors
"""Text bytes -> numbered tokens: fastText's tokeniser and token hash over a growing open-addressing table."""

from __future__ import annotations

import numpy as np

from mlkit.jit import kernel

SPACE, NEWLINE = 32, 10
OFFSET, PRIME, LOW32, SIGN = 2166136261, 16777619, 0xFFFFFFFF, 0xFFFFFF00


@kernel(
    "i8(const u1[:], i8, i8, i4[:], u4[:], i8[:], i4[:], u1[:], i8[:], i4[:], i8[:])",
)
def number_tokens(text, position, end, table, hashes, starts, lengths, store, counts, ids, state):
    """Number the tokens of text[position:end]; return where it stopped: `end`, or earlier for a fuller table.

    `state` holds [types, bytes in store, ids written]. Type 0 is `</s>`, which every newline yields.
    `table` holds type + 1, 0 for a free slot; its size is a power of two.
    """
    types, used, written = state[0], state[1], state[2]
    mask = np.int64(len(table) - 1)
    limit = len(table) // 2
    while position < end:
        byte = text[position]
        if byte == SPACE or (9 <= byte <= 13) or byte == 0:
            position += 1
            if byte == NEWLINE:
                ids[written] = 0
                written += 1
                counts[0] += 1
            continue
        if types >= limit:
            break
        value = np.uint64(OFFSET)
        start = position
        while position < end:
            byte = text[position]
            if byte <= SPACE and (byte == SPACE or (9 <= byte <= 13) or byte == 0):
                break
            wide = np.uint64(byte)
            if wide >= np.uint64(128):
                wide |= np.uint64(SIGN)
            value = ((value ^ wide) * np.uint64(PRIME)) & np.uint64(LOW32)
            position += 1
        length = position - start
        slot = np.int64(value ^ (value >> np.uint64(15))) & mask
        while True:
            kind = table[slot] - 1
            if kind < 0:
                kind = types
                types += 1
                table[slot] = types
                hashes[kind] = value
                starts[kind] = used
                lengths[kind] = length
                counts[kind] = 0
                for i in range(length):
                    store[used + i] = text[start + i]
                used += length
                break
            if hashes[kind] == value and lengths[kind] == length:
                base = starts[kind]
                same = True
                for i in range(length):
                    if store[base + i] != text[start + i]:
                        same = False
                        break
                if same:
                    break
            slot = (slot + 1) & mask
        counts[kind] += 1
        ids[written] = kind
        written += 1
    state[0], state[1], state[2] = types, used, written
    return position


@kernel("void(i4[:], const u4[:], i8)")
def fill_table(table, hashes, types):
    """Put the types into an empty table."""
    mask = np.int64(len(table) - 1)
    for kind in range(types):
        value = np.uint64(hashes[kind])
        slot = np.int64(value ^ (value >> np.uint64(15))) & mask
        while table[slot] != 0:
            slot = (slot + 1) & mask
        table[slot] = kind + 1


@kernel("i8(i4[:], const i4[:], i8)")
def renumber(ids, numbers, keep_below):
    """Replace every id by numbers[id] in place, dropping results of `keep_below` and above; return how many stay."""
    written = 0
    for i in range(len(ids)):
        number = numbers[ids[i]]
        if number < keep_below:
            ids[written] = number
            written += 1
    return written


@kernel("i8(const i4[:], i4, i8[:])")
def line_bounds(ids, end_of_line, bounds):
    """Write where lines start (after every `end_of_line`), then the total; return the number of lines."""
    lines = 0
    bounds[0] = 0
    for i in range(len(ids)):
        if ids[i] == end_of_line:
            lines += 1
            bounds[lines] = i + 1
    return lines


@kernel("void(const i4[:], const i8[:], const u4[:], const u1[:], const i8[:], i8, i8, u1[:], i8[:])")
def survey_lines(ids, bounds, hashes, kinds, starts, size, bucket, used, most):
    """Mark the buckets of all word n-grams of 2 to `size` tokens in `used`.

    most[0] becomes the greatest number of input rows of a line, most[1] that of labels.
    """
    for line in range(len(bounds) - 1):
        rows, labels = 0, 0
        for i in range(bounds[line], bounds[line + 1]):
            kind = kinds[ids[i]]
            labels += kind == 1
            if kind != 0:
                continue
            rows += starts[ids[i] + 1] - starts[ids[i]]
            if size < 2:
                continue
            value = np.uint64(np.int64(np.int32(hashes[ids[i]])))
            taken = 1
            j = i + 1
            while taken < size and j < bounds[line + 1]:
                if kinds[ids[j]] == 0:
                    value = value * np.uint64(116049371) + np.uint64(np.int64(np.int32(hashes[ids[j]])))
                    used[value % np.uint64(bucket)] = 1
                    taken += 1
                    rows += 1
                j += 1
        most[0] = max(most[0], rows)
        most[1] = max(most[1], labels)
