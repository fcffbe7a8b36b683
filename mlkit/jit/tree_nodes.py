# mypy: ignore-errors
"""What the kernels of deep trees share: random numbers, the bins of a node, its border. Inlined, none of its own.

Categories have been put into the order of their mean target, so every split is a threshold; missing values
(bin 255) are tried on both sides. Small nodes sort their rows, larger ones count them by bin.
"""

import numpy as np

from mlkit.jit.decorator import inline
from mlkit.jit.random import GOLDEN, mixed

MAX_DEPTH, MIN_SPLIT, LEAF_WEIGHT, FEATURES_PER_NODE, RANDOM_THRESHOLDS, LEAF_ROWS = range(6)
SORT_BELOW = 40
MISSING = 255


@inline
def advance(state):
    """Advance a SplitMix64 counter and return 32 random bits."""
    state[0] += GOLDEN
    return np.int64(mixed(state[0]) >> np.uint64(32))


@inline
def below(state, limit):
    """Return a random integer below `limit`."""
    return (advance(state) * limit) >> 32


@inline
def sort_keys(keys, count):
    """Sort a few keys by insertion."""
    for i in range(1, count):
        key = keys[i]
        k = i
        while k > 0 and keys[k - 1] > key:
            keys[k] = keys[k - 1]
            k -= 1
        keys[k] = key


@inline
def sorts(count, width):
    """Say whether sorting a node's rows is cheaper than counting them in `width` bins."""
    return count <= SORT_BELOW and count * count <= 4 * width + 64


@inline
def spread(column, rows, start, end, node_bins):
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
def partition(
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
def tally_bins(node_bins, count, tally):
    """Count a node's rows by bin."""
    tally[:] = 0
    for i in range(np.uint64(count)):
        tally[np.uint64(node_bins[i])] += 1
