# mypy: ignore-errors
"""Compiled TER: Tercom's shift search over edit distance within sacreBLEU's beam.

The twin of `mlkit.metrics.ter_shifts`, which explains the rules; words are numbers here, the matrix is int32.
"""

from __future__ import annotations

import math

import numpy as np

from mlkit.jit import inline, kernel

MAX_SHIFT_SIZE = 10
MAX_SHIFT_DISTANCE = 50
MAX_CANDIDATES = 1000
BEAM = 25
INFINITY = 1 << 29
MATCH, SUBSTITUTION, INSERTION, DELETION = 0, 1, 2, 3


@inline
def fill_row(above, row, word, reference, i, words, ratio, width):
    """Fill row i of the matrix from the row above it, within the beam."""
    length = len(reference)
    diagonal = int(math.floor(i * ratio))  # noqa: RUF046 - numba's floor is a float
    low = max(0, diagonal - width)
    high = length + 1 if i == words else min(length + 1, diagonal + width)
    row[: length + 1] = INFINITY
    left = INFINITY
    if low == 0:
        left = above[0] + 1
        row[0] = left
        low = 1
    for j in range(low, high):
        best = above[j - 1] if reference[j - 1] == word else above[j - 1] + 1
        best = min(best, above[j] + 1, left + 1)
        row[j] = best
        left = best


@inline
def trace(matrix, words, count, reference, path):
    """Write the path of edits and return its length."""
    i, j = count, len(reference)
    size = 0
    while i > 0 or j > 0:
        if i == 0:
            edit = DELETION
        elif j == 0:
            edit = INSERTION
        elif words[i - 1] == reference[j - 1] and matrix[i - 1, j - 1] == matrix[i, j]:
            edit = MATCH
        elif words[i - 1] != reference[j - 1] and matrix[i - 1, j - 1] + 1 == matrix[i, j]:
            edit = SUBSTITUTION
        elif matrix[i - 1, j] + 1 == matrix[i, j]:
            edit = INSERTION
        else:
            edit = DELETION
        path[size] = edit
        size += 1
        if edit != DELETION:
            i -= 1
        if edit != INSERTION:
            j -= 1
    for k in range(size // 2):
        path[k], path[size - 1 - k] = path[size - 1 - k], path[k]
    return size


@inline
def align_words(path, size, align, reference_wrong, words_wrong):
    """Set the hypothesis position of each reference word, and count the errors before each position."""
    i = 0
    j = 0
    reference_wrong[0] = 0
    words_wrong[0] = 0
    for k in range(size):
        edit = path[k]
        if edit != DELETION:
            words_wrong[i + 1] = words_wrong[i] + (edit != MATCH)
            i += 1
        if edit != INSERTION:
            reference_wrong[j + 1] = reference_wrong[j] + (edit != MATCH)
            align[j] = i - 1
            j += 1


@inline
def shift_words(words, count, start, length, target, moved):
    """Write the words after a shift; return the first and the last + 1 position that may differ."""
    stop = start + length
    if target < start:
        first, last, middle = target, stop, target
        to = target
    else:
        last = target if target > stop else min(length + target, count)
        first, middle = start, stop
        to = start + last - stop
    moved[:first] = words[:first]
    moved[last:count] = words[last:count]
    if target < start:
        moved[first + length : stop] = words[middle:start]
    else:
        moved[first:to] = words[middle:last]
    moved[to : to + length] = words[start:stop]
    return first, last


@inline
def moved_distance(matrix, moved, count, reference, first, last, ratio, width, scratch):
    """Return the distance of words that differ from the matrix's in [first, last) only."""
    above = matrix[first]
    columns = len(reference) + 1
    for i in range(first + 1, count + 1):
        row = scratch[i & 1]
        fill_row(above, row, moved[i - 1], reference, i, count, ratio, width)
        if i >= last:
            known = matrix[i]
            same = True
            for j in range(columns):
                if row[j] != known[j]:
                    same = False
                    break
            if same:
                return matrix[count, columns - 1]
        above = row
    return above[columns - 1]


@kernel("void(const i4[:], const i8[:], const i4[:], const i8[:], i8[:], u1[:], i8[:], i4[:,:], i8[:])")
def tercom_edits(
    hypothesis, hypothesis_at, reference, reference_at, room, path, path_size, shifts, shift_count
):
    """Find the shifts and the path of edits of each pair.

    Pair p is hypothesis[hypothesis_at[p]:hypothesis_at[p + 1]] and the reference cut likewise. From room[p] (the sum of
    both lengths before p) on, path and shifts (start, length, target) have space; path_size and shift_count say
    how much is used. References must not be empty.
    """
    pairs = len(path_size)
    rows = 1
    columns = 1
    for p in range(pairs):
        rows = max(rows, hypothesis_at[p + 1] - hypothesis_at[p] + 1)
        columns = max(columns, reference_at[p + 1] - reference_at[p] + 1)
    matrix = np.empty((rows, columns), np.int32)
    scratch = np.empty((2, columns), np.int32)
    words = np.empty(rows, np.int32)
    moved = np.empty(rows, np.int32)
    align = np.empty(columns, np.int64)
    reference_wrong = np.zeros(columns + 1, np.int64)
    words_wrong = np.zeros(rows + 1, np.int64)
    taken = np.empty(columns, np.bool_)
    for p in range(pairs):
        target_words = reference[reference_at[p] : reference_at[p + 1]]
        length = len(target_words)
        count = hypothesis_at[p + 1] - hypothesis_at[p]
        words[:count] = hypothesis[hypothesis_at[p] : hypothesis_at[p + 1]]
        ratio = length / count if count > 0 else 1.0
        width = BEAM if ratio / 2 <= BEAM else int(math.ceil(ratio / 2 + BEAM))  # noqa: RUF046
        # no order of the words has fewer edits than `least`
        taken[:length] = False
        common = 0
        for i in range(count):
            for j in range(length):
                if not taken[j] and target_words[j] == words[i]:
                    taken[j] = True
                    common += 1
                    break
        least = max(count, length) - common
        edits_path = path[room[p] :]
        for j in range(length + 1):
            matrix[0, j] = j
        checked = 0
        found = 0
        first_row = 1
        while True:
            for i in range(first_row, count + 1):
                fill_row(matrix[i - 1], matrix[i], words[i - 1], target_words, i, count, ratio, width)
            edits = matrix[count, length]
            if edits <= least or checked >= MAX_CANDIDATES:
                break
            size = trace(matrix, words, count, target_words, edits_path)
            align_words(edits_path, size, align, reference_wrong, words_wrong)
            gain, best_length, best_start, best_target = 0, 0, 0, 0
            for start in range(count):
                if checked >= MAX_CANDIDATES:
                    break
                lowest = max(0, start - MAX_SHIFT_DISTANCE)
                for at in range(lowest, min(length, start + MAX_SHIFT_DISTANCE + 1)):
                    span = 0
                    while (
                        span < MAX_SHIFT_SIZE
                        and start + span < count
                        and at + span < length
                        and words[start + span] == target_words[at + span]
                    ):
                        span += 1
                        if words_wrong[start + span] == words_wrong[start]:
                            continue
                        if reference_wrong[at + span] == reference_wrong[at]:
                            continue
                        if start <= align[at] < start + span:
                            continue
                        previous = -1
                        for offset in range(-1, span):
                            target = 0 if at + offset == -1 else align[at + offset] + 1
                            if target == previous:
                                continue
                            previous = target
                            checked += 1
                            most = edits - least
                            if target == start or most < gain or (most == gain and span < best_length):
                                continue
                            first, last = shift_words(words, count, start, span, target, moved)
                            gained = edits - moved_distance(
                                matrix, moved, count, target_words, first, last, ratio, width, scratch
                            )
                            better = gained > gain
                            if gained == gain and gained > 0:
                                better = span > best_length or (
                                    span == best_length
                                    and (start < best_start or (start == best_start and target < best_target))
                                )
                            if better:
                                gain, best_length, best_start, best_target = gained, span, start, target
                        if checked >= MAX_CANDIDATES:
                            break
                    if checked >= MAX_CANDIDATES:
                        break
            if checked >= MAX_CANDIDATES or gain <= 0:
                break
            first, last = shift_words(words, count, best_start, best_length, best_target, moved)
            words[:count] = moved[:count]
            shifts[room[p] + found, 0] = best_start
            shifts[room[p] + found, 1] = best_length
            shifts[room[p] + found, 2] = best_target
            found += 1
            first_row = first + 1
        path_size[p] = trace(matrix, words, count, target_words, edits_path)
        shift_count[p] = found
