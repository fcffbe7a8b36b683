"""Vector operations: instructions and numpy must agree."""

from __future__ import annotations

import numpy as np
import pytest

from mlkit.jit import kernel
from mlkit.jit.bytes import copy16, first_mark, load8, mixed
from mlkit.jit.vectors import add_pair, exp, fma, load, maximum, product, splat, store, sums


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


@kernel("void(const u1[:], const u1[:,:], i8, u8[:], u1[:])")
def try_bytes(text, rows, i, numbers, out):
    """Read 8 bytes, find the first that is not 0, hash them; copy 16 bytes of a flat array and of a row."""
    numbers[0] = load8(text, np.uint64(i))
    numbers[1] = np.uint64(first_mark(numbers[0]))
    numbers[2] = mixed(numbers[0])
    copy16(text, np.uint64(i), out, np.uint64(3))
    copy16(rows, np.uint64(16), out, np.uint64(20))


@kernel("void(f8[:], const f4[:])")
def try_pairs(totals, values):
    """Add the same pair to two places that overlap."""
    add_pair(totals, np.uint64(1), np.float64(values[0]), np.float64(values[1]))
    add_pair(totals, 2, np.float64(values[0]), np.float64(values[1]))


def test_pairs_are_added() -> None:
    totals = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    try_pairs(totals, np.array([0.5, 0.25], np.float32))
    assert totals.tolist() == [1.0, 2.5, 3.75, 4.25, 5.0]


@pytest.mark.parametrize("zeros", range(9))
def test_bytes_at_once(zeros: int) -> None:
    text = np.arange(200, 240, dtype=np.uint8)
    i = 5
    text[i : i + zeros] = 0
    rows = np.arange(48, dtype=np.uint8).reshape(3, 16)
    text.setflags(write=False)
    numbers, out = np.zeros(3, np.uint64), np.zeros(40, np.uint8)
    try_bytes(text, rows, i, numbers, out)
    number = int.from_bytes(text[i : i + 8].tobytes(), "little")
    assert int(numbers[0]) == number
    assert numbers[1] == zeros
    h = ((number & 0xFFFFFFFF) * 0x9E3779B1) ^ ((number >> 32) * 0x85EBCA77)
    assert int(numbers[2]) == (h ^ (h >> 32) ^ (h << 27)) & (2**64 - 1)
    assert out[3:19].tolist() == text[i : i + 16].tolist()
    assert out[20:36].tolist() == rows[1].tolist()
    assert out[:3].sum() == out[19] == out[36:].sum() == 0


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
