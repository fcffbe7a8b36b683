# mypy: ignore-errors
"""Skip-gram and CBOW on one chunk of the encoded corpus, with negative sampling or hierarchical softmax.

Both losses are the same work: a centre word names *outputs* (itself and its negatives, or the nodes of its Huffman
path), each with a sign (+1: should fire, -1: should not), and a group of up to six outputs is trained at once
against all context words of the window. That is two small matrix products per group instead of one dot product
per pair (Ji et al. 2016, arXiv:1604.04661); see `update_group`. Skip-gram with a Huffman tree goes from word to word:
see `update_path`.

Matrices are flat, their rows padded to a multiple of sixteen floats; a *row* is its offset in floats.
"""

from __future__ import annotations

import math

import numpy as np

from mlkit.jit import inline, kernel, prefetch
from mlkit.jit.random import GOLDEN, below, mixed
from mlkit.jit.vectors import exp, fma, load, maximum, product, splat, store, sums

GROUP = 6  # outputs trained at once: twelve sums for two context rows fill the vector registers
STEPS = 8  # nodes of a Huffman path trained at once by skip-gram
LINE = 16  # floats in a cache line and in a vector

LOW32, S32 = np.uint64(0xFFFFFFFF), np.uint64(32)


@inline
def subsampled(ids, keep, kept, counter):
    """Copy the ids that survive subsampling to `kept`; return how many, and the counter."""
    n = 0
    for i in range(ids.shape[0]):
        word = ids[i]
        if word < 0:
            if n > 0 and kept[n - 1] >= 0:
                kept[n] = -1
                n += 1
        else:
            counter += GOLDEN
            if np.uint32(mixed(counter) >> S32) <= keep[word]:
                kept[n] = word
                n += 1
    return n, counter


@inline
def sentence_end(kept, n, start):
    """Return the position after the last word of the sentence that starts at `start`."""
    end = start
    while end < n and kept[end] >= 0:
        end += 1
    return end


@inline
def draw_negatives(alias, words, centre, outputs, first, count, fresh, counter):
    """Fill outputs[first : first + count] with noise words other than `centre`; return the counter.

    An entry of the alias table holds a threshold (high half) and the other word (low half). Unless `fresh`, only
    negatives that equal the centre are drawn again.
    """
    for j in range(first, first + count):
        attempt = 0
        while (attempt == 0 and fresh) or (outputs[j] == centre and attempt < 16):
            counter += GOLDEN
            bits = mixed(counter)
            word = below(bits, words)
            entry = alias[word]
            if (bits >> S32) > (entry >> S32):
                word = np.int64(entry & LOW32)
            outputs[j] = word
            attempt += 1
        if outputs[j] == centre:
            outputs[j] = (centre + 1) % words
    return counter


@inline
def fetch_row(matrix, row, dim):
    """Ask for a whole row ahead of its use."""
    for k in range(0, dim, LINE):
        prefetch(matrix, row + k)


@inline
def name_outputs(path, first, last, group, dim, rows, place, signs):
    """Make the nodes of a Huffman path the outputs, by groups: code 0 should fire, code 1 should not."""
    for j in range((last - first + group - 1) // group * group):
        g = j // group
        lane = g * LINE + j - g * group
        sign = np.float32(0.0)
        rows[place + j] = rows[place]
        if first + j < last:
            rows[place + j] = np.int64(path[first + j] >> 1) * dim
            sign = np.float32(1 - 2 * (path[first + j] & 1))
        signs[lane] = sign
        signs[lane + 8] = sign


@inline
def errors(sums_of_pairs, sign, rate):
    """Return gradients of up to sixteen pairs, times the rate, and the product of their likelihoods.

    With z = sign * x.y the likelihood is s = 1 / (1 + exp(-z)) and the gradient sign * (1 - s), without
    cancellation as sign * exp(-z) * s. Sign 0 (no pair) gives gradient 0 and likelihood 1.
    """
    off = fma(splat(-40.0) * sign, sign, splat(40.0))
    z = maximum(fma(sums_of_pairs, sign, off), splat(-30.0))
    e = exp(splat(0.0) - z)
    likelihood = splat(1.0) / (splat(1.0) + e)
    return sign * splat(rate) * e * likelihood, product(likelihood)


@inline
def collect(log_sum, likelihood):
    """Move a product of likelihoods into the sum of logarithms before it leaves float64: few logarithms, exact."""
    if likelihood < 1e-100:
        return log_sum + math.log(likelihood), 1.0
    return log_sum, likelihood


@inline
def update_group(inputs, outputs, dim, rows, n, place, sign, half, rate, gradient, log_sum, likelihood):
    """Train one group of six output rows against `n` input rows; return the log-likelihood (see `collect`).

    First all errors are computed, two input rows at a time, then both sides are updated: input row i by
    sum_j g_ij y_j with the old y, in order, and output row j by sum_i g_ij x_i. `rows` holds the input rows, then
    from `place` on the output rows; `gradient` has eight places per input row.
    """
    o0, o1, o2 = rows[place], rows[place + 1], rows[place + 2]
    o3, o4, o5 = rows[place + 3], rows[place + 4], rows[place + 5]
    zero = splat(0.0)
    for i in range(0, n, 2):
        a = rows[i]
        b = rows[i + 1] if i + 1 < n else a
        a0, a1, a2, a3, a4, a5 = zero, zero, zero, zero, zero, zero
        b0, b1, b2, b3, b4, b5 = zero, zero, zero, zero, zero, zero
        for k in range(0, dim, LINE):
            xa, xb = load(inputs, a + k), load(inputs, b + k)
            y = load(outputs, o0 + k)
            a0, b0 = fma(xa, y, a0), fma(xb, y, b0)
            y = load(outputs, o1 + k)
            a1, b1 = fma(xa, y, a1), fma(xb, y, b1)
            y = load(outputs, o2 + k)
            a2, b2 = fma(xa, y, a2), fma(xb, y, b2)
            y = load(outputs, o3 + k)
            a3, b3 = fma(xa, y, a3), fma(xb, y, b3)
            y = load(outputs, o4 + k)
            a4, b4 = fma(xa, y, a4), fma(xb, y, b4)
            y = load(outputs, o5 + k)
            a5, b5 = fma(xa, y, a5), fma(xb, y, b5)
        pairs = sums(a0, a1, a2, a3, a4, a5, zero, zero, b0, b1, b2, b3, b4, b5, zero, zero)
        g, factor = errors(pairs, sign if i + 1 < n else sign * half, rate)
        store(gradient, 8 * i, g)
        log_sum, likelihood = collect(log_sum, likelihood * factor)
    for k in range(0, dim, LINE):
        y0, y1, y2 = load(outputs, o0 + k), load(outputs, o1 + k), load(outputs, o2 + k)
        y3, y4, y5 = load(outputs, o3 + k), load(outputs, o4 + k), load(outputs, o5 + k)
        d0, d1, d2, d3, d4, d5 = zero, zero, zero, zero, zero, zero
        for i in range(n):
            x = load(inputs, rows[i] + k)
            new = x
            g = splat(gradient[8 * i])
            d0, new = fma(g, x, d0), fma(g, y0, new)
            g = splat(gradient[8 * i + 1])
            d1, new = fma(g, x, d1), fma(g, y1, new)
            g = splat(gradient[8 * i + 2])
            d2, new = fma(g, x, d2), fma(g, y2, new)
            g = splat(gradient[8 * i + 3])
            d3, new = fma(g, x, d3), fma(g, y3, new)
            g = splat(gradient[8 * i + 4])
            d4, new = fma(g, x, d4), fma(g, y4, new)
            g = splat(gradient[8 * i + 5])
            d5, new = fma(g, x, d5), fma(g, y5, new)
            store(inputs, rows[i] + k, new)
        # read again: two outputs may be the same row
        store(outputs, o0 + k, load(outputs, o0 + k) + d0)
        store(outputs, o1 + k, load(outputs, o1 + k) + d1)
        store(outputs, o2 + k, load(outputs, o2 + k) + d2)
        store(outputs, o3 + k, load(outputs, o3 + k) + d3)
        store(outputs, o4 + k, load(outputs, o4 + k) + d4)
        store(outputs, o5 + k, load(outputs, o5 + k) + d5)
    return log_sum, likelihood


@inline
def update_path(
    inputs, outputs, dim, a, b, rows, place, count, signs, share, rate, hidden, gradient, log_sum, likelihood
):  # fmt: skip
    """Train the nodes of a Huffman path, eight at a time, against input row a, then b; return the log-likelihood.

    Nodes near the root are in every path: unlike negatives (see `update_group`) they overshoot when all words of a
    window push them from the same place, and the loss and the vectors get worse. So b meets nodes that a has moved,
    y + g_a x_a, whose product with x_b needs no second pass: x_b.y + g_a (x_a.x_b). Input rows stay as they are until
    the path is done, as in word2vec.c. `share` switches b off where there is one row only (then b is a).
    """
    zero = splat(0.0)
    overlap = zero
    for k in range(0, dim, LINE):
        overlap = fma(load(inputs, a + k), load(inputs, b + k), overlap)
    z = zero
    store(gradient, 0, sums(overlap, z, z, z, z, z, z, z, z, z, z, z, z, z, z, z))
    product_of_rows = gradient[0]
    store(gradient, 0, zero)
    for first in range(0, count, STEPS):
        p = place + first
        o0, o1, o2, o3 = rows[p], rows[p + 1], rows[p + 2], rows[p + 3]
        o4, o5, o6, o7 = rows[p + 4], rows[p + 5], rows[p + 6], rows[p + 7]
        a0, a1, a2, a3, a4, a5, a6, a7 = zero, zero, zero, zero, zero, zero, zero, zero
        b0, b1, b2, b3, b4, b5, b6, b7 = zero, zero, zero, zero, zero, zero, zero, zero
        for k in range(0, dim, LINE):
            xa, xb = load(inputs, a + k), load(inputs, b + k)
            y = load(outputs, o0 + k)
            a0, b0 = fma(xa, y, a0), fma(xb, y, b0)
            y = load(outputs, o1 + k)
            a1, b1 = fma(xa, y, a1), fma(xb, y, b1)
            y = load(outputs, o2 + k)
            a2, b2 = fma(xa, y, a2), fma(xb, y, b2)
            y = load(outputs, o3 + k)
            a3, b3 = fma(xa, y, a3), fma(xb, y, b3)
            y = load(outputs, o4 + k)
            a4, b4 = fma(xa, y, a4), fma(xb, y, b4)
            y = load(outputs, o5 + k)
            a5, b5 = fma(xa, y, a5), fma(xb, y, b5)
            y = load(outputs, o6 + k)
            a6, b6 = fma(xa, y, a6), fma(xb, y, b6)
            y = load(outputs, o7 + k)
            a7, b7 = fma(xa, y, a7), fma(xb, y, b7)
        pairs = sums(a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7)
        sign = load(signs, first // STEPS * LINE) * share
        g, factor = errors(pairs, sign, rate)
        store(gradient, LINE, g)
        # lanes 8 to 15 of this load are the gradients of a: b meets nodes that a has moved
        g, factor = errors(fma(load(gradient, LINE - STEPS), splat(product_of_rows), pairs), sign, rate)
        store(gradient, LINE, g)
        log_sum, likelihood = collect(log_sum, likelihood * factor)
        a0, a1, a2 = splat(gradient[LINE]), splat(gradient[LINE + 1]), splat(gradient[LINE + 2])
        a3, a4, a5 = splat(gradient[LINE + 3]), splat(gradient[LINE + 4]), splat(gradient[LINE + 5])
        a6, a7, b0 = splat(gradient[LINE + 6]), splat(gradient[LINE + 7]), splat(gradient[LINE + 8])
        b1, b2, b3 = splat(gradient[LINE + 9]), splat(gradient[LINE + 10]), splat(gradient[LINE + 11])
        b4, b5, b6 = splat(gradient[LINE + 12]), splat(gradient[LINE + 13]), splat(gradient[LINE + 14])
        b7 = splat(gradient[LINE + 15])
        # places without a node repeat the path's first one: the place that trains it is written last
        for k in range(0, dim, LINE):
            xa, xb = load(inputs, a + k), load(inputs, b + k)
            ea, eb = zero, zero
            if first > 0:
                ea, eb = load(hidden, k), load(hidden, dim + k)
            y = load(outputs, o7 + k)
            moved = fma(a7, xa, y)
            ea, eb = fma(a7, y, ea), fma(b7, moved, eb)
            store(outputs, o7 + k, fma(b7, xb, moved))
            y = load(outputs, o6 + k)
            moved = fma(a6, xa, y)
            ea, eb = fma(a6, y, ea), fma(b6, moved, eb)
            store(outputs, o6 + k, fma(b6, xb, moved))
            y = load(outputs, o5 + k)
            moved = fma(a5, xa, y)
            ea, eb = fma(a5, y, ea), fma(b5, moved, eb)
            store(outputs, o5 + k, fma(b5, xb, moved))
            y = load(outputs, o4 + k)
            moved = fma(a4, xa, y)
            ea, eb = fma(a4, y, ea), fma(b4, moved, eb)
            store(outputs, o4 + k, fma(b4, xb, moved))
            y = load(outputs, o3 + k)
            moved = fma(a3, xa, y)
            ea, eb = fma(a3, y, ea), fma(b3, moved, eb)
            store(outputs, o3 + k, fma(b3, xb, moved))
            y = load(outputs, o2 + k)
            moved = fma(a2, xa, y)
            ea, eb = fma(a2, y, ea), fma(b2, moved, eb)
            store(outputs, o2 + k, fma(b2, xb, moved))
            y = load(outputs, o1 + k)
            moved = fma(a1, xa, y)
            ea, eb = fma(a1, y, ea), fma(b1, moved, eb)
            store(outputs, o1 + k, fma(b1, xb, moved))
            y = load(outputs, o0 + k)
            moved = fma(a0, xa, y)
            ea, eb = fma(a0, y, ea), fma(b0, moved, eb)
            store(outputs, o0 + k, fma(b0, xb, moved))
            if first + STEPS < count:
                store(hidden, k, ea)
                store(hidden, dim + k, eb)
            else:
                store(inputs, a + k, xa + ea)
                store(inputs, b + k, load(inputs, b + k) + eb)  # b may be the same word
    return log_sum, likelihood


@inline
def mean_of_rows(inputs, dim, rows, n, hidden):
    """Write the mean of the input rows to hidden[:dim] and zeros to hidden[dim : 2 * dim]."""
    zero = splat(0.0)
    share = splat(1.0 / n)
    for k in range(0, dim, LINE):
        total = zero
        for i in range(n):
            total = total + load(inputs, rows[i] + k)
        store(hidden, k, total * share)
        store(hidden, dim + k, zero)


@inline
def update_group_mean(outputs, dim, rows, place, sign, rate, hidden, gradient, log_sum, likelihood):
    """Train six output rows against the mean in `hidden`, adding its gradient to hidden[dim:] (CBOW)."""
    o0, o1, o2 = rows[place], rows[place + 1], rows[place + 2]
    o3, o4, o5 = rows[place + 3], rows[place + 4], rows[place + 5]
    zero = splat(0.0)
    a0, a1, a2, a3, a4, a5 = zero, zero, zero, zero, zero, zero
    for k in range(0, dim, LINE):
        x = load(hidden, k)
        a0, a1 = fma(x, load(outputs, o0 + k), a0), fma(x, load(outputs, o1 + k), a1)
        a2, a3 = fma(x, load(outputs, o2 + k), a2), fma(x, load(outputs, o3 + k), a3)
        a4, a5 = fma(x, load(outputs, o4 + k), a4), fma(x, load(outputs, o5 + k), a5)
    pairs = sums(a0, a1, a2, a3, a4, a5, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero)
    g, factor = errors(pairs, sign, rate)
    store(gradient, 0, g)
    g0, g1, g2 = splat(gradient[0]), splat(gradient[1]), splat(gradient[2])
    g3, g4, g5 = splat(gradient[3]), splat(gradient[4]), splat(gradient[5])
    for k in range(0, dim, LINE):
        x, e = load(hidden, k), load(hidden, dim + k)
        y = load(outputs, o0 + k)
        e = fma(g0, y, e)
        store(outputs, o0 + k, fma(g0, x, y))
        y = load(outputs, o1 + k)
        e = fma(g1, y, e)
        store(outputs, o1 + k, fma(g1, x, y))
        y = load(outputs, o2 + k)
        e = fma(g2, y, e)
        store(outputs, o2 + k, fma(g2, x, y))
        y = load(outputs, o3 + k)
        e = fma(g3, y, e)
        store(outputs, o3 + k, fma(g3, x, y))
        y = load(outputs, o4 + k)
        e = fma(g4, y, e)
        store(outputs, o4 + k, fma(g4, x, y))
        y = load(outputs, o5 + k)
        e = fma(g5, y, e)
        store(outputs, o5 + k, fma(g5, x, y))
        store(hidden, dim + k, e)
    return collect(log_sum, likelihood * factor)


@inline
def add_to_rows(inputs, dim, rows, n, hidden):
    """Add the gradient of the mean to every input row (undivided, as word2vec.c and gensim do)."""
    for k in range(0, dim, LINE):
        e = load(hidden, dim + k)
        for i in range(n):
            store(inputs, rows[i] + k, load(inputs, rows[i] + k) + e)


@kernel(
    "void(const i4[:], f4[:], f4[:], i8, const u4[:], const u8[:], const i8[:], const i4[:], "
    "b1, i8, i8, i8, f8, f8, u8, f8[:])"
)
def train_chunk(
    ids, inputs, outputs, dim, keep, alias, path_starts, path,
    cbow, window, negative, share, first_rate, last_rate, key, totals,
):  # fmt: skip
    """Train on `ids` (-1 ends a sentence) with the learning rate going from `first_rate` to `last_rate`.

    keep[w]: subsampling threshold; alias[w]: noise distribution; path[path_starts[w] : path_starts[w + 1]]: Huffman
    path as 2 * node + code (negative = 0 chooses it). `key` fixes every random number. Adds the loss (minus the
    log-likelihood), the number of predictions and the number of centre words to `totals`.
    """
    size = ids.shape[0]
    words = keep.shape[0]
    kept = np.empty(size + 2, np.int32)
    n, counter = subsampled(ids, keep, kept, key)
    kept[n] = -1
    kept[n + 1] = -1
    most = 1 + negative
    if negative == 0:
        for word in range(words):
            most = max(most, path_starts[word + 1] - path_starts[word])
    place = 2 * window  # in `rows`: the window's rows first, then the outputs
    rows = np.zeros(place + most + STEPS, np.int64)
    drawn = np.full(most, -1, np.int64)
    signs = np.zeros((most // GROUP + 1) * LINE, np.float32)
    signs[:8] = 1.0
    half = load(signs, 0)  # switches the second input row of a pair off
    signs[8:LINE] = 1.0
    whole = load(signs, 0)
    signs[:LINE] = 0.0
    gradient = np.empty(8 * (place + 2) + 2 * LINE, np.float32)
    hidden = np.empty(2 * dim, np.float32)
    for j in range(1 + negative):
        lane = j // GROUP * LINE + j % GROUP
        signs[lane] = -1.0 if j > 0 else 1.0
        signs[lane + 8] = signs[lane]

    log_sum, likelihood = 0.0, 1.0
    predictions, centres = 0, 0
    start, end, position = 0, -1, 0
    centre = np.int64(kept[0])
    if n > 0 and negative > 0:
        counter = draw_negatives(alias, words, centre, drawn, 1, negative, True, counter)
    while position < n:
        if position > end:
            start, end = position, sentence_end(kept, n, position)
        count = 1 + negative
        if negative > 0:
            rows[place] = centre * dim
            for j in range(1, count):
                rows[place + j] = drawn[j] * dim
            for j in range(count, (count + GROUP - 1) // GROUP * GROUP):
                rows[place + j] = rows[place]
        else:
            count = path_starts[centre + 1] - path_starts[centre]
            name_outputs(
                path, path_starts[centre], path_starts[centre + 1], GROUP if cbow else STEPS, dim, rows, place, signs
            )  # fmt: skip
        centres += 1

        # name the next centre's outputs now, so that their rows are on the way to the cache
        following = position + 1
        if kept[following] < 0:
            following += 1
        if following < n:
            centre = np.int64(kept[following])
            ahead = min(following + window, n)
            if kept[ahead] >= 0:
                fetch_row(inputs, np.int64(kept[ahead]) * dim, dim)
            if negative > 0:
                fresh = centres % share == 0
                counter = draw_negatives(alias, words, centre, drawn, 1, negative, fresh, counter)
                fetch_row(outputs, centre * dim, dim)
                for j in range(1, count):
                    fetch_row(outputs, drawn[j] * dim, dim)
            else:
                for j in range(path_starts[centre], path_starts[centre + 1]):
                    fetch_row(outputs, np.int64(path[j] >> 1) * dim, dim)

        counter += GOLDEN
        reach = 1 + below(mixed(counter), window)
        m = 0
        for j in range(max(start, position - reach), min(end, position + reach + 1)):
            if j != position:
                rows[m] = np.int64(kept[j]) * dim
                m += 1
        if m > 0 and count > 0:
            rate = first_rate + (last_rate - first_rate) * position / n
            if negative == 0 and not cbow:
                for i in range(0, m, 2):
                    a = rows[i]
                    b, share_of_b = (rows[i + 1], whole) if i + 1 < m else (a, half)
                    log_sum, likelihood = update_path(
                        inputs, outputs, dim, a, b, rows, place, count, signs, share_of_b, rate, hidden, gradient,
                        log_sum, likelihood,
                    )  # fmt: skip
            else:
                if cbow:
                    mean_of_rows(inputs, dim, rows, m, hidden)
                for g in range((count + GROUP - 1) // GROUP):
                    group = place + g * GROUP
                    sign = load(signs, g * LINE)
                    if cbow:
                        log_sum, likelihood = update_group_mean(
                            outputs,
                            dim,
                            rows,
                            group,
                            sign * half,
                            rate,
                            hidden,
                            gradient,
                            log_sum,
                            likelihood,
                        )
                    else:
                        log_sum, likelihood = update_group(
                            inputs,
                            outputs,
                            dim,
                            rows,
                            m,
                            group,
                            sign,
                            half,
                            rate,
                            gradient,
                            log_sum,
                            likelihood,
                        )
                if cbow:
                    add_to_rows(inputs, dim, rows, m, hidden)
            predictions += 1 if cbow else m
        position = following
    totals[0] -= log_sum + math.log(likelihood)
    totals[1] += predictions
    totals[2] += centres
