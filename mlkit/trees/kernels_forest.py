# mypy: ignore-errors
"""Grow deep trees for bagging and random forests: depth first, best of a few features at every node.

Two classes are regression on 0 and 1 (Gini's gain is twice the variance's). Categories have been put into the
order of their mean target, so every split is a threshold; missing values (bin 255) are tried on both sides.
Small nodes sort their rows, larger ones count them by bin.
"""

import numpy as np

from mlkit.jit import REASSOCIATE, inline, kernel
from mlkit.jit.vectors import add_pair

MAX_DEPTH, MIN_SPLIT, MIN_LEAF, FEATURES_PER_NODE, RANDOM_THRESHOLDS = range(5)
SORT_BELOW = 40
MISSING = 255


@inline
def _next(state):
    """Advance a splitmix64 state and return 32 random bits."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(32))


@inline
def _below(state, limit):
    """Return a random integer below `limit`."""
    return (_next(state) * limit) >> 32


@inline
def _sort_keys(keys, count):
    """Sort a few keys by insertion."""
    for i in range(1, count):
        key = keys[i]
        k = i
        while k > 0 and keys[k - 1] > key:
            keys[k] = keys[k - 1]
            k -= 1
        keys[k] = key


@inline
def _sorts(count, width):
    """Say whether sorting a node's rows is cheaper than counting them in `width` bins."""
    return count <= SORT_BELOW and count * count <= 4 * width + 64


@inline
def _spread(column, rows, start, end, node_bins):
    """Copy a node's bins and return the smallest and largest that are not missing, and whether any is missing."""
    one, full = np.uint64(1), np.uint64(MISSING)
    low, top, high = full, np.uint64(0), np.uint64(0)
    for i in range(np.uint64(end - start)):
        b = np.uint64(column[np.uint32(rows[np.uint64(start) + i])])
        node_bins[i] = b
        low = min(low, b)
        top = max(top, b)
        high = max(high, (b + one) & full)  # missing values count as 0
    return np.int64(low), np.int64(high) - 1, np.int64(top == full)


@inline
def _partition(
    node_bins, threshold, missing_left, rows, weights, targets, start, end, spare_rows, spare_a, spare_b
):
    """Move rows (with their weights and targets) that go left to the front, in order; return the border."""
    border = np.uint64(start)
    others = np.uint64(0)
    for i in range(np.uint64(start), np.uint64(end)):
        b = np.int64(node_bins[i - np.uint64(start)])
        left = np.uint64(1) if b <= threshold or (missing_left and b == MISSING) else np.uint64(0)
        r = rows[i]
        w = weights[i]
        s = targets[i]
        rows[border] = r
        weights[border] = w
        targets[border] = s
        spare_rows[others] = r
        spare_a[others] = w
        spare_b[others] = s
        border += left
        others += np.uint64(1) - left
    for i in range(others):
        rows[border + i] = spare_rows[i]
        weights[border + i] = spare_a[i]
        targets[border + i] = spare_b[i]
    return np.int64(border)


@inline
def _best_of_means(node_bins, count, weights, targets, start, low, high, missing, hist, keys, least, total_w, total_s,
                   floor, best):  # fmt: skip
    """Find the threshold that leaves least variance; write (score, threshold, missing left) to `best`."""
    sorting = _sorts(count, high - low)
    if sorting:
        for i in range(count):
            keys[i] = (np.int64(node_bins[i]) << 8) | i
        _sort_keys(keys, count)
    else:
        for k in range(2 * low, 2 * high + 2):
            hist[k] = 0.0
        hist[510] = 0.0
        hist[511] = 0.0
        for i in range(np.uint64(count)):
            w = np.float64(weights[np.uint64(start) + i])
            add_pair(hist, np.uint64(node_bins[i]) << np.uint64(1), w, w * targets[np.uint64(start) + i])
    for direction in range(1 + missing):
        wl = 0.0
        sl = 0.0
        if sorting:
            present = count
            if missing == 1:
                while present > 0 and keys[present - 1] >> 8 == MISSING:
                    present -= 1
                    if direction == 1:
                        wl += weights[start + (keys[present] & 255)]
                        sl += (
                            np.float64(weights[start + (keys[present] & 255)])
                            * targets[start + (keys[present] & 255)]
                        )
            for i in range(present):
                at = start + (keys[i] & 255)
                wl += weights[at]
                sl += np.float64(weights[at]) * targets[at]
                b = keys[i] >> 8
                if i + 1 < present:
                    if keys[i + 1] >> 8 == b:
                        continue
                elif direction == 1 or missing == 0:
                    break
                wr = total_w - wl
                if wl < least or wr < least:
                    continue
                sr = total_s - sl
                score = sl * sl / wl + sr * sr / wr
                if score > floor:
                    floor = score
                    best[0] = score
                    best[1] = b
                    best[2] = direction
        else:
            if direction == 1:
                wl = hist[510]
                sl = hist[511]
            last = high if direction == 1 or missing == 0 else high + 1
            for b in range(low, last):
                wl += hist[np.uint64(2 * b)]
                sl += hist[np.uint64(2 * b + 1)]
                wr = total_w - wl
                if wl < least or wr < least:
                    continue
                sr = total_s - sl
                if (sl * sl * wr + sr * sr * wl) > floor * (wl * wr):
                    score = sl * sl / wl + sr * sr / wr
                    if score > floor:
                        floor = score
                        best[0] = score
                        best[1] = b
                        best[2] = direction
    return floor


@inline
def _random_of_means(node_bins, count, weights, targets, start, low, high, missing, least, total_w, total_s, floor,
                     best, state):  # fmt: skip
    """Try one random threshold (extremely randomised trees), missing values on a random side."""
    threshold = low + _below(state, high - low) if high > low else low
    direction = _next(state) & 1 if missing == 1 and high > low else 0
    wl = 0.0
    sl = 0.0
    for i in range(count):
        b = np.int64(node_bins[i])
        if b <= threshold or (direction == 1 and b == MISSING):
            wl += weights[start + i]
            sl += np.float64(weights[start + i]) * targets[start + i]
    wr = total_w - wl
    if wl < least or wr < least or wl <= 0.0 or wr <= 0.0:
        return floor
    sr = total_s - sl
    score = sl * sl / wl + sr * sr / wr
    if score > floor:
        best[0] = score
        best[1] = threshold
        best[2] = direction
        return score
    return floor


@kernel(
    "i8(const u1[:,:], i4[:], f4[:], f4[:], f8[:], u8[:], i4[:], u2[:], u1[:], u1[:], f4[:], f4[:], i4[:])"
)
def grow_means(
    bins, rows, weights, targets, params, state, left, feature, threshold, missing, value, gain, counts
):
    """Grow one regression tree; return its number of nodes.

    bins uint8 [features, all rows]; rows int32: those in the sample; weights float32 and targets float32 in
    the order of rows, all three reordered; params float64 [5]; state uint64 [1]; node arrays of 2 * rows - 1
    places as in `ensemble.Tree`.
    """
    features = bins.shape[0]
    order = np.arange(features)
    hist = np.zeros(512, np.float64)
    keys = np.empty(SORT_BELOW, np.int64)
    best = np.zeros(3, np.float64)
    node_bins = np.empty(rows.size, np.uint8)
    chosen_bins = np.empty(rows.size, np.uint8)
    spare_rows = np.empty(rows.size, np.int32)
    spare_a = np.empty(rows.size, np.float32)
    spare_b = np.empty(rows.size, np.float32)
    stack = np.empty((rows.size + 130, 4), np.int64)
    depth_limit = np.int64(params[MAX_DEPTH])
    min_split = max(np.int64(params[MIN_SPLIT]), 2)
    least = params[MIN_LEAF]
    wanted = np.int64(params[FEATURES_PER_NODE])
    random = params[RANDOM_THRESHOLDS] > 0.0
    stack[0, 0] = 0
    stack[0, 1] = rows.size
    stack[0, 2] = 0
    stack[0, 3] = 0
    top = 1
    nodes = 1
    while top > 0:
        top -= 1
        start = stack[top, 0]
        end = stack[top, 1]
        node = stack[top, 2]
        depth = stack[top, 3]
        count = end - start
        total_w = 0.0
        total_s = 0.0
        total_squares = 0.0
        pure = True
        first = targets[start]
        for i in range(start, end):
            total_w += weights[i]
            total_s += np.float64(weights[i]) * targets[i]
            total_squares += np.float64(weights[i]) * targets[i] * targets[i]
            if targets[i] != first:
                pure = False
        left[node] = 0
        feature[node] = 0
        threshold[node] = 0
        missing[node] = 0
        gain[node] = 0.0
        value[node] = total_s / total_w
        counts[node] = count
        if pure or count < min_split or (depth_limit > 0 and depth >= depth_limit) or total_w < 2.0 * least:
            continue
        base = total_s * total_s / total_w
        floor = -1.0  # a split without gain is taken too: what follows may gain (exclusive or)
        chosen = -1
        tried = 0
        for k in range(features):
            if tried >= wanted:
                break
            pick = k + _below(state, features - k)
            f = order[pick]
            order[pick] = order[k]
            order[k] = f
            low, high, some = _spread(bins[f], rows, start, end, node_bins)
            if high < low or (low == high and some == 0):
                continue
            tried += 1
            if random:
                score = _random_of_means(node_bins, count, weights, targets, start, low, high, some, least,
                                         total_w, total_s, floor, best, state)  # fmt: skip
            else:
                score = _best_of_means(node_bins, count, weights, targets, start, low, high, some, hist, keys,
                                       least, total_w, total_s, floor, best)  # fmt: skip
            if score > floor:
                floor = score
                chosen = f
                node_bins, chosen_bins = chosen_bins, node_bins
                if score >= total_squares * (1.0 - 1e-12):
                    break  # both sides are pure: no feature does better
        if chosen < 0:
            continue
        missing_left = best[2] > 0.0
        border = _partition(chosen_bins, best[1], missing_left, rows, weights, targets, start, end, spare_rows,
                            spare_a, spare_b)  # fmt: skip
        left[node] = nodes - node
        feature[node] = chosen
        threshold[node] = np.uint8(best[1])
        missing[node] = MISSING if missing_left else 0
        gain[node] = max(floor - base, 0.0)
        stack[top, 0] = border
        stack[top, 1] = end
        stack[top, 2] = nodes + 1
        stack[top, 3] = depth + 1
        stack[top + 1, 0] = start
        stack[top + 1, 1] = border
        stack[top + 1, 2] = nodes
        stack[top + 1, 3] = depth + 1
        top += 2
        nodes += 2
    return nodes


@inline
def _sort_rows(node_bins, count, places, sorted_rows):
    """Sort a node's rows by bin (counting); `places` has room for 257 counts."""
    for b in range(257):
        places[b] = 0
    for i in range(count):
        places[np.uint64(node_bins[i]) + np.uint64(1)] += 1
    for b in range(256):
        places[b + 1] += places[b]
    for i in range(count):
        b = np.uint64(node_bins[i])
        sorted_rows[places[b]] = i
        places[b] += 1


@inline
def _best_of_classes(node_bins, count, weights, classes, start, missing, least, totals, total_w, total_q, lefts,
                     keys, places, sorted_rows, floor, best):  # fmt: skip
    """Find the threshold of least Gini impurity; sums of squares are kept up to date row by row."""
    if count <= SORT_BELOW:
        for i in range(count):
            keys[i] = (np.int64(node_bins[i]) << 8) | i
        _sort_keys(keys, count)
        for i in range(count):
            sorted_rows[i] = keys[i] & 255
    else:
        _sort_rows(node_bins, count, places, sorted_rows)
    present = count
    while present > 0 and node_bins[sorted_rows[present - 1]] == MISSING:
        present -= 1
    for direction in range(1 + missing):
        lefts[:] = 0.0
        wl = 0.0
        ql = 0.0
        qr = total_q
        begin = -(count - present) if direction == 1 else 0
        for place in range(begin, present):
            i = sorted_rows[place] if place >= 0 else sorted_rows[count + place]
            w = np.float64(weights[start + i])
            c = np.int64(classes[start + i])
            here = lefts[c]
            ql += w * (2.0 * here + w)
            qr -= w * (2.0 * (totals[c] - here) - w)
            lefts[c] = here + w
            wl += w
            if place < 0:
                continue
            b = node_bins[i]
            if place + 1 < present:
                if node_bins[sorted_rows[place + 1]] == b:
                    continue
            elif direction == 1 or missing == 0:
                break
            wr = total_w - wl
            if wl < least or wr < least:
                continue
            if ql * wr + qr * wl > floor * (wl * wr):
                score = ql / wl + qr / wr
                if score > floor:
                    floor = score
                    best[0] = score
                    best[1] = b
                    best[2] = direction
    return floor


@inline(fastmath=REASSOCIATE)
def _squares(counted, totals, lefts):
    """Add a bin's counts to the left side; return the sums of squares of both sides."""
    ql = 0.0
    qr = 0.0
    for c in range(counted.size):
        here = lefts[c] + counted[c]
        lefts[c] = here
        ql += here * here
        there = totals[c] - here
        qr += there * there
    return ql, qr


@inline(fastmath=REASSOCIATE)
def _total(counted):
    """Return the sum of a bin's counts."""
    total = 0.0
    for c in range(counted.size):
        total += counted[c]
    return total


@inline
def _counted_classes(node_bins, count, weights, classes, start, low, high, missing, least, totals, total_w, lefts,
                     table, floor, best):  # fmt: skip
    """Find the threshold of least Gini impurity from counts by bin and class."""
    table[low : high + 1] = 0.0
    table[MISSING] = 0.0
    begin = np.uint64(start)
    for i in range(np.uint64(count)):
        table[np.uint64(node_bins[i]), np.uint64(classes[begin + i])] += np.float64(weights[begin + i])
    for direction in range(1 + missing):
        lefts[:] = 0.0
        wl = 0.0
        if direction == 1:
            lefts[:] = table[MISSING]
            wl = _total(table[MISSING])
        last = high if direction == 1 or missing == 0 else high + 1
        for b in range(low, last):
            weight = _total(table[b])
            if weight == 0.0:
                continue
            wl += weight
            ql, qr = _squares(table[b], totals, lefts)
            wr = total_w - wl
            if wl < least or wr < least:
                continue
            score = ql / wl + qr / wr
            if score > floor:
                floor = score
                best[0] = score
                best[1] = b
                best[2] = direction
    return floor


@inline
def _random_of_classes(node_bins, count, weights, classes, start, low, high, missing, least, totals, total_w, lefts,
                       floor, best, state):  # fmt: skip
    """Try one random threshold."""
    threshold = low + _below(state, high - low) if high > low else low
    direction = _next(state) & 1 if missing == 1 and high > low else 0
    lefts[:] = 0.0
    wl = 0.0
    for i in range(count):
        b = np.int64(node_bins[i])
        if b <= threshold or (direction == 1 and b == MISSING):
            lefts[np.int64(classes[start + i])] += weights[start + i]
            wl += weights[start + i]
    wr = total_w - wl
    if wl < least or wr < least or wl <= 0.0 or wr <= 0.0:
        return floor
    ql = 0.0
    qr = 0.0
    for c in range(lefts.size):
        ql += lefts[c] * lefts[c]
        qr += (totals[c] - lefts[c]) * (totals[c] - lefts[c])
    score = ql / wl + qr / wr
    if score > floor:
        best[0] = score
        best[1] = threshold
        best[2] = direction
        return score
    return floor


@kernel(
    "i8(const u1[:,:], i4[:], f4[:], i4[:], i8, f8[:], u8[:], i4[:], u2[:], u1[:], u1[:], f4[:], f4[:], i4[:], "
    "i4[:], u2[:], f4[:])"
)
def grow_classes(bins, rows, weights, classes, class_count, params, state, left, feature, threshold, missing, value,
                 gain, counts, vote_counts, vote_classes, votes):  # fmt: skip
    """Grow one classification tree; return its number of nodes.

    As `grow_means`, with classes int32 (places of classes) in the order of rows. vote_counts [node] is the number
    of classes of a leaf (0 for inner nodes); the leaves' (class, share) pairs are written at the leaf's first row.
    """
    features = bins.shape[0]
    order = np.arange(features)
    keys = np.empty(SORT_BELOW, np.int64)
    places = np.empty(257, np.int64)
    table = np.zeros((256, class_count), np.float64)
    best = np.zeros(3, np.float64)
    totals = np.empty(class_count, np.float64)
    lefts = np.empty(class_count, np.float64)
    node_bins = np.empty(rows.size, np.uint8)
    chosen_bins = np.empty(rows.size, np.uint8)
    sorted_rows = np.empty(rows.size, np.int64)
    spare_rows = np.empty(rows.size, np.int32)
    spare_a = np.empty(rows.size, np.float32)
    spare_b = np.empty(rows.size, np.int32)
    stack = np.empty((rows.size + 130, 4), np.int64)
    depth_limit = np.int64(params[MAX_DEPTH])
    min_split = max(np.int64(params[MIN_SPLIT]), 2)
    least = params[MIN_LEAF]
    wanted = np.int64(params[FEATURES_PER_NODE])
    random = params[RANDOM_THRESHOLDS] > 0.0
    stack[0, 0] = 0
    stack[0, 1] = rows.size
    stack[0, 2] = 0
    stack[0, 3] = 0
    top = 1
    nodes = 1
    while top > 0:
        top -= 1
        start = stack[top, 0]
        end = stack[top, 1]
        node = stack[top, 2]
        depth = stack[top, 3]
        count = end - start
        totals[:] = 0.0
        total_w = 0.0
        for i in range(start, end):
            totals[np.int64(classes[i])] += weights[i]
            total_w += weights[i]
        total_q = 0.0
        for c in range(class_count):
            total_q += totals[c] * totals[c]
        left[node] = 0
        feature[node] = 0
        threshold[node] = 0
        missing[node] = 0
        gain[node] = 0.0
        value[node] = 0.0
        counts[node] = count
        vote_counts[node] = 0
        base = total_q / total_w
        floor = -1.0
        chosen = -1
        pure = total_q >= total_w * total_w * (1.0 - 1e-12)
        if not (
            pure or count < min_split or (depth_limit > 0 and depth >= depth_limit) or total_w < 2.0 * least
        ):
            tried = 0
            for k in range(features):
                if tried >= wanted:
                    break
                pick = k + _below(state, features - k)
                f = order[pick]
                order[pick] = order[k]
                order[k] = f
                low, high, some = _spread(bins[f], rows, start, end, node_bins)
                if high < low or (low == high and some == 0):
                    continue
                tried += 1
                if random:
                    score = _random_of_classes(node_bins, count, weights, classes, start, low, high, some, least,
                                               totals, total_w, lefts, floor, best, state)  # fmt: skip
                elif count * 4 > (high - low + 1) * class_count:
                    score = _counted_classes(node_bins, count, weights, classes, start, low, high, some, least,
                                             totals, total_w, lefts, table, floor, best)  # fmt: skip
                else:
                    score = _best_of_classes(node_bins, count, weights, classes, start, some, least, totals,
                                             total_w, total_q, lefts, keys, places, sorted_rows, floor,
                                             best)  # fmt: skip
                if score > floor:
                    floor = score
                    chosen = f
                    node_bins, chosen_bins = chosen_bins, node_bins
                    if score >= total_w * (1.0 - 1e-12):
                        break
        if chosen < 0:
            at = start
            for c in range(class_count):
                if totals[c] > 0.0:
                    vote_classes[at] = c
                    votes[at] = totals[c] / total_w
                    at += 1
            vote_counts[node] = at - start
            # where the pairs stand, until the caller has gathered them
            value[node] = 0.0
            left[node] = -start - 1
            continue
        missing_left = best[2] > 0.0
        border = _partition(chosen_bins, best[1], missing_left, rows, weights, classes, start, end, spare_rows,
                            spare_a, spare_b)  # fmt: skip
        left[node] = nodes - node
        feature[node] = chosen
        threshold[node] = np.uint8(best[1])
        missing[node] = MISSING if missing_left else 0
        gain[node] = max(floor - base, 0.0)
        stack[top, 0] = border
        stack[top, 1] = end
        stack[top, 2] = nodes + 1
        stack[top, 3] = depth + 1
        stack[top + 1, 0] = start
        stack[top + 1, 1] = border
        stack[top + 1, 2] = nodes
        stack[top + 1, 3] = depth + 1
        top += 2
        nodes += 2
    return nodes
