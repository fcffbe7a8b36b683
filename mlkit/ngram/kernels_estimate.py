# mypy: ignore-errors
"""Probabilities from counts: one pass over n-grams grouped by context, one over n-grams grouped by suffix.

With c the count of an n-gram hw, D a discount that depends on c, N(h) the sum of counts of a context and T(h)
the number of different words after it: u(w|h) = scale * (c - D(c)) / (N + types * T), and the rest of the
mass goes to gamma(h), so that p(w|h) = u(w|h) + gamma(h) p(w|h') sums to one (Chen and Goodman 1999).
"""

from __future__ import annotations

import math

import numpy as np

from mlkit.jit import kernel

MISSING = 0xFFFFFFFF
SMOOTHED, COUNTS, RELATIVE = 0, 1, 2


@kernel(
    "i8(const u8[:,:], const u4[:], const u4[:], const f4[:], i8, const f8[:], f8, const f8[:],"
    " f4[:], f4[:], u8[:,:], f4[:])"
)
def estimate_contexts(
    rows, sorting, entries, counts, mode, discounts, types, scales, share, rest, contexts, context_rest
):
    """Estimate the n-grams of every context; return the number of contexts.

    rows: uint64[n, columns], the contexts; sorting: their order; entries: MISSING for n-grams that are
    pruned, whose mass goes to `rest`; discounts: D by count, the last value for all larger counts; types: 1
    for Witten-Bell, else 0;
    scales: by the logarithm (base 2) of N(h). share, rest: u(w|h) and gamma(h) per n-gram; contexts,
    context_rest: the distinct contexts, sorted, and their gamma. mode COUNTS writes c and N(h) instead,
    RELATIVE c / N(h).
    """
    largest = discounts.size - 1
    begin = 0
    found = 0
    size = sorting.size
    while begin < size:
        first = sorting[begin]
        end = begin
        total, removed, pruned, kinds = 0.0, 0.0, 0.0, 0.0
        while end < size:
            row = sorting[end]
            same = True
            for c in range(rows.shape[1]):
                if rows[row, c] != rows[first, c]:
                    same = False
            if not same:
                break
            count = np.float64(counts[row])
            total += count
            kinds += 1.0
            discount = discounts[largest]
            if count < largest:
                discount = discounts[np.int64(count)]
            if entries[row] == MISSING:
                pruned += count - discount
            removed += discount
            end += 1
        scale = scales[min(max(np.int64(math.log2(max(total, 1.0))), 0), scales.size - 1)]
        bottom = total + types * kinds
        mass = (1.0 - scale) * bottom + scale * (removed + types * kinds + pruned)
        if mass <= 0.0 and mode == SMOOTHED:
            # nothing is left for unseen words (Good-Turing with large counts only): SRILM adds one, too
            bottom += 1.0
            mass = 1.0
        gamma = mass / bottom
        for i in range(begin, end):
            row = sorting[i]
            count = np.float64(counts[row])
            if mode == COUNTS:
                share[row] = count
                rest[row] = total
            elif mode == RELATIVE:
                share[row] = count / total
                rest[row] = 0.0
            else:
                discount = discounts[largest]
                if count < largest:
                    discount = discounts[np.int64(count)]
                share[row] = scale * (count - discount) / bottom
                rest[row] = gamma
        for c in range(rows.shape[1]):
            contexts[found, c] = rows[first, c]
        context_rest[found] = total if mode == COUNTS else gamma
        found += 1
        begin = end
    return found


@kernel("void(const u4[:], const f4[:], const f4[:], const u4[:], const f4[:], b1, f4[:])")
def interpolate(entries, share, rest, parents, lower, interpolated, probabilities):
    """Write p(w|h) = u(w|h) + gamma(h) p(w|h') at the places of the entries; without `interpolated`, u alone."""
    for i in range(entries.size):
        entry = entries[i]
        if entry != MISSING:
            probability = share[i]
            if interpolated:
                probability += rest[i] * lower[parents[entry]]
            probabilities[entry] = probability


@kernel("void(const i8[:], const u4[:], const u4[:], i8, i8, i8, const u8[:,:], const f4[:], f4[:])")
def join_contexts(offsets, words, parents, level, bits, fields, contexts, values, out):
    """Give every entry of a level its value as a context; both sides are sorted, entries without one keep `out`."""
    columns = contexts.shape[1]
    row = np.zeros(columns, np.uint64)
    position = 0
    for i in range(offsets[level] - offsets[level - 1]):
        row[:] = np.uint64(0)
        entry = np.int64(i)
        for step in range(level):
            at = offsets[level - 1 - step] + entry
            f = level - 1 - step
            column = f // fields
            row[column] |= np.uint64(words[at]) << np.uint64(bits * (fields - 1 - (f - column * fields)))
            entry = np.int64(parents[at])
        while position < contexts.shape[0]:
            order = 0
            for c in range(columns):
                if contexts[position, c] != row[c]:
                    order = -1 if contexts[position, c] < row[c] else 1
                    break
            if order >= 0:
                if order == 0:
                    out[i] = values[position]
                break
            position += 1


@kernel("void(f4[:])")
def to_log10(values):
    """Replace probabilities by their logarithms to base 10; zero becomes -99 as in ARPA files."""
    for i in range(values.size):
        value = values[i]
        values[i] = math.log10(value) if value > 0.0 else -99.0
