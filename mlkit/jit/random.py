# mypy: ignore-errors
"""Random numbers for kernels: SplitMix64 (Steele, Lea and Flood 2014), a counter whose bits are mixed.

A stream is a counter that goes up by GOLDEN; any place of it can be reached at once, so results do not depend on who
computes what. Without JIT, numpy's warnings of overflow are the caller's to silence.
"""

from __future__ import annotations

import numpy as np

from mlkit.jit.decorator import inline

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX1 = np.uint64(0xBF58476D1CE4E5B9)
MIX2 = np.uint64(0x94D049BB133111EB)
S27, S30, S31, S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
LOW32 = np.uint64(0xFFFFFFFF)


@inline
def mixed(counter):
    """Return 64 random bits for a counter."""
    bits = (counter ^ (counter >> S30)) * MIX1
    bits = (bits ^ (bits >> S27)) * MIX2
    return bits ^ (bits >> S31)


@inline
def below(bits, bound):
    """Return a number in [0, bound) from the low 32 of the random bits."""
    return np.int64(((bits & LOW32) * np.uint64(bound)) >> S32)
