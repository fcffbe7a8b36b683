"""Atomic operations: parts of a job are taken once, whoever asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mlkit.jit import jit_disabled, kernel
from mlkit.jit.memory import atomic_add, atomic_read, atomic_write, give_way


@kernel("i8(i8[:], i8, i8[:])")
def take_parts(shared, parts, taken):  # type: ignore[no-untyped-def]
    """Count in `taken` how often each part was taken; return how many this thread took."""
    found = 0
    while True:
        part = atomic_add(shared, 0, 1)
        if part >= parts:
            atomic_write(shared, 16, atomic_read(shared, 0))
            return found
        taken[part] += 1
        found += 1
        if part % 1000 == 0:
            give_way()


@pytest.mark.parametrize("threads", [1, 3])
def test_every_part_is_taken_once(threads: int) -> None:
    if threads > 1 and jit_disabled():
        pytest.skip("without compiled operations there is one thread")
    shared, taken = np.zeros(32, np.int64), np.zeros(20_000, np.int64)
    with ThreadPoolExecutor(threads) as pool:
        jobs = [pool.submit(take_parts, shared, len(taken), taken) for _ in range(threads)]
        assert sum(job.result() for job in jobs) == len(taken)
    assert (taken == 1).all()
    assert len(taken) + 1 <= shared[16] <= len(taken) + threads
