"""One small kernel in its own process: ``python -m tests.sum_kernel`` prints its result and whether it is cached."""

from __future__ import annotations

import sys

import numpy as np

from mlkit import jit
from mlkit.jit import REASSOCIATE, inline, kernel, prefetch


@inline
def square(x):
    return x * x


@kernel("f8(const f8[:], i8)", fastmath=REASSOCIATE)
def sum_of_squares(values, count):
    total = 0.0
    for i in range(count):
        prefetch(values, i)
        total += square(values[i])
    return total


@kernel("void(f4[:,:], f4, b1)")
def fill(matrix, value, wanted):
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            if wanted:
                matrix[i, j] = value


if __name__ == "__main__":
    jit.use_command_cache(announce=lambda text: print(text, file=sys.stderr))
    assert "numba" not in sys.modules
    result = sum_of_squares(np.arange(4.0), 4)
    print(result, sum_of_squares.cached)
