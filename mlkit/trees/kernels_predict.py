# mypy: ignore-errors
"""Walk binned rows through trees."""

import numpy as np

from mlkit.jit import inline, kernel

ROWS_AT_ONCE = 512  # a block of rows stays in the cache while all trees pass over it


@inline
def _leaf(row, root, left, feature, threshold, missing, set_of, sets):
    """Return the leaf that a row reaches: bin <= threshold goes left, so does `missing` (255, or 0 for never)."""
    node = np.int64(root)
    while left[node] != 0:
        b = row[feature[node]]
        if set_of[node] >= 0:
            right = 1 - np.int64((sets[set_of[node], b >> 6] >> np.uint64(b & 63)) & np.uint64(1))
        else:
            right = np.int64((b > threshold[node]) & (b != missing[node]))
        node += left[node] + right
    return node


@kernel(
    "void(const u1[:,:], const i8[:], const i4[:], const u2[:], const u1[:], const u1[:], const i4[:], "
    "const u8[:,:], const f4[:], f8[:,:])"
)
def add_values(bins, roots, left, feature, threshold, missing, set_of, sets, value, out):
    """Add the leaf values of tree t to out[row, t % outputs], for all trees, in order.

    bins uint8 [rows, features]; left holds the distance to the left child (0: leaf), the right one follows it.
    """
    outputs = out.shape[1]
    for start in range(0, bins.shape[0], ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, bins.shape[0])
        for t in range(roots.size):
            k = t % outputs
            for i in range(start, stop):
                out[i, k] += value[_leaf(bins[i], roots[t], left, feature, threshold, missing, set_of, sets)]


@kernel(
    "void(const u1[:,:], const i8[:], const i4[:], const u2[:], const u1[:], const u1[:], const i4[:], "
    "const u8[:,:], const i8[:], const i4[:], const u2[:], const f4[:], f8[:,:])"
)
def add_votes(bins, roots, left, feature, threshold, missing, set_of, sets, leaf, begin, classes, votes, out):
    """Add to out[row, class] the votes of the leaves: leaf l has votes begin[l] .. begin[l + 1] - 1."""
    for start in range(0, bins.shape[0], ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, bins.shape[0])
        for t in range(roots.size):
            for i in range(start, stop):
                node = _leaf(bins[i], roots[t], left, feature, threshold, missing, set_of, sets)
                for k in range(begin[leaf[node]], begin[leaf[node] + 1]):
                    out[i, classes[k]] += votes[k]


@kernel(
    "void(const u1[:,:], const i8[:], const i4[:], const u2[:], const u1[:], const u1[:], const i4[:], "
    "const u8[:,:], i4[:,:])"
)
def find_leaves(bins, roots, left, feature, threshold, missing, set_of, sets, out):
    """Write to out[row, t] the node of the leaf that a row reaches, counted from the tree's root."""
    for i in range(bins.shape[0]):
        for t in range(roots.size):
            node = _leaf(bins[i], roots[t], left, feature, threshold, missing, set_of, sets)
            out[i, t] = node - roots[t]


@kernel("void(const i4[:], const i8[:], const i8[:], const f8[:], f8[:])")
def add_by_leaf(rows, start, end, value, score):
    """Add value[l] to the score of rows[start[l]:end[l]], for every leaf l."""
    for leaf in range(start.size):
        step = value[leaf]
        for i in range(np.uint64(start[leaf]), np.uint64(end[leaf])):
            score[np.uint32(rows[i])] += step
