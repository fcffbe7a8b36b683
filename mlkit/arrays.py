"""Matrices that begin at a cache line: a row that straddles two lines costs two loads."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LINE = 16  # float32 in a cache line


def aligned_zeros(*shape: int) -> NDArray[np.float32]:
    """Return float32 zeros of a shape that begin at a cache line."""
    size = math.prod(shape)
    raw = np.zeros(size + LINE, np.float32)
    skip = -(raw.ctypes.data // 4) % LINE
    return raw[skip : skip + size].reshape(shape)
