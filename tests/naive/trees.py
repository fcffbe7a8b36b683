"""Trees the slow and obvious way."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

MISSING = 255


def bin_of(value: float, edges: list[float]) -> int:
    """Return how many edges lie below a value; 255 for NaN."""
    if math.isnan(value):
        return MISSING
    return sum(edge < value for edge in edges)


def split_candidates(rows, bins, feature, categorical, smooth, pairs):
    """Yield every set of rows that a numeric feature, or a few categories one by one, could send to the left."""
    present = sorted({bins[r][feature] for r in rows if bins[r][feature] != MISSING})
    missing = [r for r in rows if bins[r][feature] == MISSING]
    if categorical:
        for b in [*present, MISSING]:
            yield [r for r in rows if bins[r][feature] == b]
        return
    for b in present:
        left = [r for r in rows if bins[r][feature] <= b and bins[r][feature] != MISSING]
        yield left
        if missing:
            yield left + missing


def leaf_worth(rows, pairs, l2):
    g = sum(pairs[r][0] for r in rows)
    h = sum(pairs[r][1] for r in rows)
    return g * g / (h + l2)


def best_split(rows, bins, pairs, min_leaf, l2, categorical):
    """Return (gain, left rows) of the best split, or (0, None)."""
    best = (0.0, None)
    whole = leaf_worth(rows, pairs, l2)
    for feature in range(len(bins[0])):
        for left in split_candidates(rows, bins, feature, categorical[feature], 0, pairs):
            right = sorted(set(rows) - set(left))
            if len(left) < max(1, min_leaf) or len(right) < max(1, min_leaf):
                continue
            gain = leaf_worth(left, pairs, l2) + leaf_worth(right, pairs, l2) - whole
            if gain > best[0] + 1e-9:
                best = (gain, sorted(left))
    return best


def grow_leafwise(bins, pairs, leaves, min_leaf, l2, categorical):
    """Return the value of every row's leaf in a tree grown by best gain first."""
    spans = [list(range(len(bins)))]
    while len(spans) < leaves:
        found = [best_split(rows, bins, pairs, min_leaf, l2, categorical) for rows in spans]
        place = max(range(len(spans)), key=lambda k: found[k][0])
        left = found[place][1]
        if left is None:
            break
        right = sorted(set(spans[place]) - set(left))
        spans[place] = left
        spans.append(right)
    values = [0.0] * len(bins)
    for rows in spans:
        g, h = sum(pairs[r][0] for r in rows), sum(pairs[r][1] for r in rows)
        for r in rows:
            values[r] = -g / (h + l2)
    return values


def gini(rows, target, weights):
    """Return weight times Gini's impurity."""
    total = sum(weights[r] for r in rows)
    shares = {}
    for r in rows:
        shares[target[r]] = shares.get(target[r], 0.0) + weights[r]
    return total - sum(w * w for w in shares.values()) / total


def variance(rows, target, weights):
    """Return the weighted sum of squared distances from the mean."""
    total = sum(weights[r] for r in rows)
    mean = sum(weights[r] * target[r] for r in rows) / total
    return sum(weights[r] * (target[r] - mean) ** 2 for r in rows)


def best_impurity_drop(rows, bins, target, weights, impurity):
    """Return the largest drop of impurity that any threshold on any column gives."""
    best = 0.0
    whole = impurity(rows, target, weights)
    for feature in range(len(bins[0])):
        for left in split_candidates(rows, bins, feature, False, 0, None):
            right = sorted(set(rows) - set(left))
            if left and right:
                best = max(best, whole - impurity(left, target, weights) - impurity(right, target, weights))
    return best


def samme(predict_rounds, target, classes, rate):
    """Return (alphas, final weights) of SAMME given what each round's tree predicts for the rows."""
    weights = [1 / len(target)] * len(target)
    alphas = []
    for predicted in predict_rounds:
        wrong = [p != y for p, y in zip(predicted, target, strict=True)]
        error = sum(w for w, miss in zip(weights, wrong, strict=True) if miss) / sum(weights)
        alpha = rate * (math.log((1 - error) / error) + math.log(classes - 1))
        alphas.append(alpha)
        weights = [w * math.exp(alpha) if miss else w for w, miss in zip(weights, wrong, strict=True)]
        weights = [w / sum(weights) for w in weights]
    return alphas, weights


def area_under_curve(scores, positive):
    """Return the share of pairs in the right order; ties count half."""
    pairs = [
        (a, b)
        for a, p in zip(scores, positive, strict=True)
        if p
        for b, q in zip(scores, positive, strict=True)
        if not q
    ]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


def isotonic_is_ascending(x, y):
    """Say whether corners ascend."""
    return all(a <= b for a, b in pairwise(y)) and all(a <= b for a, b in pairwise(x))


def gradients(scores: list[float], label: int) -> list[tuple[float, float]]:
    """Gradient and hessian of the log loss by each score, in exact fractions of the powers."""
    if len(scores) == 1:
        other = Fraction(math.exp(scores[0] if label == 0 else -scores[0]))  # of the wrong class, to 1
        share = other / (1 + other)
        return [(float(share if label == 0 else -share), max(float(share * (1 - share)), 1e-16))]
    powers = [Fraction(math.exp(score - max(scores))) for score in scores]
    shares = [power / sum(powers) for power in powers]
    factor = Fraction(len(scores), len(scores) - 1)
    return [
        (float(share - (k == label)), max(float(factor * share * (1 - share)), 1e-16))
        for k, share in enumerate(shares)
    ]
