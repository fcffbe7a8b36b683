# mypy: ignore-errors
"""Kernels of training in step: which rows changed, and what becomes of the changes of all workers.

Matrices are flat, their rows padded to a multiple of sixteen floats.
"""

from __future__ import annotations

import math

import numpy as np

from mlkit.jit import inline, kernel
from mlkit.jit.vectors import fma, load, splat, store

LINE = 16  # floats in a cache line and in a vector
WORDS = 8  # int64 in a cache line


@kernel("i8(const i8[:], const i8[:], i8, const i4[:], i4[:])")
def find_changed(old, new, size, candidates, found):
    """Write to `found` which candidate rows differ in a bit; return how many. size: of a row, in int64."""
    count = 0
    for i in range(candidates.shape[0]):
        first = np.int64(candidates[i]) * size
        different = np.int64(0)
        for line in range(first, first + size, WORDS):
            for k in range(WORDS):
                different |= old[line + k] ^ new[line + k]
            if different != 0:
                break
        if different != 0:
            found[count] = candidates[i]
            count += 1
    return count


@kernel("void(const f4[:], f4[:], i8, const i4[:])")
def copy_rows(source, target, size, rows):
    """Copy rows from one matrix to the same places of another."""
    for i in range(rows.shape[0]):
        first = np.int64(rows[i]) * size
        for k in range(first, first + size, LINE):
            store(target, k, load(source, k))


@inline
def place_of(rows, first, last, row):
    """Return where in rows[first:last], ascending, the first stands that is not below `row`."""
    while first < last:
        middle = (first + last) // 2
        if rows[middle] < row:
            first = middle + 1
        else:
            last = middle
    return first


@kernel(
    "void(i8, i8, const i4[:], const i8[:], const i8[:], const f4[:], f4[:], f4[:], f4[:], i4[:], i8, const f8[:], f8)"
)
def put_together(
    first, last, rows, starts, ends, values, weights, shared, moves, stamps, number, updates, factor
):
    """Move rows first to last of `weights` by what workers made of them; see `averaging` for the rule.

    rows[starts[w] : ends[w]]: the rows that worker w changed, ascending; what they became stands at the same places of
    `values`. shared: gets the new rows, too. moves: how a row moved in the last round, if stamps[row] == number - 1;
    both are brought up to date. updates: how often one worker updates each row; factor: q of one update.
    """
    workers = starts.shape[0]
    size = weights.shape[0] // stamps.shape[0]
    places = np.empty(workers, np.int64)
    at = np.empty(workers, np.int64)
    zero = splat(0.0)
    for worker in range(workers):
        places[worker] = place_of(rows, starts[worker], ends[worker], first)
    for row in range(first, last):
        touched = 0
        for worker in range(workers):
            place = places[worker]
            if place < ends[worker] and rows[place] == row:
                at[touched] = place * size
                touched += 1
                places[worker] = place + 1
        if touched == 0:
            continue
        begin = row * size
        if touched == 1:  # the result, bit by bit
            for k in range(0, size, LINE):
                new = load(values, at[0] + k)
                store(moves, begin + k, new - load(weights, begin + k))
                store(weights, begin + k, new)
                store(shared, begin + k, new)
        else:
            q = max(factor * updates[row], 1e-9)
            share = math.expm1(-touched * q) / (touched * math.expm1(-q))
            shortened = splat(share)
            held_back = splat(1.0 - share)
            fresh = stamps[row] == number - 1
            for k in range(0, size, LINE):
                old = load(weights, begin + k)
                total = zero
                for i in range(touched):
                    total = total + (load(values, at[i] + k) - old)
                total = total * shortened
                if fresh:
                    total = fma(held_back, load(moves, begin + k), total)
                store(moves, begin + k, total)
                store(weights, begin + k, old + total)
                store(shared, begin + k, old + total)
        stamps[row] = number
