# mypy: ignore-errors
"""Gradients and hessians of the losses that need e**x: sixteen float32 lanes at a time, without cancellation."""

import numpy as np

from mlkit.jit import kernel
from mlkit.jit.vectors import exp, load, maximum, splat, store

BLOCK = 256  # rows at a time
LEAST = 1e-16  # hessian


@kernel("void(const f8[:,:], const f8[:], f4[:,:,:], i8, i8)")
def logistic_pairs(scores, target, out, first, last):
    """Write p - y and p (1 - p) for rows first..last-1, with p = 1 / (1 + e**-score) and y 0 or 1.

    scores float64 [1, rows]; out float32 [1, rows, 2]. With s = 1 for y = 0, else -1: s / (1 + e**(-s score)).
    """
    score, pairs = scores[0], out[0]
    signs = np.zeros(BLOCK, np.float32)
    shares = np.zeros(BLOCK, np.float32)
    hessians = np.zeros(BLOCK, np.float32)
    one = splat(1.0)
    for start in range(np.uint64(first), np.uint64(last), np.uint64(BLOCK)):
        count = min(np.uint64(BLOCK), np.uint64(last) - start)
        for k in range(count):
            signs[k] = 1.0 - 2.0 * target[start + k]
            shares[k] = score[start + k] * (2.0 * target[start + k] - 1.0)
        for k in range(0, count, 16):
            power = exp(load(shares, k))
            share = one / (one + power)
            store(hessians, k, maximum(power * share * share, splat(LEAST)))
            store(shares, k, share * load(signs, k))
        for k in range(count):
            pairs[start + k, 0] = shares[k]
            pairs[start + k, 1] = hessians[k]


@kernel("void(const f8[:,:], const f8[:], f4[:,:,:], i8, i8)")
def squared_pairs(scores, target, out, first, last):
    """Write score - target and 1 for rows first..last-1; scores float64 [1, rows]; out float32 [1, rows, 2]."""
    score, pairs = scores[0], out[0]
    for i in range(np.uint64(first), np.uint64(last)):
        pairs[i, 0] = score[i] - target[i]
        pairs[i, 1] = 1.0


@kernel("void(const f8[:,:], const f8[:], f4[:,:,:], i8, i8)")
def softmax_pairs(scores, target, out, first, last):
    """Write p - [k is the class] and K / (K - 1) p (1 - p) for class k of rows first..last-1.

    scores float64 [K, rows]; target float64 [rows], places of classes; out float32 [K, rows, 2]. For the row's own
    class p - 1 is the sum of the others' shares.
    """
    classes = scores.shape[0]
    factor = classes / (classes - 1.0)
    powers = np.zeros(classes * BLOCK, np.float32)
    top = np.empty(BLOCK, np.float64)
    others = np.empty(BLOCK, np.float64)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        top[:] = -np.inf
        others[:] = 0.0
        for c in range(classes):
            for k in range(count):
                top[k] = max(top[k], scores[c, start + k])
        for c in range(classes):
            at = c * BLOCK
            for k in range(count):
                powers[at + k] = scores[c, start + k] - top[k]
            for k in range(0, count, 16):
                store(powers, at + k, exp(load(powers, at + k)))
            for k in range(count):
                others[k] += 0.0 if target[start + k] == c else powers[at + k]
        for k in range(count):
            own = np.int64(target[start + k])
            top[k] = 1.0 / (others[k] + powers[own * BLOCK + k])
        for c in range(classes):
            for k in range(count):
                own = target[start + k] == c
                p = powers[c * BLOCK + k] * top[k]
                rest = others[k] * top[k] if own else 1.0 - p
                out[c, start + k, 0] = -rest if own else p
                out[c, start + k, 1] = max(factor * p * rest, LEAST)
