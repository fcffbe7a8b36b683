"""The arrays of a model file: what they hold, and what files of the first format held."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mlkit.errors import ModelError
from mlkit.trees.ensemble import LARGE, Trees, narrow


def two_trees(counts: list[int], features: list[int]) -> Trees:
    """Return a tree with a numeric and a categorical split, and one of a leaf only."""
    count = np.zeros(6, np.int32)
    count[[1, 3, 4, 5]] = counts
    feature = np.zeros(6, np.uint16)
    feature[[0, 2]] = features
    sets = np.zeros((1, 4), np.uint64)
    sets[0, 0], sets[0, 3] = 0b1010, 1 << 63
    return Trees(
        np.array([0, 5], np.int64), np.array([1, 0, 1, 0, 0, 0], np.int32), feature,
        np.array([7, 0, 0, 0, 0, 0], np.uint8), np.array([0, 0, 255, 0, 0, 0], np.uint8),
        np.array([-1, -1, 0, -1, -1, -1], np.int32), sets, np.arange(6, dtype=np.float32) * (count > 0),
        np.array([3.5, 0, 1.25, 0, 0, 0], np.float32), count,
    )  # fmt: skip


def assert_same(found: Trees, expected: Trees) -> None:
    for field in fields(Trees):
        mine, theirs = getattr(found, field.name), getattr(expected, field.name)
        if theirs is None:
            assert mine is None
        else:
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs, field.name)


SMALL, AT_THE_BOUND, HUGE = [3, 250, 1, 255], [LARGE - 1, LARGE, LARGE + 1, 2], [2**31 - 1, 5, 70_000, 65_536]


@pytest.mark.parametrize("counts", [SMALL, AT_THE_BOUND, HUGE])
@pytest.mark.parametrize("features", [[0, 63], [64, 1], [65_535, 16_384]])
def test_trees_come_back(counts: list[int], features: list[int]) -> None:
    trees = two_trees(counts, features)
    tensors = trees.to_tensors()
    assert tensors["count"].dtype.itemsize == (1 if counts == SMALL else 2)
    assert_same(Trees.from_tensors(tensors), trees)


def test_files_of_the_first_format_are_read() -> None:
    trees = two_trees(HUGE, [300, 2])
    tensors: dict[str, NDArray[Any]] = trees.to_tensors()
    del tensors["split"], tensors["large_counts"]
    tensors |= {
        "feature": np.array([300, 2], np.uint16), "flags": np.array([0, 3], np.uint8),
        "count": narrow(np.array(HUGE)),
    }  # fmt: skip
    assert_same(Trees.from_tensors(tensors), trees)


@pytest.mark.parametrize("name", ["split", "count", "large_counts", "threshold", "sizes", "left"])
def test_arrays_that_do_not_fit_are_refused(name: str) -> None:
    tensors = two_trees(HUGE, [300, 2]).to_tensors()
    with pytest.raises(ModelError, match=r"damaged (trees|file)"):
        Trees.from_tensors(tensors | {name: np.ones(9, np.uint8)})
