# mypy: ignore-errors
"""Passes over a block of cosines that serve rows and columns at once: no block is transposed, none is read twice.

Columns keep their state from block to block, so that any number of rows is seen through blocks of any height.
"""

import numpy as np

from mlkit.jit import inline, kernel


@inline
def _insert(top, value):
    """Put a value into a descending list whose last entry is smaller."""
    place = top.size - 1
    while place > 0 and top[place - 1] < value:
        top[place] = top[place - 1]
        place -= 1
    top[place] = value


@kernel("void(const f4[:,:], f4[:,:], f4[:,:], f4[:])")
def keep_highest(scores, row_top, column_top, column_last):
    """Keep the highest values of each row and each column, descending; column_last[j] = column_top[j, -1]."""
    for i in range(scores.shape[0]):
        top = row_top[i]
        last = top[top.size - 1]
        for j in range(scores.shape[1]):
            value = scores[i, j]
            if value > last:
                _insert(top, value)
                last = top[top.size - 1]
            if value > column_last[j]:
                _insert(column_top[j], value)
                column_last[j] = column_top[j, column_top.shape[1] - 1]


@inline
def _mixed(state):
    """Return the next state of a 64-bit xorshift generator."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    return state ^ (state << np.uint64(17))


@inline
def _seeded(number):
    """Scramble a row's number (splitmix64), so that neighbouring rows draw unrelated numbers."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (number ^ (number >> np.uint64(31))) | np.uint64(1)


@kernel("void(const f4[:,:], i8, const f4[:], const f4[:], u8, u4, i4[:], f4[:], f4[:], i4[:], f4[:], f4[:])")
def keep_best(
    scores, begin, row_mean, column_mean, seed, dropped, row_best, row_first, row_second,
    column_best, column_first, column_second,
):  # fmt: skip
    """Keep the best partner of each row and column by CSLS, its score and the next one's; of equal ones the first.

    Scores are 2 cos - the partner's mean (the own mean is constant, and left to the caller). With `dropped` > 0 each
    direction passes over an entry with probability dropped / 2^32, drawn from `seed` and the row: blocks of any
    height draw the same. Rows begin at number `begin`; only theirs of the row arrays are touched.
    """
    for place in range(scores.shape[0]):
        i = begin + place
        mean = row_mean[i]
        best, first, second = np.int32(-1), np.float32(-np.inf), np.float32(-np.inf)
        state = _seeded(seed + np.uint64(i + 1) * np.uint64(0x9E3779B97F4A7C15))
        for j in range(scores.shape[1]):
            forth = back = True
            if dropped:
                state = _mixed(state)
                forth = np.uint32(state >> np.uint64(32)) >= dropped
                back = np.uint32(state & np.uint64(0xFFFFFFFF)) >= dropped
            twice = np.float32(2.0) * scores[place, j]
            value = twice - column_mean[j]
            if forth and value > second:
                if value > first:
                    best, first, second = np.int32(j), value, first
                else:
                    second = value
            value = twice - mean
            if back and value > column_second[j]:
                if value > column_first[j]:
                    column_second[j] = column_first[j]
                    column_first[j] = value
                    column_best[j] = i
                else:
                    column_second[j] = value
        row_best[i], row_first[i], row_second[i] = best, first, second
