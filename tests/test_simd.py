"""Vector operations: instructions and numpy must agree."""

from __future__ import annotations

import numpy as np
import pytest

from mlkit.jit import kernel
from mlkit.simd import exp, fma, load, maximum, product, splat, store, sums


@kernel("f8(const f4[:], f4[:])")
def try_operations(x, out):
    """Use every operation once."""
    a, b, z = load(x, 0), load(x, 16), splat(0.0)
    store(out, 0, exp(a))
    quotient = a / (b + splat(40.0))
    store(
        out,
        16,
        sums(a, b, z, a + b, a - b, z, z, z, a * b, z, quotient, z, z, maximum(a, b), fma(a, b, a), b),
    )
    return product(a)


@pytest.mark.parametrize("seed", range(3))
def test_operations_agree_with_numpy(seed: int) -> None:
    x = (np.random.default_rng(seed).normal(size=32) * 3).astype(np.float32)
    out = np.zeros(32, np.float32)
    result = try_operations(x, out)
    a, b = x[:16].astype(float), x[16:].astype(float)
    assert result == pytest.approx(np.prod(a), rel=1e-6)
    assert out[:16] == pytest.approx(np.exp(a), rel=2e-7)
    rows = [a, b, a * 0, a + b, a - b, a * 0, a * 0, a * 0]
    rows += [a * b, a * 0, a / (b + 40), a * 0, a * 0, np.maximum(a, b), a * b + a, b]
    assert out[16:] == pytest.approx([row.sum() for row in rows], abs=1e-4)


def test_exp_is_exact_at_the_ends_and_maximum_keeps_nan() -> None:
    x = np.zeros(32, np.float32)
    x[:4] = -1000, 1000, 0, 1
    out = np.zeros(32, np.float32)
    try_operations(x, out)
    assert out[:4] == pytest.approx([np.exp(-87.0), np.exp(88.0), 1, np.e], rel=1e-6)
    x[3] = np.nan
    try_operations(x, out)
    assert np.isnan(out[16 + 13])
