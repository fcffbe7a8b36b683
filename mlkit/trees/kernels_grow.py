# mypy: ignore-errors
"""Grow one regression tree on binned rows: histograms, split search, partition, leaf by leaf.

Bins are packed: one byte of `bins[row, column]` may hold several small features in mixed radix
(code = bin_a + stride_b * bin_b), which saves histogram updates; `_unpack` splits the joint histogram again.
Histograms hold (gradient, hessian) pairs in float64; counts are estimated from hessians as LightGBM does.

The work on a leaf is cut into jobs of a few parts: ranges of columns for histograms, of rows for partitions, the two
children for the search. One thread leads (`grow` with `helping` False), others may help: they take parts by an atomic
counter, without Python in between. Every sum is made by one thread in the order of rows, so the result does not
depend on the number of threads or parts, nor on which of them did what.
"""

import numpy as np

from mlkit.jit import inline, jit_disabled, kernel, prefetch
from mlkit.jit.memory import atomic_add, atomic_read, atomic_write, give_way
from mlkit.jit.vectors import add_pair

# rows of the table of features
COLUMN, STRIDE, BINS, MISSING, CATEGORICAL, OFFSET, MONOTONE = range(7)
# parameters
(LAMBDA_L1, LAMBDA_L2, MIN_GAIN, MIN_DATA, MIN_HESSIAN, MAX_DEPTH, CAT_SMOOTH, CAT_L2, MAX_CAT,
 GROUP_DATA, ONE_HOT, PART_SIZE) = range(12)  # fmt: skip
# leaves, integers: span in `rows`, node, depth, histogram slot, best split
START, END, NODE, DEPTH, SLOT, FEATURE, THRESHOLD, MISSING_LEFT, IS_SET = range(9)
# leaves, reals: gradient, hessian, bounds of the output, best gain, left sums of the best split, its extra L2
GRADIENT, HESSIAN, LOW, HIGH, GAIN, LEFT_GRADIENT, LEFT_HESSIAN, EXTRA_L2 = range(8)
# state
LEAVES, NODES, SMALL, LARGE, CHOSEN, BORDER, JOB, PARTS = range(8)
COUNT, SEARCH, DIVIDE, GATHER = range(4)  # jobs
# what threads share: the number of parts and the next part in one number, the parts done, the end
TICKET, FINISHED, STOP, HELPED = 0, 8, 16, 24
SHARED = 32
PATIENCE = 4000
AHEAD = np.uint64(24)  # rows between asking for a row and its use, in
BLOCK = 64  # thresholds that are looked at together
FAR = 1 << 20  # bytes of bins that the cache next to the core does not hold
TEAMS = not jit_disabled()  # without compiled atomic operations there are no helpers
# nodes, integers and reals
LEFT, NODE_FEATURE, NODE_THRESHOLD, NODE_MISSING_LEFT, NODE_SET, NODE_COUNT = range(6)
NODE_VALUE, NODE_GAIN, NODE_HESSIAN = range(3)


@inline
def _accumulate(bins, pairs, rows, start, end, whole, sizes, first, last, joint):
    """Fill the joint histograms of columns first..last-1 with the (gradient, hessian) pairs of rows[start:end]."""
    for c in range(first, last):
        joint[c * 512 : c * 512 + 2 * sizes[c]] = 0.0
    far = bins.size > FAR
    for i in range(np.uint64(start), np.uint64(end)):
        r = np.uint32(i)
        if not whole:
            r = np.uint32(rows[i])
            if far and i + AHEAD < np.uint64(end):
                ahead = np.uint32(rows[i + AHEAD])
                prefetch(bins, ahead)
                prefetch(pairs, ahead)
        g = np.float64(pairs[r, 0])
        h = np.float64(pairs[r, 1])
        row = bins[r]
        for j in range(np.uint64(first), np.uint64(last)):
            add_pair(joint, (j << np.uint64(9)) + (np.uint64(row[j]) << np.uint64(1)), g, h)


@inline
def _run(source, begin, out, at, size):
    """Write the running sums of `size` numbers of pairs."""
    g = 0.0
    h = 0.0
    for k in range(np.uint64(0), size, np.uint64(2)):
        g += source[begin + k]
        h += source[begin + k + np.uint64(1)]
        out[at + k] = g
        out[at + k + np.uint64(1)] = h


@inline
def _unpack(features, active, sizes, first, last, joint, out):
    """Split the histograms of columns first..last-1 by feature; numbers get running sums, but for missing values."""
    one, two = np.uint64(1), np.uint64(2)
    for f in range(features.shape[0]):
        if active[f] == 0 or features[f, COLUMN] < first or features[f, COLUMN] >= last:
            continue
        stride = two * np.uint64(features[f, STRIDE])
        bins = two * np.uint64(features[f, BINS])
        width = bins + two * np.uint64(features[f, MISSING])
        size = two * np.uint64(sizes[features[f, COLUMN]])
        base = np.uint64(features[f, COLUMN] * 512)
        at = two * np.uint64(features[f, OFFSET])
        if stride == two and width == size:
            begin = np.uint64(0)
            if features[f, CATEGORICAL] == 0:
                _run(joint, base, out, at, bins)
                begin = bins
            for k in range(begin, width):
                out[at + k] = joint[base + k]
            continue
        for k in range(width):
            out[at + k] = 0.0
        code = base
        while code < base + size:
            for b in range(at, at + width, two):
                for k in range(code, code + stride, two):
                    add_pair(out, b, joint[k], joint[k + one])
                code += stride
        if features[f, CATEGORICAL] == 0:
            _run(out, at, out, at, bins)


@inline
def _shrink(gradient, l1):
    """Soft threshold of the L1 penalty."""
    return max(gradient - l1, 0.0) + min(gradient + l1, 0.0)


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
def _note(numbers, reals, f, gain, gl, hl, extra_l2, threshold, missing_left, is_set):
    """Write down the best split so far."""
    reals[GAIN], reals[LEFT_GRADIENT], reals[LEFT_HESSIAN], reals[EXTRA_L2] = gain, gl, hl, extra_l2
    numbers[FEATURE], numbers[THRESHOLD] = f, threshold
    numbers[MISSING_LEFT], numbers[IS_SET] = missing_left, is_set


@inline
def _better(gl, hl, gr, hr, l2, floor):
    """Say whether two children are worth more than `floor`, without division."""
    p = hl + l2
    q = hr + l2
    return gl * gl * q + gr * gr * p > floor * (p * q)


@inline
def _least_hessian(params, numbers, hessian):
    """Return the least hessian of a child: that of the fewest rows it may have, and the least that is asked for."""
    return max((params[MIN_DATA] - 0.5) * hessian / _rows(numbers), params[MIN_HESSIAN])


@inline
def _any_better(hist, begin, end, missing_g, missing_h, total_g, total_h, l2, least, floor):
    """Say whether a threshold is worth more than `floor`: no division, no branch, many bins at a time."""
    found = 0
    for k in range(np.uint64(begin), np.uint64(end), np.uint64(2)):
        gl = hist[k] + missing_g
        hl = hist[k + np.uint64(1)] + missing_h
        hr = total_h - hl
        found += np.int64(_better(gl, hl, total_g - gl, hr, l2, floor) & (hl >= least) & (hr >= least))
    return found > 0


@inline
def _search_numbers(hist, features, active, params, numbers, reals, shift):
    """Try every threshold of the numeric features, missing values once to the right and once to the left."""
    total_g, total_h, low, high = reals[GRADIENT], reals[HESSIAN], reals[LOW], reals[HIGH]
    bounded = low > -np.inf or high < np.inf
    l1, l2 = params[LAMBDA_L1], params[LAMBDA_L2]
    least = _least_hessian(params, numbers, total_h)
    for f in range(features.shape[0]):
        if active[f] == 0 or features[f, CATEGORICAL] == 1:
            continue
        at = 2 * np.int64(features[f, OFFSET])
        bins, missing, monotone = np.int64(features[f, BINS]), features[f, MISSING], features[f, MONOTONE]
        simple = l1 == 0.0 and monotone == 0 and not bounded
        for direction in range(1 + missing):
            last = bins if missing == 1 and direction == 0 else bins - 1
            missing_g = hist[at + 2 * bins] if direction == 1 else 0.0
            missing_h = hist[at + 2 * bins + 1] if direction == 1 else 0.0
            for first in range(0, last, BLOCK):
                begin = at + 2 * first
                end = at + 2 * min(first + BLOCK, last)
                best = reals[GAIN]
                if simple and not _any_better(hist, begin, end, missing_g, missing_h, total_g, total_h, l2, least,
                                              best + shift):  # fmt: skip
                    continue
                for k in range(np.uint64(begin), np.uint64(end), np.uint64(2)):
                    gl = hist[k] + missing_g
                    hl = hist[k + np.uint64(1)] + missing_h
                    gr = total_g - gl
                    hr = total_h - hl
                    if hl < least or hr < least or (simple and not _better(gl, hl, gr, hr, l2, best + shift)):
                        continue
                    gain = _gain(gl, hl, gr, hr, l1, l2, low, high, monotone, bounded) - shift
                    if gain > best:
                        best = gain
                        threshold = (np.int64(k) - at) >> 1
                        _note(numbers, reals, f, gain, gl, hl, 0.0, threshold, direction, 0)


@inline
def _search_categories(hist, features, active, params, numbers, reals, shift, order, ratio, chosen):
    """Split categories one against the rest, or as a prefix of their order by gradient over hessian."""
    total_g, total_h, low, high = reals[GRADIENT], reals[HESSIAN], reals[LOW], reals[HIGH]
    bounded = low > -np.inf or high < np.inf
    l1, l2, l2_more = params[LAMBDA_L1], params[LAMBDA_L2], params[CAT_L2]
    smooth, group = params[CAT_SMOOTH], params[GROUP_DATA]
    per_hessian = _rows(numbers) / total_h
    least = _least_hessian(params, numbers, total_h)
    best = reals[GAIN]
    for f in range(features.shape[0]):
        if active[f] == 0 or features[f, CATEGORICAL] == 0:
            continue
        at = np.uint64(2 * features[f, OFFSET])
        bins = features[f, BINS] + features[f, MISSING]
        one_hot = bins <= params[ONE_HOT]
        length = 0
        backwards = False
        used = 0
        for b in range(bins):
            g = hist[at + np.uint64(2 * b)]
            h = hist[at + np.uint64(2 * b + 1)]
            if one_hot:
                if h < least or total_h - h < least:
                    continue
                gain = _gain(g, h, total_g - g, total_h - h, l1, l2, low, high, 0, bounded) - shift
                if gain > best:
                    best = gain
                    order[0] = b
                    length = 1
                    _note(numbers, reals, f, gain, g, h, 0.0, 0, 0, 1)
            elif h * per_hessian + 0.5 >= smooth:
                key = g / (h + smooth)
                k = np.uint64(used)
                while k > 0 and ratio[k - np.uint64(1)] > key:
                    ratio[k] = ratio[k - np.uint64(1)]
                    order[k] = order[k - np.uint64(1)]
                    k -= np.uint64(1)
                ratio[k] = key
                order[k] = b
                used += 1
        for direction in range(2):
            gl = 0.0
            hl = 0.0
            since = 0.0
            for k in range(min(np.int64(params[MAX_CAT]), (used + 1) // 2)):
                b = np.uint64(2 * (order[k] if direction == 0 else order[used - 1 - k]))
                gl += hist[at + b]
                hl += hist[at + b + np.uint64(1)]
                since += hist[at + b + np.uint64(1)] * per_hessian
                if hl < least:
                    continue
                hr = total_h - hl
                if hr < least or hr * per_hessian < group - 0.5:
                    break
                if since < group - 0.5:
                    continue
                since = 0.0
                gain = _gain(gl, hl, total_g - gl, hr, l1, l2 + l2_more, low, high, 0, bounded) - shift
                if gain > best:
                    best = gain
                    length = k + 1
                    backwards = direction == 1
                    _note(numbers, reals, f, gain, gl, hl, l2_more, 0, 0, 1)
        if length > 0:
            chosen[:] = 0
            for k in range(length):
                chosen[order[used - 1 - k] if backwards else order[k]] = 1


@inline
def _search(hist, features, active, params, numbers, reals, order, ratio, chosen):
    """Find the best split of one leaf; a gain of 0 stays when there is none."""
    reals[GAIN] = 0.0
    numbers[FEATURE] = -1
    if not _splittable(params, numbers):
        return
    g, h, low, high = reals[GRADIENT], reals[HESSIAN], reals[LOW], reals[HIGH]
    l1, l2 = params[LAMBDA_L1], params[LAMBDA_L2]
    if low > -np.inf or high < np.inf:
        kept = _worth(g, h, _output(g, h, l1, l2, low, high), l1, l2)
    else:
        kept = _shrink(g, l1) * _shrink(g, l1) / (h + l2)
    shift = params[MIN_GAIN] + kept
    reals[GAIN] = 1e-13 * abs(shift)  # less is rounding
    _search_numbers(hist, features, active, params, numbers, reals, shift)
    _search_categories(hist, features, active, params, numbers, reals, shift, order, ratio, chosen)
    if numbers[FEATURE] < 0:
        reals[GAIN] = 0.0


@inline
def _rows(numbers):
    """Return the number of rows of a leaf."""
    return numbers[END] - numbers[START]


@inline
def _splittable(params, numbers):
    """Say whether a leaf is large and shallow enough to be split."""
    deep = params[MAX_DEPTH] > 0 and numbers[DEPTH] >= params[MAX_DEPTH]
    return not deep and _rows(numbers) >= max(2.0, 2.0 * params[MIN_DATA])


@inline
def _divide(bins, column, goes_left, rows, start, end, scratch):
    """Copy those of rows[start:end] that go left to scratch[start:], the others to its end, backwards."""
    one = np.uint64(1)
    front = np.uint64(start)
    free = np.uint64(end - start - 1)  # places between the two
    column = np.uint64(column)
    far = bins.size > FAR
    for i in range(np.uint64(start), np.uint64(end)):
        r = rows[i]
        if far and i + AHEAD < np.uint64(end):
            prefetch(bins, np.uint32(rows[i + AHEAD]))
        left = np.uint64(goes_left[np.uint64(bins[np.uint32(r), column])])
        scratch[front + (free & (left - one))] = r
        front += left
        free -= one
    return np.int64(front) - start


@inline
def _gather(scratch, start, end, left, rows, first, second):
    """Bring what `_divide` made of a part back to rows: the first `left` to `first`, the others to `second`."""
    start, end, left = np.uint64(start), np.uint64(end), np.uint64(left)
    first, second = np.uint64(first), np.uint64(second)
    for k in range(left):
        rows[first + k] = scratch[start + k]
    for k in range(end - start - left):
        rows[second + k] = scratch[end - np.uint64(1) - k]


@inline
def _mark_left(feature, size, numbers, chosen, goes_left):
    """Tabulate for every joint code of the feature's column (`size` codes) whether it goes left."""
    stride = np.int64(feature[STRIDE])
    bins = np.int64(feature[BINS])
    width = bins + np.int64(feature[MISSING])
    if numbers[IS_SET] == 1:
        goes_left[:width] = chosen[:width]
    else:
        goes_left[: numbers[THRESHOLD] + 1] = 1
        goes_left[numbers[THRESHOLD] + 1 : bins] = 0
        if width > bins:
            goes_left[bins] = numbers[MISSING_LEFT]
    if stride == 1 and width == size:
        return
    # from the last code to the first: what is read has not been written over
    code = size
    while code > 0:
        for b in range(width - 1, -1, -1):
            side = goes_left[b]
            for _ in range(stride):
                code -= 1
                goes_left[code] = side


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
        sets[made, :] = np.uint64(0)
        for b in range(feature[BINS]):
            if chosen[b] == 1:
                sets[made, b >> 6] |= np.uint64(1) << np.uint64(b & 63)


@inline
def _begin_leaf(leaf, numbers, reals, node_numbers, node_reals, params, extra_l2):
    """Write a fresh leaf's value, count and hessian to its node."""
    node = numbers[leaf, NODE]
    node_numbers[node, LEFT] = 0
    node_numbers[node, NODE_COUNT] = _rows(numbers[leaf])
    g, h, low, high = reals[leaf, GRADIENT], reals[leaf, HESSIAN], reals[leaf, LOW], reals[leaf, HIGH]
    node_reals[node, NODE_HESSIAN] = h
    node_reals[node, NODE_VALUE] = _output(g, h, params[LAMBDA_L1], params[LAMBDA_L2] + extra_l2, low, high)


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
    parent[DEPTH] += 1
    numbers[fresh, :] = parent
    reals[fresh, :] = reals[leaf]
    parent[END] = border
    parent[NODE] = child
    numbers[fresh, START] = border
    numbers[fresh, NODE] = child + 1
    reals[leaf, GRADIENT] = gl
    reals[leaf, HESSIAN] = hl
    reals[fresh, GRADIENT] -= gl
    reals[fresh, HESSIAN] -= hl
    _begin_leaf(leaf, numbers, reals, node_numbers, node_reals, params, extra)
    _begin_leaf(fresh, numbers, reals, node_numbers, node_reals, params, extra)
    monotone = feature[MONOTONE]
    if monotone != 0:
        middle = 0.5 * (node_reals[child, NODE_VALUE] + node_reals[child + 1, NODE_VALUE])
        reals[leaf, HIGH if monotone > 0 else LOW] = middle
        reals[fresh, LOW if monotone > 0 else HIGH] = middle


@inline
def _do_part(part, work):
    """Do one part of the current job."""
    (bins, pairs, features, active, sizes, params, rows, scratch, joint, hists, numbers, reals, chosen, goes_left,
     state, lefts, order, ratio) = work  # fmt: skip
    job = state[JOB]
    small = state[SMALL]
    if job == SEARCH:
        leaf = small if part == 0 else state[LARGE]
        hist = hists[numbers[leaf, SLOT]]
        if part == 1:
            other = hists[numbers[small, SLOT]]
            for k in range(hist.size):
                hist[k] -= other[k]
        _search(hist, features, active, params, numbers[leaf], reals[leaf], order, ratio, chosen[leaf])
        return
    leaf = small if job == COUNT else state[CHOSEN]
    begin = numbers[leaf, START]
    count = numbers[leaf, END] - begin
    start = begin + count * part // state[PARTS]
    end = begin + count * (part + 1) // state[PARTS]
    if job == COUNT:
        first = sizes.size * part // state[PARTS]
        last = sizes.size * (part + 1) // state[PARTS]
        end = begin + count
        _accumulate(bins, pairs, rows, begin, end, count == bins.shape[0], sizes, first, last, joint)
        _unpack(features, active, sizes, first, last, joint, hists[numbers[leaf, SLOT]])
    elif job == DIVIDE:
        column = features[numbers[leaf, FEATURE], COLUMN]
        lefts[part] = _divide(bins, column, goes_left, rows, start, end, scratch)
    else:
        to = begin + lefts[:part].sum()
        _gather(scratch, start, end, lefts[part], rows, to, state[BORDER] + start - to)


@inline
def _take(team):
    """Return the number of a part that nobody has taken, -1 if there is none."""
    ticket = atomic_read(team, TICKET)
    if (ticket & 0xFFFF) < ticket >> 16:
        ticket = atomic_add(team, TICKET, 1)
    part = ticket & 0xFFFF
    return part if part < ticket >> 16 else -1


@inline
def _wait(waited):
    """Count another look at a number that another thread is to change; give way after many."""
    if waited > PATIENCE:
        give_way()
    return waited + 1


@inline
def _lead(job, parts, team, state, work):
    """Do a job, with those who help; return when all its parts are done."""
    state[JOB] = job
    state[PARTS] = parts
    shared = parts > 1 and team[HELPED] > 0
    if shared:
        atomic_write(team, FINISHED, 0)
        atomic_write(team, TICKET, parts << 16)
    done = 0
    part = _take(team) if shared else 0
    while 0 <= part < parts:
        _do_part(part, work)
        done += 1
        part = _take(team) if shared else done
    if shared:
        atomic_add(team, FINISHED, done)
        waited = 0
        while atomic_read(team, FINISHED) < parts:
            waited = _wait(waited)


@kernel(
    "void(const u1[:,:], const f4[:,:], const i4[:,:], const u1[:], const i4[:], const f8[:], i4[:], i4[:], "
    "f8[:], f8[:,:], i8[:,:], f8[:,:], u1[:,:], u1[:], i4[:,:], f8[:,:], u8[:,:], i8[:], i8[:], i8[:], b1)"
)
def grow(bins, pairs, features, active, sizes, params, rows, scratch, joint, hists, numbers, reals, chosen,
         goes_left, node_numbers, node_reals, sets, state, lefts, team, helping):  # fmt: skip
    """Grow one tree leaf by leaf, or help the thread that does.

    bins uint8 [n, columns] packed; pairs float32 [n, 2]; features int32 [f, 7]; rows int32: those in use, in the end
    partitioned by leaf; scratch int32 [n]; joint float64 [512 * columns]; hists float64 [leaves, 2 * bins of
    all features]; numbers, reals: leaf tables; chosen uint8 [leaves, 256]; node tables of 2 * leaves - 1; sets
    uint64 [leaves, 4]; lefts int64 [parts]; team int64 [SHARED].
    """
    order = np.empty(256, np.int32)
    ratio = np.empty(256, np.float64)
    work = (bins, pairs, features, active, sizes, params, rows, scratch, joint, hists, numbers, reals, chosen,
            goes_left, state, lefts, order, ratio)  # fmt: skip
    if helping:
        idle = 0
        while atomic_read(team, STOP) == 0:
            part = _take(team)
            idle = 0 if part >= 0 else _wait(idle)
            if part >= 0:
                _do_part(part, work)
                atomic_add(team, FINISHED, 1)
        return
    most = min(team[HELPED] + 1, lefts.size)
    size = max(1, np.int64(params[PART_SIZE]) // sizes.size)
    numbers[0, :] = 0
    numbers[0, END] = rows.size
    reals[0, :] = 0.0
    reals[0, LOW] = -np.inf
    reals[0, HIGH] = np.inf
    state[:] = 0
    state[LEAVES] = 1
    state[NODES] = 1
    state[LARGE] = -1
    job = COUNT
    parts = max(1, min(most, sizes.size, rows.size // size))
    while True:
        _lead(job, parts, team, state, work)
        leaf = state[CHOSEN]
        if job == COUNT:
            job = SEARCH
            parts = 1 if state[LARGE] < 0 else 2
            if parts == 1:
                for k in range(sizes[0]):
                    reals[0, GRADIENT] += joint[2 * k]
                    reals[0, HESSIAN] += joint[2 * k + 1]
                _begin_leaf(0, numbers, reals, node_numbers, node_reals, params, 0.0)
        elif job == DIVIDE:
            state[BORDER] = numbers[leaf, START] + lefts[:parts].sum()
            job = GATHER
        elif job == GATHER:
            job = SEARCH
            parts = 0
            fresh = state[LEAVES]
            _split(leaf, fresh, state[BORDER], features, numbers, reals, chosen, node_numbers, node_reals, sets, state,
                   params, fresh - 1)  # fmt: skip
            state[LEAVES] += 1
            reals[leaf, GAIN] = 0.0
            reals[fresh, GAIN] = 0.0
            if state[LEAVES] == numbers.shape[0]:
                break
            if _splittable(params, numbers[leaf]) or _splittable(params, numbers[fresh]):
                # the smaller child is counted, the larger is the parent less the smaller
                small, large = leaf, fresh
                if _rows(numbers[leaf]) > _rows(numbers[fresh]):
                    small, large = fresh, leaf
                numbers[large, SLOT] = numbers[leaf, SLOT]
                numbers[small, SLOT] = fresh
                state[SMALL] = small
                state[LARGE] = large
                job = COUNT
                parts = max(1, min(most, sizes.size, _rows(numbers[small]) // size))
        else:
            leaf = np.argmax(reals[: state[LEAVES], GAIN])
            if reals[leaf, GAIN] <= 0.0:
                break
            feature = features[numbers[leaf, FEATURE]]
            _mark_left(feature, sizes[feature[COLUMN]], numbers[leaf], chosen[leaf], goes_left)
            state[CHOSEN] = leaf
            job = DIVIDE
            parts = max(1, min(most, 2 * _rows(numbers[leaf]) // np.int64(params[PART_SIZE])))
    atomic_write(team, STOP, 1)
