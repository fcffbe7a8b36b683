# mypy: ignore-errors
"""Grow deep trees of numbers for bagging and random forests: depth first, best of a few features at every node.

Two classes are regression on 0 and 1 (Gini's gain is twice the variance's).
"""

import numpy as np

from mlkit.jit import inline, kernel
from mlkit.jit.tree_nodes import (  # fmt: skip
    FEATURES_PER_NODE,
    LEAF_ROWS,
    LEAF_WEIGHT,
    MAX_DEPTH,
    MIN_SPLIT,
    MISSING,
    RANDOM_THRESHOLDS,
    SORT_BELOW,
    advance,
    below,
    partition,
    sort_keys,
    sorts,
    spread,
    tally_bins,
)
from mlkit.jit.vectors import add_pair


@inline
def _best_of_means(node_bins, count, weights, targets, start, low, high, missing, hist, keys, least, few, tally,
                   total_w, total_s, floor, best):  # fmt: skip
    """Find the threshold that leaves least variance; write (score, threshold, missing left) to `best`."""
    sorting = sorts(count, high - low)
    if sorting:
        for i in range(count):
            keys[i] = (np.int64(node_bins[i]) << 8) | i
        sort_keys(keys, count)
    else:
        for k in range(2 * low, 2 * high + 2):
            hist[k] = 0.0
        hist[510] = 0.0
        hist[511] = 0.0
        if few > 1:
            tally_bins(node_bins, count, tally)
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
                here = i + 1 + (count - present if direction == 1 else 0)
                if wl < least or wr < least or here < few or count - here < few:
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
            here = tally[MISSING] if few > 1 and direction == 1 else 0
            for b in range(low, last):
                wl += hist[np.uint64(2 * b)]
                sl += hist[np.uint64(2 * b + 1)]
                wr = total_w - wl
                if few > 1:
                    here += tally[b]
                    if here < few or count - here < few:
                        continue
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
def _random_of_means(node_bins, count, weights, targets, start, low, high, missing, least, few, total_w, total_s,
                     floor, best, state):  # fmt: skip
    """Try one random threshold (extremely randomised trees), missing values on a random side."""
    threshold = low + below(state, high - low) if high > low else low
    direction = advance(state) & 1 if missing == 1 and high > low else 0
    wl = 0.0
    sl = 0.0
    here = 0
    for i in range(count):
        b = np.int64(node_bins[i])
        if b <= threshold or (direction == 1 and b == MISSING):
            wl += weights[start + i]
            sl += np.float64(weights[start + i]) * targets[start + i]
            here += 1
    wr = total_w - wl
    if wl < least or wr < least or wl <= 0.0 or wr <= 0.0 or here < few or count - here < few:
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
    the order of rows, all three reordered; params float64 [6]; state uint64 [1]; node arrays of 2 * rows - 1
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
    least = params[LEAF_WEIGHT]
    few = np.int64(params[LEAF_ROWS])
    tally = np.zeros(256, np.int64)
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
        if (
            pure
            or count < min_split
            or (depth_limit > 0 and depth >= depth_limit)
            or total_w < 2.0 * least
            or count < 2 * few
        ):
            continue
        base = total_s * total_s / total_w
        floor = -1.0  # a split without gain is taken too: what follows may gain (exclusive or)
        chosen = -1
        tried = 0
        for k in range(features):
            if tried >= wanted:
                break
            pick = k + below(state, features - k)
            f = order[pick]
            order[pick] = order[k]
            order[k] = f
            low, high, some = spread(bins[f], rows, start, end, node_bins)
            if high < low or (low == high and some == 0):
                continue
            tried += 1
            if random:
                score = _random_of_means(node_bins, count, weights, targets, start, low, high, some, least, few,
                                         total_w, total_s, floor, best, state)  # fmt: skip
            else:
                score = _best_of_means(node_bins, count, weights, targets, start, low, high, some, hist, keys,
                                       least, few, tally, total_w, total_s, floor, best)  # fmt: skip
            if score > floor:
                floor = score
                chosen = f
                node_bins, chosen_bins = chosen_bins, node_bins
                if score >= total_squares * (1.0 - 1e-12):
                    break  # both sides are pure: no feature does better
        if chosen < 0:
            continue
        missing_left = best[2] > 0.0
        border = partition(chosen_bins, best[1], missing_left, rows, weights, targets, start, end, spare_rows,
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
