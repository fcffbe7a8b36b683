"""The order of blocks in which words are trained."""

from __future__ import annotations

import numpy as np
import pytest

from mlkit.fasttext.unsupervised import BLOCK_TOKENS, block_bounds

MAX_LINE = 1024


@pytest.mark.parametrize("end_of_line", [0, -1])
@pytest.mark.parametrize("length", [0, 1, 255, 256, 257, 1024, 1025, 5000])
@pytest.mark.parametrize("mean_line", [1, 20, 400, 3000])
def test_blocks_are_the_text_cut_at_line_ends(length: int, mean_line: int, end_of_line: int) -> None:
    generator = np.random.default_rng(length)
    ids = np.where(generator.random(length) < 1 / mean_line, 0, 7).astype(np.int32)
    bounds = block_bounds(ids, end_of_line)
    assert bounds[0] == 0
    assert bounds[-1] == length
    sizes = np.diff(bounds)
    assert (sizes > 0).all()
    ends = np.flatnonzero(ids == end_of_line) + 1
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if last not in ends and last < length:
            assert last - first == MAX_LINE, "only a very long line is cut"
            assert not ((ends > first) & (ends < last)).any()
        assert last - first <= MAX_LINE


def test_lines_stay_together_and_blocks_are_small() -> None:
    ids = np.tile(np.array([5] * 19 + [0], np.int32), 1000)
    sizes = np.diff(block_bounds(ids, 0))
    assert (sizes % 20 == 0).all()
    assert sizes.max() <= BLOCK_TOKENS + 20
