"""Zeros that begin at a cache line."""

from __future__ import annotations

import pytest

from mlkit.arrays import LINE, aligned_zeros


@pytest.mark.parametrize("shape", [(0,), (1,), (33,), (0, 16), (3, 5), (2, 3, 16)])
def test_zeros_begin_at_a_cache_line(shape: tuple[int, ...]) -> None:
    array = aligned_zeros(*shape)
    assert array.shape == shape
    assert array.dtype == "f4"
    assert array.flags.c_contiguous
    assert not array.any()
    assert array.ctypes.data % (4 * LINE) == 0 or not array.size
