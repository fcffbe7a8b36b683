# mypy: ignore-errors
"""Kernels of GloVe: sort the records into tiles, and train tile by tile.

Words are dealt into `groups` groups like cards: word i is number i // groups of group i % groups. Tile (g, h), number
g * groups + h, holds the records whose word is in group g and whose context is in group h, so that the rows it needs
stay in the cache. A record is packed into 32 bits: the numbers in their groups of word and context, 16 bits each.

Of a symmetric matrix every pair is stored once, in a tile (g, h) with g <= h, and trained in both directions. The
diagonal of the matrix has tiles of its own, groups * groups + g.
"""

from __future__ import annotations

import math

import numpy as np

from mlkit.jit import REASSOCIATE, inline, kernel

U8 = np.uint64
LOW16 = np.uint32(0xFFFF)
SIXTEEN = np.uint32(16)
MIX = U8(0x9E3779B97F4A7C15)
MIX_2 = U8(0xBF58476D1CE4E5B9)
HALF, SHIFT_32, SHIFT_29 = np.float32(0.5), U8(32), U8(29)


@inline
def is_held_out(word, context, symmetric, seed, threshold):
    """Choose records at random by their place; a record and its mirror image go together."""
    low, high = (min(word, context), max(word, context)) if symmetric else (word, context)
    mixed = ((U8(low) << SHIFT_32) | U8(high)) + seed
    mixed = (mixed ^ (mixed >> SHIFT_29)) * MIX
    mixed = (mixed ^ (mixed >> SHIFT_32)) * MIX_2
    return (mixed >> SHIFT_32) < threshold


@inline
def tile_of(word, context, groups, symmetric):
    """Return the number of a record's tile."""
    g, h = word % groups, context % groups
    if symmetric:
        if word == context:
            return groups * groups + g
        return min(g, h) * groups + max(g, h)
    return g * groups + h


@kernel("void(const i4[:], const i4[:], i8, b1, u8, u8, i8[:])")
def count_tiles(words, contexts, groups, symmetric, seed, threshold, counts):
    """Count the records of every tile; records that are held out are counted in the last place."""
    for n in range(words.size):
        word, context = np.int64(words[n]), np.int64(contexts[n])
        if threshold > U8(0) and is_held_out(word, context, symmetric, seed, threshold):
            counts[counts.size - 1] += 1
        else:
            counts[tile_of(word, context, groups, symmetric)] += 1


@kernel(
    "void(const i4[:], const i4[:], const f8[:], i8, b1, u8, u8, f8, f8, i8[:], u4[:], f4[:], f4[:], i4[:,:], f4[:,:])"
)
def place_records(
    words, contexts, weights, groups, symmetric, seed, threshold, x_max, alpha, heads, packed, logs, factors,
    held_words, held_values,
):  # fmt: skip
    """Write the records of a block to their tiles, with log x and f(x) = min(1, (x / x_max)^alpha).

    heads[tile] is where a tile's next record goes, the last place that of the records held out.
    """
    for n in range(words.size):
        word, context = np.int64(words[n]), np.int64(contexts[n])
        log = math.log(weights[n])
        factor = 1.0
        if weights[n] < x_max:
            factor = math.exp(alpha * (log - math.log(x_max)))
        if threshold > U8(0) and is_held_out(word, context, symmetric, seed, threshold):
            at = heads[heads.size - 1]
            heads[heads.size - 1] += 1
            held_words[at, 0], held_words[at, 1] = word, context
            held_values[at, 0], held_values[at, 1] = log, factor
            continue
        tile = tile_of(word, context, groups, symmetric)
        if symmetric and word % groups > context % groups:
            word, context = context, word
        at = U8(heads[tile])
        heads[tile] += 1
        packed[at] = (np.uint32(word // groups) << SIXTEEN) | np.uint32(context // groups)
        logs[at] = log
        factors[at] = factor


@kernel("void(u4[:], f4[:], f4[:], const i8[:], u8)")
def shuffle_tiles(packed, logs, factors, starts, seed):
    """Shuffle the records inside every tile: the cost then falls as in a random order of all records."""
    for tile in range(starts.size - 1):
        state = (seed + U8(tile)) * MIX
        begin = starts[tile]
        for n in range(starts[tile + 1] - 1, begin, -1):
            state = (state ^ (state >> SHIFT_29)) * MIX_2 + MIX
            other = U8(begin) + (((state >> SHIFT_32) * U8(n - begin + 1)) >> SHIFT_32)
            for_swap, log, factor = packed[U8(n)], logs[U8(n)], factors[U8(n)]
            packed[U8(n)], logs[U8(n)], factors[U8(n)] = packed[other], logs[other], factors[other]
            packed[other], logs[other], factors[other] = for_swap, log, factor


@inline(fastmath=REASSOCIATE)
def train_records(w, wg, wb, c, cg, cb, packed, logs, factors, begin, end, swap, rate, clip):
    """Train on packed[begin:end] with the rows of one group of words and one of contexts; return the cost."""
    cost = 0.0
    for n in range(begin, end):
        code = packed[U8(n)]
        i, j = U8(code >> SIXTEEN), U8(code & LOW16)
        if swap:
            i, j = j, i
        word, context, word_squares, context_squares = w[i], c[j], wg[i], cg[j]
        dot = np.float32(0.0)
        for k in range(word.size):
            dot += word[k] * context[k]
        difference = dot + wb[i, 0] + cb[j, 0] - logs[U8(n)]
        gradient = factors[U8(n)] * difference
        cost += np.float64(HALF * gradient * difference)
        for k in range(word.size):
            a, b = word[k], context[k]
            squares_a, squares_b = word_squares[k], context_squares[k]
            step_a = min(max(gradient * b, -clip), clip) * rate
            step_b = min(max(gradient * a, -clip), clip) * rate
            word[k] = a - step_a / math.sqrt(squares_a)
            context[k] = b - step_b / math.sqrt(squares_b)
            word_squares[k] = squares_a + step_a * step_a
            context_squares[k] = squares_b + step_b * step_b
        # as in glove.c the biases learn at rate 1
        wb[i, 0] -= gradient / math.sqrt(wb[i, 1])
        cb[j, 0] -= gradient / math.sqrt(cb[j, 1])
        wb[i, 1] += gradient * gradient
        cb[j, 1] += gradient * gradient
    return cost


@kernel(
    "void(f4[:,:,:], f4[:,:,:], f4[:,:,:], f4[:,:,:], f4[:,:,:], f4[:,:,:], const u4[:], const f4[:], const f4[:], "
    "const i8[:], const i8[:,:], b1, f4, f4, f8[:])",
    fastmath=REASSOCIATE,
)
def train_tiles(
    w, w_squares, w_bias, c, c_squares, c_bias, packed, logs, factors, starts, tasks, symmetric, rate, clip, costs
):  # fmt: skip
    """Train on tiles (g, h) one after another; write the cost of each to `costs`.

    w, c: [groups, rows, dimension] word and context vectors, *_squares their sums of squared gradients, *_bias [groups,
    rows, 2] biases with theirs. starts[tile] is where the records of a tile begin. tasks: [n, 2] groups of words and
    of contexts. Pennington et al. 2014, equations 8 and 9; AdaGrad and clipping as in glove.c.
    """
    groups = w.shape[0]
    for task in range(tasks.shape[0]):
        g, h = tasks[task, 0], tasks[task, 1]
        swap = symmetric and g > h
        tile = h * groups + g if swap else g * groups + h
        cost = train_records(
            w[g], w_squares[g], w_bias[g], c[h], c_squares[h], c_bias[h], packed, logs, factors,
            starts[tile], starts[tile + 1], swap, rate, clip,
        )  # fmt: skip
        if symmetric and g == h:
            cost += train_records(
                w[g], w_squares[g], w_bias[g], c[h], c_squares[h], c_bias[h], packed, logs, factors,
                starts[tile], starts[tile + 1], True, rate, clip,
            )  # fmt: skip
            tile = groups * groups + g
            cost += train_records(
                w[g], w_squares[g], w_bias[g], c[h], c_squares[h], c_bias[h], packed, logs, factors,
                starts[tile], starts[tile + 1], False, rate, clip,
            )  # fmt: skip
        costs[task] = cost


@kernel(
    "f8(const f4[:,:,:], const f4[:,:,:], const f4[:,:,:], const f4[:,:,:], const i4[:,:], const f4[:,:], b1)",
    fastmath=REASSOCIATE,
)
def cost_of(w, w_bias, c, c_bias, pairs, values, symmetric):
    """Return the sum of the costs of records (word, context), (log x, f(x)), without learning."""
    groups = w.shape[0]
    total = 0.0
    for n in range(pairs.shape[0]):
        word, context = np.int64(pairs[n, 0]), np.int64(pairs[n, 1])
        for direction in range(2 if symmetric and word != context else 1):
            i, j = (word, context) if direction == 0 else (context, word)
            row, column = w[i % groups, i // groups], c[j % groups, j // groups]
            dot = np.float32(0.0)
            for k in range(row.size):
                dot += row[k] * column[k]
            difference = (
                dot + w_bias[i % groups, i // groups, 0] + c_bias[j % groups, j // groups, 0] - values[n, 0]
            )
            total += np.float64(HALF * values[n, 1] * difference * difference)
    return total
