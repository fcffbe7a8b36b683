# mypy: ignore-errors
"""Numbers to bins."""

import numpy as np

from mlkit.jit import kernel


@kernel("void(const f8[:], const f8[:], u1[:,:], i8)")
def bin_numbers(values, edges, out, column):
    """Write to out[:, column] how many of the 255 ascending edges (padded with infinity) lie below each value.

    NaN becomes 255. Eight halvings without a branch.
    """
    for i in range(values.size):
        value = values[i]
        k = 0
        k += 128 if edges[k + 127] < value else 0
        k += 64 if edges[k + 63] < value else 0
        k += 32 if edges[k + 31] < value else 0
        k += 16 if edges[k + 15] < value else 0
        k += 8 if edges[k + 7] < value else 0
        k += 4 if edges[k + 3] < value else 0
        k += 2 if edges[k + 1] < value else 0
        k += 1 if edges[k] < value else 0
        out[i, column] = np.uint8(255) if value != value else np.uint8(k)
