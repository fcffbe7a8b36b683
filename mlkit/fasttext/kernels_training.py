# mypy: ignore-errors
"""Training steps of fastText: the mean of input rows against output rows, in groups of sixteen.

Matrices are flat; rows are padded to a multiple of sixteen floats (`size`), the number of output rows to a multiple of
sixteen. Every loss is the same work: scores of sixteen output rows at once (one transposing sum), a vector of
gradients, one pass that updates the rows and collects the hidden vector's gradient. Layout of `work`: hidden, its
gradient, then a score for every output row.
"""

from __future__ import annotations

import math

import numpy as np

from mlkit.jit import inline, kernel, prefetch
from mlkit.jit.random import GOLDEN, below, mixed
from mlkit.jit.vectors import exp, fma, load, maximum, product, splat, store, sums

GROUP = 16
HS, NS, SOFTMAX, OVA = 1, 2, 3, 4
WORD, LABEL = 0, 1
LOW32, S32 = np.uint64(0xFFFFFFFF), np.uint64(32)
FACTOR = np.uint64(116049371)
TINY = 1e-7
MAX_LINE = 1024


@inline
def mean_rows(matrix, rows, first, last, size, scale, work):
    """Write scale * (sum of the input rows rows[first:last]) to the hidden part of `work`."""
    factor = splat(scale)
    for k in range(0, size, GROUP):
        total = splat(np.float32(0))
        for r in range(first, last):
            total = total + load(matrix, np.int64(rows[r]) * size + k)
        store(work, k, total * factor)


@inline
def add_to_rows(matrix, rows, first, last, size, scale, work):
    """Add scale * (the hidden gradient) to the input rows rows[first:last]."""
    factor = splat(scale)
    for k in range(0, size, GROUP):
        change = load(work, size + k) * factor
        for r in range(first, last):
            place = np.int64(rows[r]) * size + k
            store(matrix, place, load(matrix, place) + change)


@inline
def group_scores(output, at, size, work):
    """Return the products of the hidden vector with the sixteen output rows that start at at[0:16]."""
    p0, p1, p2, p3, p4, p5, p6, p7 = at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7]
    q0, q1, q2, q3, q4, q5, q6, q7 = at[8], at[9], at[10], at[11], at[12], at[13], at[14], at[15]
    a0 = splat(np.float32(0))
    a1, a2, a3, a4, a5, a6, a7 = a0, a0, a0, a0, a0, a0, a0
    b0, b1, b2, b3, b4, b5, b6, b7 = a0, a0, a0, a0, a0, a0, a0, a0
    for k in range(0, size, GROUP):
        h = load(work, k)
        a0 = fma(load(output, p0 + k), h, a0)
        a1 = fma(load(output, p1 + k), h, a1)
        a2 = fma(load(output, p2 + k), h, a2)
        a3 = fma(load(output, p3 + k), h, a3)
        a4 = fma(load(output, p4 + k), h, a4)
        a5 = fma(load(output, p5 + k), h, a5)
        a6 = fma(load(output, p6 + k), h, a6)
        a7 = fma(load(output, p7 + k), h, a7)
        b0 = fma(load(output, q0 + k), h, b0)
        b1 = fma(load(output, q1 + k), h, b1)
        b2 = fma(load(output, q2 + k), h, b2)
        b3 = fma(load(output, q3 + k), h, b3)
        b4 = fma(load(output, q4 + k), h, b4)
        b5 = fma(load(output, q5 + k), h, b5)
        b6 = fma(load(output, q6 + k), h, b6)
        b7 = fma(load(output, q7 + k), h, b7)
    return sums(a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7)


@inline
def update_rows(output, at, count, gradients, first, size, work):
    """Add gradient * hidden to `count` output rows, and gradient * row to the hidden gradient."""
    for k in range(0, size, GROUP):
        h = load(work, k)
        change = load(work, size + k)
        for i in range(count):
            place = at[i] + k
            g = splat(gradients[first + i])
            row = load(output, place)
            change = fma(g, row, change)
            store(output, place, fma(g, h, row))
        store(work, size + k, change)


@inline
def binary_group(output, at, targets, weights, count, rate, gradients, size, work):
    """Train `count` (at most 16) output rows as binary classifiers; targets and weights are float32 [16].

    Slots from `count` on must point at some row; they are not trained. Returns the loss.
    """
    one = splat(np.float32(1))
    scores = group_scores(output, at, size, work)
    fire = one / (one + exp(splat(np.float32(0)) - scores))
    goal = load(targets, 0)
    weight = load(weights, 0)
    store(gradients, 0, (goal - fire) * weight * splat(rate))
    update_rows(output, at, count, gradients, 0, size, work)
    # the probability of what was wanted: fire for goal 1, 1 - fire for goal 0
    store(gradients, 0, goal * fire + (one - goal) * (one - fire))
    wanted = 1.0
    for i in range(count):
        wanted *= max(np.float64(gradients[i]), TINY)
    return -math.log(wanted)


@inline
def softmax_step(output, labels, target, rate, at, size, work):
    """Train all output rows by softmax towards `target`; return the loss."""
    scores = 2 * size
    padded = (labels + GROUP - 1) // GROUP * GROUP
    high = splat(np.float32(-1e30))
    for group in range(0, padded, GROUP):
        for i in range(GROUP):
            at[i] = (group + i) * size
        values = group_scores(output, at, size, work)
        store(work, scores + group, values)
        if group + GROUP > labels:
            for i in range(labels, padded):
                work[scores + i] = np.float32(-1e30)
            values = load(work, scores + group)
        high = maximum(high, values)
    store(work, scores + padded, high)
    top = work[scores + padded]
    for i in range(1, GROUP):
        top = max(top, work[scores + padded + i])
    total = splat(np.float32(0))
    shift = splat(top)
    for group in range(0, padded, GROUP):
        values = exp(load(work, scores + group) - shift)
        store(work, scores + group, values)
        total = total + values
    store(work, scores + padded, total)
    mass = np.float32(0)
    for i in range(GROUP):
        mass += work[scores + padded + i]
    share = np.float64(work[scores + target]) / np.float64(mass)
    factor = splat(-rate / mass)
    for group in range(0, padded, GROUP):
        store(work, scores + group, load(work, scores + group) * factor)
    work[scores + target] += rate
    update_all(output, labels, at, size, work)
    return -math.log(max(share, TINY))


@inline
def update_all(output, labels, at, size, work):
    """Update every output row by the gradients that stand in the scores' place."""
    for group in range(0, labels, GROUP):
        for i in range(GROUP):
            at[i] = (group + i) * size
        update_rows(output, at, min(GROUP, labels - group), work, 2 * size + group, size, work)


@inline
def ova_step(output, labels, targets, target_count, rate, at, size, work):
    """Train every output row as a binary classifier of its own; return the loss."""
    scores = 2 * size
    one = splat(np.float32(1))
    factor = splat(-rate)
    # the rows that pad the last group are zeros: each fires at 1/2 and adds log 2 to the loss below
    loss = -math.log(2.0) * ((GROUP - labels % GROUP) % GROUP)
    for group in range(0, labels, GROUP):
        for i in range(GROUP):
            at[i] = (group + i) * size
        fire = one / (one + exp(splat(np.float32(0)) - group_scores(output, at, size, work)))
        store(work, scores + group, fire * factor)
        loss -= math.log(max(product(maximum(one - fire, splat(np.float32(1e-5)))), 1e-300))
    for t in range(target_count):
        seen = False
        for u in range(t):
            seen = seen or targets[u] == targets[t]
        if not seen:
            fire = np.float64(work[scores + targets[t]]) / min(-np.float64(rate), -1e-30)
            loss += math.log(max(1.0 - fire, 1e-5)) - math.log(max(fire, TINY))
            work[scores + targets[t]] += rate
    update_all(output, labels, at, size, work)
    return loss


@inline
def path_step(output, path, first, last, rate, at, targets, weights, gradients, size, work):
    """Hierarchical softmax: train the inner nodes path[first:last], each 2 * node + code; return the loss."""
    loss = 0.0
    for begin in range(first, last, GROUP):
        count = min(GROUP, last - begin)
        for i in range(GROUP):
            step = np.int64(path[begin + min(i, count - 1)])
            at[i] = (step >> 1) * size
            targets[i] = np.float32(step & 1)
            weights[i] = np.float32(1)
        loss += binary_group(output, at, targets, weights, count, rate, gradients, size, work)
    return loss


@inline
def draw_noise(noise, target, counter):
    """Return a noise row that is not `target`, drawn by the alias method, and the counter."""
    chosen = target
    attempts = 0
    while chosen == target and attempts < 64:
        counter += GOLDEN
        bits = mixed(counter)
        slot = below(bits, len(noise))
        entry = noise[slot]
        chosen = slot if (bits >> S32) <= (entry >> S32) else np.int64(entry & LOW32)
        attempts += 1
    return chosen, counter


@inline
def noise_step(output, target, noise, negative, rate, at, targets, weights, gradients, size, work, counter):
    """Negative sampling: `target` against `negative` drawn rows; return (loss, counter)."""
    loss = 0.0
    done = 0
    while done < negative + 1:
        count = min(GROUP, negative + 1 - done)
        for i in range(GROUP):
            row = target
            targets[i] = np.float32(0)
            if done + i == 0:
                targets[i] = np.float32(1)
            elif i < count:
                row, counter = draw_noise(noise, target, counter)
            at[i] = row * size
            weights[i] = np.float32(1)
        loss += binary_group(output, at, targets, weights, count, rate, gradients, size, work)
        done += count
    return loss, counter


@inline
def target_step(loss, output, outputs, target, paths, path, noise, negative, rate, at, targets, weights, gradients,
                size, work, counter):  # fmt: skip
    """Train one target by the chosen loss; return (loss, counter)."""
    if loss == SOFTMAX:
        return softmax_step(output, outputs, target, rate, at, size, work), counter
    if loss == HS:
        first, last = paths[target], paths[target + 1]
        found = path_step(output, path, first, last, rate, at, targets, weights, gradients, size, work)
        return found, counter
    return noise_step(
        output, target, noise, negative, rate, at, targets, weights, gradients, size, work, counter
    )


@inline
def line_rows(ids, begin, end, starts, subs, kinds, hashes, bucket_rows, word_ngrams, bucket, words, matrix,
              size, rows, labels):  # fmt: skip
    """Collect the input rows of one line (prefetching them) and its labels; return how many of both."""
    count = 0
    found = 0
    for i in range(begin, end):
        token = ids[i]
        kind = kinds[token]
        if kind == LABEL:
            labels[found] = token - words
            found += 1
        if kind != WORD:
            continue
        for s in range(starts[token], starts[token + 1]):
            rows[count] = subs[s]
            prefetch(matrix, np.int64(subs[s]) * size)
            count += 1
    if word_ngrams > 1:
        for i in range(begin, end):
            if kinds[ids[i]] != WORD:
                continue
            value = np.uint64(np.int64(np.int32(hashes[ids[i]])))
            taken = 1
            j = i + 1
            while taken < word_ngrams and j < end:
                if kinds[ids[j]] == WORD:
                    value = value * FACTOR + np.uint64(np.int64(np.int32(hashes[ids[j]])))
                    row = bucket_rows[value % np.uint64(bucket)]
                    if row >= 0:
                        rows[count] = row
                        prefetch(matrix, np.int64(row) * size)
                        count += 1
                    taken += 1
                j += 1
    return count, found


@kernel(
    "void(const i4[:], const i8[:], const i4[:], i8, i8, const i8[:], const i4[:], const u1[:], const u4[:],"
    " const i4[:], const i8[:], const i8[:], const i4[:], const u8[:], f4[:], f4[:], f8, f8, u8, i4[:], i4[:],"
    " f4[:], f8[:])"
)
def train_lines(ids, bounds, order, first, last, starts, subs, kinds, hashes, bucket_rows, sizes, paths, path,
                noise, matrix, output, rate, rate_step, seed, rows, labels, work, result):  # fmt: skip
    """Train a classifier on lines order[first:last]; adds (loss, examples) to `result`.

    starts, subs: the input rows of every token; kinds: word, label or neither; bucket_rows: row of every hash
    bucket or -1; sizes: words, labels, word_ngrams, bucket, size, loss, negative; rate falls by rate_step a token.
    """
    words, outputs, word_ngrams, bucket = sizes[0], sizes[1], sizes[2], sizes[3]
    size, loss, negative = sizes[4], sizes[5], sizes[6]
    at = np.zeros(GROUP, np.int64)
    targets = np.zeros(GROUP, np.float32)
    weights = np.zeros(GROUP, np.float32)
    gradients = np.zeros(GROUP, np.float32)
    counter = mixed(seed)
    total, examples = 0.0, 0
    for place in range(first, last):
        begin, end = bounds[order[place]], bounds[order[place] + 1]
        rate -= rate_step * (end - begin)
        count, found = line_rows(
            ids, begin, end, starts, subs, kinds, hashes, bucket_rows, word_ngrams, bucket, words, matrix,
            size, rows, labels,
        )  # fmt: skip
        if count == 0 or found == 0:
            continue
        step = np.float32(max(rate, 0.0))
        share = np.float32(1.0 / count)
        mean_rows(matrix, rows, 0, count, size, share, work)
        for k in range(0, size, GROUP):
            store(work, size + k, splat(np.float32(0)))
        if loss == OVA:
            total += ova_step(output, outputs, labels, found, step, at, size, work)
        else:
            target = np.int64(labels[0])
            if found > 1:
                counter += GOLDEN
                target = np.int64(labels[below(mixed(counter), found)])
            value, counter = target_step(
                loss, output, outputs, target, paths, path, noise, negative, step, at, targets, weights,
                gradients, size, work, counter,
            )  # fmt: skip
            total += value
        add_to_rows(matrix, rows, 0, count, size, share, work)
        examples += 1
    result[0] += total
    result[1] += examples


@inline
def keep_line(ids, position, end, end_of_line, keep, line, counter):
    """Copy the next line's ids that survive subsampling; return (how many, new position, counter)."""
    count = 0
    while position < end and count < MAX_LINE:
        token = ids[position]
        position += 1
        counter += GOLDEN
        if np.uint32(mixed(counter) >> S32) <= keep[token]:
            line[count] = token
            count += 1
        if token == end_of_line:
            break
    return count, position, counter


@kernel(
    "void(const i4[:], i8, i8, const i8[:], const i4[:], const u4[:], const i8[:], const i8[:], const i4[:],"
    " const u8[:], f4[:], f4[:], f8, f8, u8, f4[:], f8[:])"
)
def train_skipgram(ids, position, end, starts, subs, keep, sizes, paths, path, noise, matrix, output, rate,
                   rate_step, seed, work, result):  # fmt: skip
    """Skip-gram on ids[position:end]: the centre's rows predict the words around it.

    All pairs of a centre share its hidden vector: its rows are read and written once. With negative sampling
    sixteen of its contexts and noise words are trained at once, and the hidden vector moves on after each sixteen.
    sizes: end of line (or -1), outputs, window, negative, size, loss.
    """
    end_of_line, outputs, window, negative = sizes[0], sizes[1], sizes[2], sizes[3]
    size, loss = sizes[4], sizes[5]
    line = np.zeros(MAX_LINE, np.int32)
    at = np.zeros(GROUP, np.int64)
    targets = np.zeros(GROUP, np.float32)
    weights = np.ones(GROUP, np.float32)
    gradients = np.zeros(GROUP, np.float32)
    counter = mixed(seed)
    total, pairs = 0.0, 0
    while position < end:
        began = position
        count, position, counter = keep_line(ids, position, end, end_of_line, keep, line, counter)
        step = np.float32(max(rate, 0.0))
        rate -= rate_step * (position - began)
        for centre in range(count):
            if centre + 1 < count:
                for s in range(starts[line[centre + 1]], starts[line[centre + 1] + 1]):
                    prefetch(matrix, np.int64(subs[s]) * size)
            counter += GOLDEN
            reach = 1 + below(mixed(counter), window)
            low, high = max(0, centre - reach), min(count, centre + reach + 1)
            contexts = high - low - 1
            first, last = starts[line[centre]], starts[line[centre] + 1]
            if contexts == 0 or first == last:
                continue
            mean_rows(matrix, subs, first, last, size, np.float32(1.0 / (last - first)), work)
            for k in range(0, size, GROUP):
                store(work, size + k, splat(np.float32(0)))
            if loss == NS:
                for k in range(0, size, GROUP):
                    store(work, 2 * size + k, load(work, k))
                todo = contexts * (negative + 1)
                done = 0
                context, drawn = low - 1, negative
                while done < todo:
                    used = min(GROUP, todo - done)
                    for i in range(used):
                        targets[i] = np.float32(0)
                        if drawn == negative:
                            drawn = 0
                            context += 1
                            context += context == centre
                            row = np.int64(line[context])
                            targets[i] = np.float32(1)
                        else:
                            drawn += 1
                            row, counter = draw_noise(noise, np.int64(line[context]), counter)
                        at[i] = row * size
                    for i in range(used, GROUP):
                        at[i] = at[0]
                    total += binary_group(output, at, targets, weights, used, step, gradients, size, work)
                    done += used
                    # every row of the centre gets the whole gradient, and so does their mean
                    for k in range(0, size, GROUP):
                        store(work, k, load(work, 2 * size + k) + load(work, size + k))
            else:
                for context in range(low, high):
                    if context == centre:
                        continue
                    value, counter = target_step(
                        loss, output, outputs, np.int64(line[context]), paths, path, noise, negative, step, at,
                        targets, weights, gradients, size, work, counter,
                    )  # fmt: skip
                    total += value
            pairs += contexts
            add_to_rows(matrix, subs, first, last, size, np.float32(1), work)
    result[0] += total
    result[1] += pairs


@kernel(
    "void(const i4[:], i8, i8, const i8[:], const i4[:], const u4[:], const i8[:], const i8[:], const i4[:],"
    " const u8[:], f4[:], f4[:], f8, f8, u8, f4[:], f4[:], f8[:])"
)
def train_cbow(ids, position, end, starts, subs, keep, sizes, paths, path, noise, matrix, output, rate, rate_step,
               seed, work, sentence, result):  # fmt: skip
    """CBOW on ids[position:end]: the mean of all rows of the words around predicts the centre.

    `sentence` holds, for every position of a line, the sum of its rows and the change that they have coming;
    rows are read when their word enters the window and written when it leaves.
    """
    end_of_line, outputs, window, negative = sizes[0], sizes[1], sizes[2], sizes[3]
    size, loss = sizes[4], sizes[5]
    line = np.zeros(MAX_LINE, np.int32)
    at = np.zeros(GROUP, np.int64)
    targets = np.zeros(GROUP, np.float32)
    weights = np.zeros(GROUP, np.float32)
    gradients = np.zeros(GROUP, np.float32)
    counter = mixed(seed)
    total, examples = 0.0, 0
    changes = MAX_LINE * size
    while position < end:
        began = position
        count, position, counter = keep_line(ids, position, end, end_of_line, keep, line, counter)
        step = np.float32(max(rate, 0.0))
        rate -= rate_step * (position - began)
        read = 0
        for centre in range(count + window):
            while read < min(count, centre + window + 1):
                first, last = starts[line[read]], starts[line[read] + 1]
                for k in range(0, size, GROUP):
                    gathered = splat(np.float32(0))
                    for s in range(first, last):
                        gathered = gathered + load(matrix, np.int64(subs[s]) * size + k)
                    store(sentence, read * size + k, gathered)
                    store(sentence, changes + read * size + k, splat(np.float32(0)))
                read += 1
            if centre < count:
                counter += GOLDEN
                reach = 1 + below(mixed(counter), window)
                low, high = max(0, centre - reach), min(count, centre + reach + 1)
                parts = 0
                for c in range(low, high):
                    if c != centre:
                        parts += starts[line[c] + 1] - starts[line[c]]
                if parts > 0:
                    share = splat(np.float32(1.0 / parts))
                    for k in range(0, size, GROUP):
                        gathered = splat(np.float32(0)) - load(sentence, centre * size + k)
                        for c in range(low, high):
                            gathered = gathered + load(sentence, c * size + k)
                        store(work, k, gathered * share)
                        store(work, size + k, splat(np.float32(0)))
                    value, counter = target_step(
                        loss, output, outputs, np.int64(line[centre]), paths, path, noise, negative, step, at,
                        targets, weights, gradients, size, work, counter,
                    )  # fmt: skip
                    total += value
                    examples += 1
                    for c in range(low, high):
                        if c == centre:
                            continue
                        times = splat(np.float32(starts[line[c] + 1] - starts[line[c]]))
                        for k in range(0, size, GROUP):
                            change = load(work, size + k)
                            place = c * size + k
                            store(sentence, place, fma(times, change, load(sentence, place)))
                            store(sentence, changes + place, load(sentence, changes + place) + change)
            leaving = centre - window
            if 0 <= leaving < count:
                first, last = starts[line[leaving]], starts[line[leaving] + 1]
                for k in range(0, size, GROUP):
                    change = load(sentence, changes + leaving * size + k)
                    for s in range(first, last):
                        place = np.int64(subs[s]) * size + k
                        store(matrix, place, load(matrix, place) + change)
    result[0] += total
    result[1] += examples
