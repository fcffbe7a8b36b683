# mypy: ignore-errors
"""Grow deep trees of several classes for bagging, random forests and AdaBoost, by Gini's impurity."""

import numpy as np

from mlkit.jit import REASSOCIATE, inline, kernel
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
    spread,
    tally_bins,
)


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
def _best_of_classes(node_bins, count, weights, classes, start, missing, least, few, totals, total_w, total_q,
                     lefts, keys, places, sorted_rows, floor, best):  # fmt: skip
    """Find the threshold of least Gini impurity; sums of squares are kept up to date row by row."""
    if count <= SORT_BELOW:
        for i in range(count):
            keys[i] = (np.int64(node_bins[i]) << 8) | i
        sort_keys(keys, count)
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
            before = lefts[c]
            ql += w * (2.0 * before + w)
            qr -= w * (2.0 * (totals[c] - before) - w)
            lefts[c] = before + w
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
            here = place + 1 - begin
            if wl < least or wr < least or here < few or count - here < few:
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
def _counted_classes(node_bins, count, weights, classes, start, low, high, missing, least, few, tally, totals, total_w,
                     lefts, table, floor, best):  # fmt: skip
    """Find the threshold of least Gini impurity from counts by bin and class."""
    table[low : high + 1] = 0.0
    table[MISSING] = 0.0
    if few > 1:
        tally_bins(node_bins, count, tally)
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
        here = tally[MISSING] if few > 1 and direction == 1 else 0
        for b in range(low, last):
            weight = _total(table[b])
            if weight == 0.0:
                continue
            wl += weight
            ql, qr = _squares(table[b], totals, lefts)
            wr = total_w - wl
            if few > 1:
                here += tally[b]
                if here < few or count - here < few:
                    continue
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
def _random_of_classes(node_bins, count, weights, classes, start, low, high, missing, least, few, totals, total_w,
                       lefts, floor, best, state):  # fmt: skip
    """Try one random threshold."""
    threshold = low + below(state, high - low) if high > low else low
    direction = advance(state) & 1 if missing == 1 and high > low else 0
    lefts[:] = 0.0
    wl = 0.0
    here = 0
    for i in range(count):
        b = np.int64(node_bins[i])
        if b <= threshold or (direction == 1 and b == MISSING):
            lefts[np.int64(classes[start + i])] += weights[start + i]
            wl += weights[start + i]
            here += 1
    wr = total_w - wl
    if wl < least or wr < least or wl <= 0.0 or wr <= 0.0 or here < few or count - here < few:
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
            pure
            or count < min_split
            or count < 2 * few
            or total_w < 2.0 * least
            or (depth_limit > 0 and depth >= depth_limit)
        ):
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
                    score = _random_of_classes(node_bins, count, weights, classes, start, low, high, some, least,
                                               few, totals, total_w, lefts, floor, best, state)  # fmt: skip
                elif count * 4 > (high - low + 1) * class_count:
                    score = _counted_classes(node_bins, count, weights, classes, start, low, high, some, least,
                                             few, tally, totals, total_w, lefts, table, floor, best)  # fmt: skip
                else:
                    score = _best_of_classes(node_bins, count, weights, classes, start, some, least, few, totals,
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
        border = partition(chosen_bins, best[1], missing_left, rows, weights, classes, start, end, spare_rows,
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
