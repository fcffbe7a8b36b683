# mypy: ignore-errors
"""k-means: Hamerly's bounds, the nearest centre from a block of products, and the steps of k-means++.

Rows are float32 or float64 and so are the products with centres; whatever decides is computed in float64: where the
best two products are closer than their rounding error, distances are computed anew, directly. So labels are those
of exact arithmetic, and bounds save work without changing a bit of the result.
"""

import numpy as np

from mlkit.jit import REASSOCIATE, inline, kernel

# scores are finite: a minimum may be looked for in any order
_MINIMUM = frozenset({"reassoc", "contract", "nsz", "arcp", "nnan"})
_UP = 1.0 + 2.0**-22  # a float32 rounded up or down on purpose
_DOWN = 1.0 - 2.0**-22


@inline(fastmath=REASSOCIATE)
def _distance(row, centre):
    """Return the squared distance of a row to a centre, computed in float64."""
    total = 0.0
    for j in range(centre.size):
        step = np.float64(row[j]) - centre[j]
        total += step * step
    return total


@inline(fastmath=_MINIMUM)
def _shift_scores(scores, offsets):
    """Add the centres' squared lengths to the products and return the least sum."""
    least = scores.dtype.type(np.inf)
    for c in range(offsets.size):
        scores[c] += offsets[c]
        least = min(least, scores[c])
    return least


@inline(fastmath=_MINIMUM)
def _least(scores):
    least = scores.dtype.type(np.inf)
    for c in range(scores.size):
        least = min(least, scores[c])
    return least


@inline
def _check_bounds(rows, centres, labels, upper, lower, shift, largest, second, mover, gap, picks):
    count = 0
    for i in range(labels.size):
        own = labels[i]
        up = np.float32((upper[i] + shift[own]) * _UP)
        low = np.float32((lower[i] - (second if own == mover else largest)) * _DOWN)
        limit = max(low, gap[own])
        if up >= limit:
            up = np.float32(np.sqrt(_distance(rows[i], centres[own])) * _UP)
            if up >= limit:
                picks[count] = i
                count += 1
        upper[i] = up
        lower[i] = low
    return count


@kernel(
    "i8(const f4[:,:], const f8[:,:], const i4[:], f4[:], f4[:], const f4[:], f4, f4, i8, const f4[:], i4[:])"
)
def check_bounds(rows, centres, labels, upper, lower, shift, largest, second, mover, gap, picks):
    """Move the bounds of rows after the centres have moved; collect the rows whose label may have changed.

    upper[i]: at least the distance to the own centre; lower[i]: at most that to any other one. shift: how far each
    centre moved, `largest` of it by centre `mover`, `second` by any other. gap: half the distance of a centre to the
    nearest other one. Returns how many rows are in `picks`. Source: Hamerly (2010), Making k-means even faster.
    """
    return _check_bounds(rows, centres, labels, upper, lower, shift, largest, second, mover, gap, picks)


@kernel(
    "i8(const f8[:,:], const f8[:,:], const i4[:], f4[:], f4[:], const f4[:], f4, f4, i8, const f4[:], i4[:])"
)
def check_bounds_double(rows, centres, labels, upper, lower, shift, largest, second, mover, gap, picks):
    """Do what `check_bounds` does, for rows in float64."""
    return _check_bounds(rows, centres, labels, upper, lower, shift, largest, second, mover, gap, picks)


@inline
def _gather(rows, picks, origin, out):
    for p in range(picks.size):
        for j in range(origin.size):
            out[p, j] = rows[picks[p], j] - origin[j]


@kernel("void(const f4[:,:], const i4[:], const f8[:], f4[:,:])")
def gather(rows, picks, origin, out):
    """Copy some rows, less an origin: products of numbers about 0 lose fewer digits."""
    _gather(rows, picks, origin, out)


@kernel("void(const f8[:,:], const i4[:], const f8[:], f8[:,:])")
def gather_double(rows, picks, origin, out):
    """Do what `gather` does, for rows in float64."""
    _gather(rows, picks, origin, out)


@inline
def _squares(rows, origin, out):
    for i in range(out.size):
        out[i] = _distance(rows[i], origin)


@kernel("void(const f4[:,:], const f8[:], f4[:])")
def squares(rows, origin, out):
    """Write the squared distance of every row to the origin."""
    _squares(rows, origin, out)


@kernel("void(const f8[:,:], const f8[:], f4[:])")
def squares_double(rows, origin, out):
    """Do what `squares` does, for rows in float64."""
    _squares(rows, origin, out)


@inline
def _nearest_exactly(row, centres, scores, reach):
    """Return the nearest of the centres whose score is at most `reach`, by distances in float64."""
    best = np.inf
    label = 0
    for c in range(scores.size):
        if scores[c] <= reach:
            found = _distance(row, centres[c])
            if found < best:
                best = found
                label = c
    return label


@inline
def _settle(
    rows,
    picks,
    scores,
    offsets,
    longest,
    bias,
    epsilon,
    centres,
    square,
    weights,
    labels,
    upper,
    lower,
    sums,
    mass,
):
    changed = 0
    for p in range(picks.size):
        i = picks[p]
        line = scores[p]
        least = _shift_scores(line, offsets)
        new = 0
        while line[new] != least:
            new += 1
        line[new] = np.inf
        other = _least(line)
        line[new] = least
        length = np.float64(square[i])
        # what rounding can do to a product, a squared length and their sum
        error = epsilon * (2.0 * (np.sqrt(length) + bias) * longest + 2.0 * longest * longest + length)
        if other - least <= 2.0 * error:
            new = _nearest_exactly(rows[i], centres, line, least + 2.0 * error)
        upper[i] = np.sqrt(max(least + length + error, 0.0)) * _UP
        lower[i] = np.sqrt(max(other + length - error, 0.0)) * _DOWN
        old = labels[i]
        if new != old:
            changed += 1
            labels[i] = new
            weight = weights[i] if weights.size else 1.0
            mass[new] += weight
            for j in range(centres.shape[1]):
                sums[new, j] += weight * rows[i, j]
            if old >= 0:
                mass[old] -= weight
                for j in range(centres.shape[1]):
                    sums[old, j] -= weight * rows[i, j]
    return changed


@kernel(
    "i8(const f4[:,:], const i4[:], f4[:,:], const f4[:], f8, f8, f8, const f8[:,:], const f4[:], const f8[:], "
    "i4[:], f4[:], f4[:], f8[:,:], f8[:])"
)
def settle(
    rows,
    picks,
    scores,
    offsets,
    longest,
    bias,
    epsilon,
    centres,
    square,
    weights,
    labels,
    upper,
    lower,
    sums,
    mass,
):
    """Give some rows of a chunk the label of the nearest centre; return how many labels changed.

    scores [picks, k]: -2 times the products of rows and centres (less the origin); offsets: the centres' squared
    lengths, the longest length is `longest`; square: those of the rows. epsilon: the relative error of a product;
    bias: the length of the origin if it was not taken off the rows.
    labels, upper, lower: of all rows of the chunk, written for `picks`; a label of -1 is no label yet. sums [k, d] and
    mass [k]: what the changes add to and take from the clusters (weights: empty, or of every row).
    """
    return _settle(
        rows,
        picks,
        scores,
        offsets,
        longest,
        bias,
        epsilon,
        centres,
        square,
        weights,
        labels,
        upper,
        lower,
        sums,
        mass,
    )


@kernel(
    "i8(const f8[:,:], const i4[:], f8[:,:], const f8[:], f8, f8, f8, const f8[:,:], const f4[:], const f8[:], "
    "i4[:], f4[:], f4[:], f8[:,:], f8[:])"
)
def settle_double(
    rows,
    picks,
    scores,
    offsets,
    longest,
    bias,
    epsilon,
    centres,
    square,
    weights,
    labels,
    upper,
    lower,
    sums,
    mass,
):
    """Do what `settle` does, for rows in float64."""
    return _settle(
        rows,
        picks,
        scores,
        offsets,
        longest,
        bias,
        epsilon,
        centres,
        square,
        weights,
        labels,
        upper,
        lower,
        sums,
        mass,
    )


@inline
def _own_distances(rows, centres, labels, out):
    for i in range(labels.size):
        out[i] = _distance(rows[i], centres[labels[i]])


@kernel("void(const f4[:,:], const f8[:,:], const i4[:], f8[:])")
def own_distances(rows, centres, labels, out):
    """Write the squared distance of every row to its own centre."""
    _own_distances(rows, centres, labels, out)


@kernel("void(const f8[:,:], const f8[:,:], const i4[:], f8[:])")
def own_distances_double(rows, centres, labels, out):
    """Do what `own_distances` does, for rows in float64."""
    _own_distances(rows, centres, labels, out)


@kernel("f8(const f4[:], const i4[:], const f8[:], const f8[:], i4[:], i8[:])")
def seed_check(closest, nearest, reach, weights, picks, count):
    """Collect the rows that one of the new points may be nearer to; return the potential of all others.

    closest: squared distance to the nearest centre so far, `nearest`. A new point at least twice as far from that
    centre as the row is cannot be nearer: reach[c] is the least squared distance of a new point to centre c.
    """
    total = 0.0
    found = 0
    for i in range(closest.size):
        if reach[nearest[i]] < 4.000001 * closest[i]:
            picks[found] = i
            found += 1
        else:
            total += (weights[i] if weights.size else 1.0) * closest[i]
    count[0] = found
    return total


@inline
def _seed_step(
    rows, picks, scores, points, offsets, epsilon, square, weights, number, closest, nearest, potentials
):
    for p in range(picks.size):
        i = picks[p]
        length = np.float64(square[i])
        weight = weights[i] if weights.size else 1.0
        for c in range(offsets.size):
            found = scores[p, c] + offsets[c] + length
            if found <= 16.0 * epsilon * length:  # all digits are lost: equal rows must be at 0
                found = _distance(rows[i], points[c])
            single = np.float32(found)
            if c == 0 and number >= 0:
                if single < closest[i]:
                    closest[i] = single
                    nearest[i] = number
            else:
                potentials[c] += weight * min(single, closest[i])


@kernel(
    "void(const f4[:,:], const i4[:], const f4[:,:], const f8[:,:], const f8[:], f8, const f4[:], const f8[:], i8, "
    "f4[:], i4[:], f8[:])"
)
def seed_step(
    rows, picks, scores, points, offsets, epsilon, square, weights, number, closest, nearest, potentials
):
    """Bring `closest` and `nearest` up to date with centre `number`, the first of `points` (unless -1), for `picks`.

    The other points are candidates: potentials[c] gets the sum of weight * squared distance to the nearest centre
    if c were one.
    """
    _seed_step(
        rows, picks, scores, points, offsets, epsilon, square, weights, number, closest, nearest, potentials
    )


@kernel(
    "void(const f8[:,:], const i4[:], const f8[:,:], const f8[:,:], const f8[:], f8, const f4[:], const f8[:], i8, "
    "f4[:], i4[:], f8[:])"
)
def seed_step_double(
    rows, picks, scores, points, offsets, epsilon, square, weights, number, closest, nearest, potentials
):
    """Do what `seed_step` does, for rows in float64."""
    _seed_step(
        rows, picks, scores, points, offsets, epsilon, square, weights, number, closest, nearest, potentials
    )
