# mypy: ignore-errors
"""Grow one regression tree on binned rows: histograms, split search, partition, leaf by leaf.

Bins are packed: one byte of `bins[row, column]` may hold several small features in mixed radix
(code = bin_a + stride_b * bin_b), which saves histogram updates; `unpack` splits the joint histogram again.
Histograms hold (gradient, hessian) pairs in float64; counts are estimated from hessians as LightGBM does.

`grow` is a state machine: with threads it returns before each large histogram and partition; the caller fills
`joint` with `accumulate` by ranges of columns, or moves rows with `partition`, and calls it again. Every column
is summed in row order and rows keep their order, so the result does not depend on the number of threads.
"""

import numpy as np

from mlkit.jit import inline, kernel, prefetch

# rows of the table of features
COLUMN, STRIDE, BINS, MISSING, CATEGORICAL, OFFSET, MONOTONE = range(7)
# parameters
(LAMBDA_L1, LAMBDA_L2, MIN_GAIN, MIN_DATA, MIN_HESSIAN, MAX_DEPTH, CAT_SMOOTH, CAT_L2, MAX_CAT,
 GROUP_DATA, ONE_HOT, PARALLEL_FROM) = range(12)  # fmt: skip
# leaves, integers: span in `rows`, node, depth, histogram slot, best split
START, END, NODE, DEPTH, SLOT, FEATURE, THRESHOLD, MISSING_LEFT, IS_SET = range(9)
# leaves, reals: gradient, hessian, bounds of the output, best gain, left sums of the best split, its extra L2
GRADIENT, HESSIAN, LOW, HIGH, GAIN, LEFT_GRADIENT, LEFT_HESSIAN, EXTRA_L2 = range(8)
# state
PHASE, LEAVES, NODES, SMALL, LARGE, CHOSEN, BORDER = range(7)
BEGIN, CHOOSE, SPLIT, ACCUMULATE, SEARCH, DONE = range(6)
READY, NEEDS_HISTOGRAM, NEEDS_PARTITION = range(3)
# nodes, integers and reals
LEFT, NODE_FEATURE, NODE_THRESHOLD, NODE_MISSING_LEFT, NODE_SET, NODE_COUNT = range(6)
NODE_VALUE, NODE_GAIN, NODE_HESSIAN = range(3)


@inline
def _accumulate(bins, pairs, rows, start, end, first, last, whole, joint):
    """Add the (gradient, hessian) pairs of rows[start:end] to the joint histograms of some columns."""
    one = np.uint64(1)
    stop = np.uint64(last)
    unrolled = np.uint64(first + (last - first) // 4 * 4)
    for i in range(start, end):
        r = np.uint32(i)
        if not whole:
            r = np.uint32(rows[i])
            if i + 24 < end:
                ahead = np.uint32(rows[i + 24])
                prefetch(bins, ahead)
                prefetch(pairs, ahead)
        g = np.float64(pairs[r, 0])
        h = np.float64(pairs[r, 1])
        row = bins[r]
        j = np.uint64(first)
        base = np.uint64(first) << np.uint64(9)
        while j < unrolled:
            a = base + (np.uint64(row[j]) << one)
            b = base + np.uint64(512) + (np.uint64(row[j + np.uint64(1)]) << one)
            c = base + np.uint64(1024) + (np.uint64(row[j + np.uint64(2)]) << one)
            d = base + np.uint64(1536) + (np.uint64(row[j + np.uint64(3)]) << one)
            joint[a] += g
            joint[a + one] += h
            joint[b] += g
            joint[b + one] += h
            joint[c] += g
            joint[c + one] += h
            joint[d] += g
            joint[d + one] += h
            j += np.uint64(4)
            base += np.uint64(2048)
        while j < stop:
            a = base + (np.uint64(row[j]) << one)
            joint[a] += g
            joint[a + one] += h
            j += one
            base += np.uint64(512)


@kernel("void(const u1[:,:], const f4[:,:], const i4[:], i8, i8, i8, i8, b1, f8[:])")
def accumulate(bins, pairs, rows, start, end, first, last, whole, joint):
    """Fill the joint histograms of columns first..last-1 from rows[start:end] (all rows when `whole`)."""
    joint[first * 512 : last * 512] = 0.0
    _accumulate(bins, pairs, rows, start, end, first, last, whole, joint)


@inline
def _unpack(features, active, sizes, joint, out):
    """Split joint histograms into one histogram per feature."""
    for f in range(features.shape[0]):
        if active[f] == 0:
            continue
        column = features[f, COLUMN]
        stride = features[f, STRIDE]
        bins = features[f, BINS] + features[f, MISSING]
        base = column * 512
        at = features[f, OFFSET] * 2
        size = sizes[column]
        if stride == 1 and bins == size:
            for k in range(2 * size):
                out[at + k] = joint[base + k]
            continue
        for b in range(bins):
            g = 0.0
            h = 0.0
            for outer in range(b * stride, size, bins * stride):
                for code in range(outer, outer + stride):
                    g += joint[base + 2 * code]
                    h += joint[base + 2 * code + 1]
            out[at + 2 * b] = g
            out[at + 2 * b + 1] = h


@inline
def _shrink(gradient, l1):
    """Soft threshold of the L1 penalty."""
    if l1 <= 0.0:
        return gradient
    if gradient > l1:
        return gradient - l1
    if gradient < -l1:
        return gradient + l1
    return 0.0


@inline
def _output(gradient, hessian, l1, l2, low, high):
    """Return the value of a leaf, kept within its monotone bounds."""
    value = -_shrink(gradient, l1) / (hessian + l2)
    return min(max(value, low), high)


@inline
def _worth(gradient, hessian, value, l1, l2):
    """Return twice the loss reduction of a leaf with a given value."""
    return -(2.0 * _shrink(gradient, l1) * value + (hessian + l2) * value * value)


@inline
def _gain(gl, hl, gr, hr, l1, l2, low, high, monotone, bounded):
    """Return the worth of two children; minus infinity where they break the monotone constraint."""
    if not bounded and monotone == 0:
        a = _shrink(gl, l1)
        b = _shrink(gr, l1)
        p = hl + l2
        q = hr + l2
        return (a * a * q + b * b * p) / (p * q)
    left = _output(gl, hl, l1, l2, low, high)
    right = _output(gr, hr, l1, l2, low, high)
    if (monotone > 0 and left > right) or (monotone < 0 and left < right):
        return -np.inf
    return _worth(gl, hl, left, l1, l2) + _worth(gr, hr, right, l1, l2)


@inline
def _search_numeric(hist, feature, f, params, numbers, reals, shift):
    """Try every threshold of a numeric feature, missing values once to the right and once to the left."""
    at = feature[OFFSET] * 2
    bins = feature[BINS]
    missing = feature[MISSING]
    monotone = feature[MONOTONE]
    total_g = reals[GRADIENT]
    total_h = reals[HESSIAN]
    low = reals[LOW]
    high = reals[HIGH]
    bounded = low > -np.inf or high < np.inf
    l1 = params[LAMBDA_L1]
    l2 = params[LAMBDA_L2]
    count = numbers[END] - numbers[START]
    per_hessian = count / total_h
    least = max((params[MIN_DATA] - 0.5) / per_hessian, params[MIN_HESSIAN])
    best = reals[GAIN]
    floor = best + shift
    simple = l1 == 0.0 and monotone == 0 and not bounded
    best_threshold = -1
    best_direction = 0
    best_g = 0.0
    best_h = 0.0
    for direction in range(1 + missing):
        gl = 0.0
        hl = 0.0
        if direction == 1:
            gl = hist[at + 2 * bins]
            hl = hist[at + 2 * bins + 1]
        last = bins - 1
        if missing == 1 and direction == 0:
            last = bins
        for b in range(last):
            k = np.uint64(at + 2 * b)
            gl += hist[k]
            hl += hist[k + np.uint64(1)]
            if hl < least:
                continue
            hr = total_h - hl
            if hr < least:
                break
            if simple:
                # gain > best without the division
                gr = total_g - gl
                p = hl + l2
                q = hr + l2
                worth = gl * gl * q + gr * gr * p
                if worth <= floor * (p * q):
                    continue
                gain = worth / (p * q) - shift
                floor = gain + shift
            else:
                gain = _gain(gl, hl, total_g - gl, hr, l1, l2, low, high, monotone, bounded) - shift
            if gain > best:
                best = gain
                best_threshold = b
                best_direction = direction
                best_g = gl
                best_h = hl
    if best_threshold >= 0:
        reals[GAIN] = best
        reals[LEFT_GRADIENT] = best_g
        reals[LEFT_HESSIAN] = best_h
        reals[EXTRA_L2] = 0.0
        numbers[FEATURE] = f
        numbers[THRESHOLD] = best_threshold
        numbers[MISSING_LEFT] = best_direction
        numbers[IS_SET] = 0


@inline
def _search_categories(hist, feature, f, params, numbers, reals, shift, order, ratio, chosen):
    """Split categories one against the rest, or as a prefix of their order by gradient over hessian."""
    at = feature[OFFSET] * 2
    bins = feature[BINS] + feature[MISSING]
    total_g = reals[GRADIENT]
    total_h = reals[HESSIAN]
    low = reals[LOW]
    high = reals[HIGH]
    bounded = low > -np.inf or high < np.inf
    l1 = params[LAMBDA_L1]
    l2 = params[LAMBDA_L2]
    count = numbers[END] - numbers[START]
    per_hessian = count / total_h
    least = max((params[MIN_DATA] - 0.5) / per_hessian, params[MIN_HESSIAN])
    best = reals[GAIN]
    best_g = 0.0
    best_h = 0.0
    length = 0
    backwards = False
    alone = -1
    one_hot = bins <= params[ONE_HOT]
    used = 0
    for b in range(bins):
        g = hist[at + 2 * b]
        h = hist[at + 2 * b + 1]
        if one_hot:
            if h < least or total_h - h < least:
                continue
            gain = _gain(g, h, total_g - g, total_h - h, l1, l2, low, high, 0, bounded) - shift
            if gain > best:
                best = gain
                alone = b
                best_g = g
                best_h = h
        elif h * per_hessian + 0.5 >= params[CAT_SMOOTH]:
            key = g / (h + params[CAT_SMOOTH])
            k = used
            while k > 0 and ratio[k - 1] > key:
                ratio[k] = ratio[k - 1]
                order[k] = order[k - 1]
                k -= 1
            ratio[k] = key
            order[k] = b
            used += 1
    if not one_hot:
        l2 += params[CAT_L2]
        limit = min(np.int64(params[MAX_CAT]), (used + 1) // 2)
        group = params[GROUP_DATA]
        for direction in range(2):
            gl = 0.0
            hl = 0.0
            since = 0.0
            for k in range(min(limit, used)):
                b = order[k] if direction == 0 else order[used - 1 - k]
                gl += hist[at + 2 * b]
                hl += hist[at + 2 * b + 1]
                since += hist[at + 2 * b + 1] * per_hessian
                if hl < least:
                    continue
                hr = total_h - hl
                if hr < least or hr * per_hessian < group - 0.5:
                    break
                if since < group - 0.5:
                    continue
                since = 0.0
                gain = _gain(gl, hl, total_g - gl, hr, l1, l2, low, high, 0, bounded) - shift
                if gain > best:
                    best = gain
                    length = k + 1
                    backwards = direction == 1
                    best_g = gl
                    best_h = hl
    if length == 0 and alone < 0:
        return
    reals[GAIN] = best
    reals[LEFT_GRADIENT] = best_g
    reals[LEFT_HESSIAN] = best_h
    reals[EXTRA_L2] = 0.0 if one_hot else params[CAT_L2]
    numbers[FEATURE] = f
    numbers[THRESHOLD] = 0
    numbers[MISSING_LEFT] = 0
    numbers[IS_SET] = 1
    chosen[:] = 0
    if one_hot:
        chosen[alone] = 1
    else:
        for k in range(length):
            chosen[order[used - 1 - k] if backwards else order[k]] = 1


@inline
def _search(hist, features, active, params, numbers, reals, order, ratio, chosen):
    """Find the best split of one leaf; a gain of 0 stays when there is none."""
    reals[GAIN] = 0.0
    numbers[FEATURE] = -1
    if not _splittable(params, numbers):
        return
    gradient = reals[GRADIENT]
    hessian = reals[HESSIAN]
    l1 = params[LAMBDA_L1]
    l2 = params[LAMBDA_L2]
    low = reals[LOW]
    high = reals[HIGH]
    shift = params[MIN_GAIN]
    if low > -np.inf or high < np.inf:
        shift += _worth(gradient, hessian, _output(gradient, hessian, l1, l2, low, high), l1, l2)
    else:
        kept = _shrink(gradient, l1)
        shift += kept * kept / (hessian + l2)
    reals[GAIN] = 1e-13 * abs(shift)  # less is rounding
    for f in range(features.shape[0]):
        if active[f] == 0:
            continue
        if features[f, CATEGORICAL] == 1:
            _search_categories(hist, features[f], f, params, numbers, reals, shift, order, ratio, chosen)
        else:
            _search_numeric(hist, features[f], f, params, numbers, reals, shift)
    if numbers[FEATURE] < 0:
        reals[GAIN] = 0.0


@inline
def _splittable(params, numbers):
    """Say whether a leaf is large and shallow enough to be split."""
    if params[MAX_DEPTH] > 0 and numbers[DEPTH] >= params[MAX_DEPTH]:
        return False
    count = numbers[END] - numbers[START]
    return count >= 2 * params[MIN_DATA] and count >= 2


@inline
def _partition(bins, column, goes_left, rows, scratch, start, end, whole):
    """Move the rows that go left to the front, in their old order, the others behind if `whole`; return the border."""
    one = np.uint64(1)
    border = np.uint64(start)
    others = np.uint64(start)
    column = np.uint64(column)
    for i in range(np.uint64(start), np.uint64(end)):
        r = rows[i]
        if i + np.uint64(24) < np.uint64(end):
            prefetch(bins, np.uint32(rows[i + np.uint64(24)]))
        left = np.uint64(goes_left[np.uint64(bins[np.uint32(r), column])])
        rows[border] = r
        scratch[others] = r
        border += left
        others += one - left
    if whole:
        for i in range(np.uint64(end) - border):
            rows[border + i] = scratch[np.uint64(start) + i]
    return np.int64(border)


@kernel("i8(const u1[:,:], i8, const u1[:], i4[:], i4[:], i8, i8)")
def partition(bins, column, goes_left, rows, scratch, start, end):
    """Move the rows of rows[start:end] that go left to its front; the others wait in scratch[start:]."""
    return _partition(bins, column, goes_left, rows, scratch, start, end, False)


@inline
def _mark_left(feature, numbers, chosen, goes_left):
    """Tabulate for every joint code of the feature's column whether it goes left."""
    stride = feature[STRIDE]
    bins = feature[BINS]
    width = bins + feature[MISSING]
    for code in range(256):
        b = (code // stride) % width
        if numbers[IS_SET] == 1:
            goes_left[code] = chosen[b]
        elif b == bins:
            goes_left[code] = numbers[MISSING_LEFT]
        else:
            goes_left[code] = 1 if b <= numbers[THRESHOLD] else 0


@inline
def _record_split(feature, numbers, reals, chosen, node, node_numbers, node_reals, sets, made):
    """Write a split into the node table; a set of categories becomes a bitmap."""
    here = node_numbers[node]
    here[NODE_FEATURE] = numbers[FEATURE]
    here[NODE_THRESHOLD] = numbers[THRESHOLD]
    here[NODE_MISSING_LEFT] = numbers[MISSING_LEFT]
    here[NODE_SET] = -1
    node_reals[node, NODE_GAIN] = reals[GAIN]
    if numbers[IS_SET] == 1:
        here[NODE_SET] = made
        if feature[MISSING] == 1:
            here[NODE_MISSING_LEFT] = chosen[feature[BINS]]
        for word in range(4):
            bits = np.uint64(0)
            for k in range(64):
                b = word * 64 + k
                if b < feature[BINS] and chosen[b] == 1:
                    bits |= np.uint64(1) << np.uint64(k)
            sets[made, word] = bits


@inline
def _begin_leaf(leaf, numbers, reals, node_numbers, node_reals, params, extra_l2):
    """Write a fresh leaf's value, count and hessian to its node."""
    node = numbers[leaf, NODE]
    node_numbers[node, LEFT] = 0
    node_numbers[node, NODE_COUNT] = numbers[leaf, END] - numbers[leaf, START]
    node_reals[node, NODE_HESSIAN] = reals[leaf, HESSIAN]
    node_reals[node, NODE_VALUE] = _output(
        reals[leaf, GRADIENT], reals[leaf, HESSIAN], params[LAMBDA_L1], params[LAMBDA_L2] + extra_l2,
        reals[leaf, LOW], reals[leaf, HIGH],
    )  # fmt: skip


@inline
def _split(leaf, fresh, border, features, numbers, reals, chosen, node_numbers, node_reals, sets, state, params,
           made):  # fmt: skip
    """Split a leaf: its left child keeps the leaf's place, the right child takes the fresh one."""
    parent = numbers[leaf]
    feature = features[parent[FEATURE]]
    node = parent[NODE]
    _record_split(feature, parent, reals[leaf], chosen[leaf], node, node_numbers, node_reals, sets, made)
    child = state[NODES]
    state[NODES] += 2
    node_numbers[node, LEFT] = child
    gl = reals[leaf, LEFT_GRADIENT]
    hl = reals[leaf, LEFT_HESSIAN]
    extra = reals[leaf, EXTRA_L2]
    low = reals[leaf, LOW]
    high = reals[leaf, HIGH]
    numbers[fresh, START] = border
    numbers[fresh, END] = parent[END]
    numbers[fresh, NODE] = child + 1
    numbers[fresh, DEPTH] = parent[DEPTH] + 1
    reals[fresh, GRADIENT] = reals[leaf, GRADIENT] - gl
    reals[fresh, HESSIAN] = reals[leaf, HESSIAN] - hl
    parent[END] = border
    parent[NODE] = child
    parent[DEPTH] += 1
    reals[leaf, GRADIENT] = gl
    reals[leaf, HESSIAN] = hl
    reals[fresh, LOW] = low
    reals[fresh, HIGH] = high
    _begin_leaf(leaf, numbers, reals, node_numbers, node_reals, params, extra)
    _begin_leaf(fresh, numbers, reals, node_numbers, node_reals, params, extra)
    monotone = feature[MONOTONE]
    if monotone != 0:
        middle = 0.5 * (node_reals[child, NODE_VALUE] + node_reals[child + 1, NODE_VALUE])
        if monotone > 0:
            reals[leaf, HIGH] = middle
            reals[fresh, LOW] = middle
        else:
            reals[leaf, LOW] = middle
            reals[fresh, HIGH] = middle


@kernel(
    "i8(const u1[:,:], const f4[:,:], const i4[:,:], const u1[:], const i4[:], const f8[:], i4[:], i4[:], "
    "f8[:], f8[:,:], i8[:,:], f8[:,:], u1[:,:], u1[:], i4[:,:], f8[:,:], u8[:,:], i8[:])"
)
def grow(bins, pairs, features, active, sizes, params, rows, scratch, joint, hists, numbers, reals, chosen,
         goes_left, node_numbers, node_reals, sets, state):  # fmt: skip
    """Grow one tree leaf by leaf; return what the caller must do first, READY when it is done.

    bins uint8 [n, columns] packed; pairs float32 [n, 2]; features int32 [f, 7]; rows int32: the rows
    in use, partitioned by leaf in the end. hists float64 [leaves, 2 * bins of all features]; numbers,
    reals: leaf tables; chosen uint8 [leaves, 256]; node tables of 2 * leaves - 1; sets uint64 [leaves, 4].
    """
    order = np.empty(256, np.int32)
    ratio = np.empty(256, np.float64)
    columns = bins.shape[1]
    most = numbers.shape[0]
    while True:
        phase = state[PHASE]
        if phase == BEGIN:
            g = 0.0
            h = 0.0
            for i in range(rows.size):
                r = np.uint32(rows[i])
                g += pairs[r, 0]
                h += pairs[r, 1]
            numbers[0, START] = 0
            numbers[0, END] = rows.size
            numbers[0, NODE] = 0
            numbers[0, DEPTH] = 0
            numbers[0, SLOT] = 0
            reals[0, GRADIENT] = g
            reals[0, HESSIAN] = h
            reals[0, LOW] = -np.inf
            reals[0, HIGH] = np.inf
            _begin_leaf(0, numbers, reals, node_numbers, node_reals, params, 0.0)
            state[LEAVES] = 1
            state[NODES] = 1
            state[SMALL] = 0
            state[LARGE] = -1
            phase = ACCUMULATE
        if phase == CHOOSE:
            leaf = 0
            for k in range(1, state[LEAVES]):
                if reals[k, GAIN] > reals[leaf, GAIN]:
                    leaf = k
            if reals[leaf, GAIN] <= 0.0 or state[LEAVES] == most:
                state[PHASE] = DONE
                return READY
            feature = features[numbers[leaf, FEATURE]]
            _mark_left(feature, numbers[leaf], chosen[leaf], goes_left)
            start = numbers[leaf, START]
            end = numbers[leaf, END]
            state[CHOSEN] = leaf
            if (end - start) * 4 >= params[PARALLEL_FROM]:
                state[PHASE] = SPLIT
                return NEEDS_PARTITION
            state[BORDER] = _partition(bins, feature[COLUMN], goes_left, rows, scratch, start, end, True)
            phase = SPLIT
        if phase == SPLIT:
            leaf = state[CHOSEN]
            fresh = state[LEAVES]
            _split(leaf, fresh, state[BORDER], features, numbers, reals, chosen, node_numbers, node_reals, sets, state,
                   params, fresh - 1)  # fmt: skip
            state[LEAVES] += 1
            reals[leaf, GAIN] = 0.0
            reals[fresh, GAIN] = 0.0
            if state[LEAVES] == most:
                state[PHASE] = DONE
                return READY
            if not _splittable(params, numbers[leaf]) and not _splittable(params, numbers[fresh]):
                state[PHASE] = CHOOSE
                continue
            # the smaller child is counted, the larger is the parent less the smaller
            small = leaf
            large = fresh
            if numbers[leaf, END] - numbers[leaf, START] > numbers[fresh, END] - numbers[fresh, START]:
                small = fresh
                large = leaf
            slot = numbers[leaf, SLOT]
            numbers[large, SLOT] = slot
            numbers[small, SLOT] = fresh
            state[SMALL] = small
            state[LARGE] = large
            phase = ACCUMULATE
        if phase == ACCUMULATE:
            start = numbers[state[SMALL], START]
            end = numbers[state[SMALL], END]
            if (end - start) * columns >= params[PARALLEL_FROM]:
                state[PHASE] = SEARCH
                return NEEDS_HISTOGRAM
            for c in range(columns):
                joint[c * 512 : c * 512 + 2 * sizes[c]] = 0.0
            whole = end - start == bins.shape[0]
            _accumulate(bins, pairs, rows, start, end, 0, columns, whole, joint)
        small = state[SMALL]
        large = state[LARGE]
        hist = hists[numbers[small, SLOT]]
        _unpack(features, active, sizes, joint, hist)
        if large >= 0:
            other = hists[numbers[large, SLOT]]
            for k in range(other.size):
                other[k] -= hist[k]
            _search(
                other, features, active, params, numbers[large], reals[large], order, ratio, chosen[large]
            )
        _search(hist, features, active, params, numbers[small], reals[small], order, ratio, chosen[small])
        state[PHASE] = CHOOSE
