# mypy: ignore-errors
"""Grow one regression tree on binned rows: histograms, split search, partition, leaf by leaf.

Bins are packed: one byte of `bins[row, column]` may hold several small features in mixed radix
(code = bin_a + stride_b * bin_b), which saves histogram updates; `_unpack` splits the joint histogram again.
Histograms hold (gradient, hessian) pairs in float64; counts are estimated from hessians as LightGBM does.

The work on a leaf is cut into jobs of a few parts: ranges of rows for sums, histograms and partitions, the two
children for the search. One thread leads (`grow` with `helping` False), others may help: they take parts by an atomic
counter, without Python in between. Parts depend on the sizes alone and are put together in order, so the
result does not depend on the number of threads, nor on which of them did what.
"""

import numpy as np

from mlkit.atomics import atomic_add, atomic_read, atomic_write, give_way
from mlkit.jit import inline, jit_disabled, kernel, prefetch

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
TEAMS = not jit_disabled()  # without compiled atomic operations there are no helpers
# nodes, integers and reals
LEFT, NODE_FEATURE, NODE_THRESHOLD, NODE_MISSING_LEFT, NODE_SET, NODE_COUNT = range(6)
NODE_VALUE, NODE_GAIN, NODE_HESSIAN = range(3)


@inline
def _accumulate(bins, pairs, rows, start, end, whole, sizes, joint):
    """Fill the joint histograms of all columns with the (gradient, hessian) pairs of rows[start:end]."""
    one = np.uint64(1)
    columns = np.uint64(bins.shape[1])
    for c in range(columns):
        joint[c * 512 : c * 512 + 2 * sizes[c]] = 0.0
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
        for j in range(columns):
            at = (j << np.uint64(9)) + (np.uint64(row[j]) << one)
            joint[at] += g
            joint[at + one] += h


@inline
def _join(sizes, parts, joints):
    """Add the histograms of all parts to those of the first, in order."""
    for part in range(1, parts):
        for c in range(sizes.size):
            for k in range(c * 512, c * 512 + 2 * sizes[c]):
                joints[0, k] += joints[part, k]


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
def _note(numbers, reals, f, gain, gl, hl, extra_l2, threshold, missing_left, is_set):
    """Write down the best split so far."""
    reals[GAIN] = gain
    reals[LEFT_GRADIENT] = gl
    reals[LEFT_HESSIAN] = hl
    reals[EXTRA_L2] = extra_l2
    numbers[FEATURE] = f
    numbers[THRESHOLD] = threshold
    numbers[MISSING_LEFT] = missing_left
    numbers[IS_SET] = is_set


@inline
def _search_numeric(hist, feature, f, params, numbers, reals, shift):
    """Try every threshold of a numeric feature, missing values once to the right and once to the left."""
    at = feature[OFFSET] * 2
    bins, missing, monotone = feature[BINS], feature[MISSING], feature[MONOTONE]
    total_g, total_h, low, high = reals[GRADIENT], reals[HESSIAN], reals[LOW], reals[HIGH]
    bounded = low > -np.inf or high < np.inf
    l1, l2 = params[LAMBDA_L1], params[LAMBDA_L2]
    count = numbers[END] - numbers[START]
    per_hessian = count / total_h
    least = max((params[MIN_DATA] - 0.5) / per_hessian, params[MIN_HESSIAN])
    best = reals[GAIN]
    floor = best + shift
    simple = l1 == 0.0 and monotone == 0 and not bounded
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
                _note(numbers, reals, f, gain, gl, hl, 0.0, b, direction, 0)


@inline
def _search_categories(hist, feature, f, params, numbers, reals, shift, order, ratio, chosen):
    """Split categories one against the rest, or as a prefix of their order by gradient over hessian."""
    at = feature[OFFSET] * 2
    bins = feature[BINS] + feature[MISSING]
    total_g, total_h, low, high = reals[GRADIENT], reals[HESSIAN], reals[LOW], reals[HIGH]
    bounded = low > -np.inf or high < np.inf
    l1, l2 = params[LAMBDA_L1], params[LAMBDA_L2]
    count = numbers[END] - numbers[START]
    per_hessian = count / total_h
    least = max((params[MIN_DATA] - 0.5) / per_hessian, params[MIN_HESSIAN])
    best = reals[GAIN]
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
                _note(numbers, reals, f, gain, g, h, 0.0, 0, 0, 1)
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
                    _note(numbers, reals, f, gain, gl, hl, params[CAT_L2], 0, 0, 1)
    if length == 0 and alone < 0:
        return
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
def _divide(bins, column, goes_left, rows, start, end, lefts, rights):
    """Copy those of rows[start:end] that go left to lefts, the others to rights, from `start` on, in order.

    `lefts` may be `rows`. Returns how many go left.
    """
    one = np.uint64(1)
    front = np.uint64(start)
    others = np.uint64(start)
    column = np.uint64(column)
    for i in range(np.uint64(start), np.uint64(end)):
        r = rows[i]
        if i + np.uint64(24) < np.uint64(end):
            prefetch(bins, np.uint32(rows[i + np.uint64(24)]))
        left = np.uint64(goes_left[np.uint64(bins[np.uint32(r), column])])
        lefts[front] = r
        rights[others] = r
        front += left
        others += one - left
    return np.int64(front) - start


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


@inline
def _do_part(part, work):
    """Do one part of the current job."""
    (bins, pairs, features, active, sizes, params, rows, scratch, joints, hists, numbers, reals, chosen, goes_left,
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
    first = numbers[leaf, START]
    count = numbers[leaf, END] - first
    start = first + count * part // state[PARTS]
    end = first + count * (part + 1) // state[PARTS]
    others = rows if state[PARTS] == 1 else scratch[1]
    if job == COUNT:
        _accumulate(bins, pairs, rows, start, end, count == bins.shape[0], sizes, joints[part])
    elif job == DIVIDE:
        column = features[numbers[leaf, FEATURE], COLUMN]
        lefts[part] = _divide(bins, column, goes_left, rows, start, end, others, scratch[0])
    else:
        place = first + lefts[:part].sum()
        if state[PARTS] > 1:
            rows[place : place + lefts[part]] = scratch[1, start : start + lefts[part]]
        place = state[BORDER] + start - place
        stop = end - lefts[part]
        rows[place : place + stop - start] = scratch[0, start:stop]


@inline
def _take(team):
    """Return the number of a part that nobody has taken, -1 if there is none."""
    ticket = atomic_read(team, TICKET)
    if (ticket & 0xFFFF) >= ticket >> 16:
        return -1
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
    shared = parts > 1 and team[HELPED] == 1
    if shared:
        atomic_write(team, FINISHED, 0)
        atomic_write(team, TICKET, parts << 16)
    done = 0
    while True:
        part = _take(team) if shared else done
        if part < 0 or part == parts:
            break
        _do_part(part, work)
        done += 1
    if shared:
        atomic_add(team, FINISHED, done)
        waited = 0
        while atomic_read(team, FINISHED) < parts:
            waited = _wait(waited)


@kernel(
    "void(const u1[:,:], const f4[:,:], const i4[:,:], const u1[:], const i4[:], const f8[:], i4[:], i4[:,:], "
    "f8[:,:], f8[:,:], i8[:,:], f8[:,:], u1[:,:], u1[:], i4[:,:], f8[:,:], u8[:,:], i8[:], i8[:], i8[:], b1)"
)
def grow(bins, pairs, features, active, sizes, params, rows, scratch, joints, hists, numbers, reals, chosen,
         goes_left, node_numbers, node_reals, sets, state, lefts, team, helping):  # fmt: skip
    """Grow one tree leaf by leaf, or help the thread that does.

    bins uint8 [n, columns] packed; pairs float32 [n, 2]; features int32 [f, 7]; rows int32: those in use, in the end
    partitioned by leaf; scratch int32 [2, n]; joints float64 [parts, 512 * columns]; hists float64 [leaves, 2 * bins of
    all features]; numbers, reals: leaf tables; chosen uint8 [leaves, 256]; node tables of 2 * leaves - 1; sets
    uint64 [leaves, 4]; lefts int64 [parts]; team int64 [SHARED].
    """
    order = np.empty(256, np.int32)
    ratio = np.empty(256, np.float64)
    work = (bins, pairs, features, active, sizes, params, rows, scratch, joints, hists, numbers, reals, chosen,
            goes_left, state, lefts, order, ratio)  # fmt: skip
    if helping:
        idle = 0
        while atomic_read(team, STOP) == 0:
            part = _take(team)
            if part >= 0:
                _do_part(part, work)
                atomic_add(team, FINISHED, 1)
                idle = 0
            else:
                idle = _wait(idle)
        return
    most_parts = joints.shape[0]
    size = max(1, np.int64(params[PART_SIZE]) // bins.shape[1])
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
    parts = max(1, min(most_parts, rows.size // size))
    while True:
        _lead(job, parts, team, state, work)
        leaf = state[CHOSEN]
        if job == COUNT:
            _join(sizes, parts, joints)
            _unpack(features, active, sizes, joints[0], hists[numbers[state[SMALL], SLOT]])
            job = SEARCH
            parts = 1 if state[LARGE] < 0 else 2
            if state[LARGE] < 0:
                for k in range(sizes[0]):
                    reals[0, GRADIENT] += joints[0, 2 * k]
                    reals[0, HESSIAN] += joints[0, 2 * k + 1]
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
                if numbers[leaf, END] - numbers[leaf, START] > numbers[fresh, END] - numbers[fresh, START]:
                    small, large = fresh, leaf
                numbers[large, SLOT] = numbers[leaf, SLOT]
                numbers[small, SLOT] = fresh
                state[SMALL] = small
                state[LARGE] = large
                job = COUNT
                parts = max(1, min(most_parts, (numbers[small, END] - numbers[small, START]) // size))
        else:
            leaf = np.argmax(reals[: state[LEAVES], GAIN])
            if reals[leaf, GAIN] <= 0.0:
                break
            _mark_left(features[numbers[leaf, FEATURE]], numbers[leaf], chosen[leaf], goes_left)
            state[CHOSEN] = leaf
            job = DIVIDE
            parts = max(1, min(most_parts, (numbers[leaf, END] - numbers[leaf, START]) // (2 * size)))
    atomic_write(team, STOP, 1)
