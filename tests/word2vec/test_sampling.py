from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.word2vec.sampling import alias_table, huffman_paths, keep_thresholds, mean_places
from tests.naive.word2vec import huffman_codes

COUNTS = st.lists(st.integers(1, 10**6), min_size=2, max_size=60)


def probabilities(table: np.ndarray) -> np.ndarray:
    """Return the distribution that an alias table stands for."""
    share = (table >> np.uint64(32)).astype(np.float64) / 0xFFFFFFFF
    chance = share.copy()
    np.add.at(chance, (table & np.uint64(0xFFFFFFFF)).astype(np.int64), 1 - share)
    return chance / len(table)


@given(COUNTS, st.floats(-1, 1.5))
def test_alias_table_is_the_distribution(counts: list[int], exponent: float) -> None:
    weights = np.array(counts, float) ** exponent
    table = alias_table(np.array(counts, np.int64), exponent)
    assert probabilities(table) == pytest.approx(weights / weights.sum(), abs=1e-6)


def test_alias_table_never_draws_words_without_count() -> None:
    chance = probabilities(alias_table(np.array([5, 0, 2, 0], np.int64), 0.75))
    assert chance[1] == pytest.approx(0, abs=1e-9)
    assert chance[3] == pytest.approx(0, abs=1e-9)
    assert chance.sum() == pytest.approx(1)


def test_keep_thresholds_follow_word2vec() -> None:
    counts = np.array([900_000, 90_000, 10_000], np.int64)
    share = counts / counts.sum()
    expected = np.minimum((np.sqrt(share / 1e-3) + 1) * 1e-3 / share, 1)
    assert keep_thresholds(counts, 1e-3) / 0xFFFFFFFF == pytest.approx(expected, abs=1e-9)
    assert (keep_thresholds(counts, 0) == 0xFFFFFFFF).all()


@given(COUNTS)
def test_huffman_tree_is_optimal_and_prefix_free(counts: list[int]) -> None:
    paths = huffman_paths(np.array(counts, np.int64))
    lengths = np.diff(paths.starts)
    # every optimal code has the same total length (one word has an empty code)
    assert int((lengths * counts).sum()) == sum(
        count * len(code) for count, code in zip(counts, huffman_codes(counts), strict=True)
    )
    assert sum(2.0 ** -int(length) for length in lengths) == pytest.approx(1)
    walks = {tuple(paths.path[a:b]) for a, b in zip(paths.starts[:-1], paths.starts[1:], strict=True)}
    assert len(walks) == len(counts)
    nodes = paths.path >> 1
    assert set(nodes.tolist()) == set(range(len(counts) - 1))
    assert (nodes[paths.starts[:-1]] == len(counts) - 2).all(), "every path starts at the root"


def test_huffman_of_one_word_is_empty() -> None:
    assert huffman_paths(np.array([3], np.int64)).path.size == 0


def test_words_of_one_count_stand_together_by_place() -> None:
    """Four words that tie: those of the first half of the text share a subtree, and those of the second."""
    ids = np.array([0, 2, -1, 0, 2, -1, 1, 3, -1, 1, 3], np.int32)
    places = mean_places(ids, 5)
    assert places.tolist() == [1.5, 7.5, 2.5, 8.5, 0.0]
    paths = huffman_paths(np.array([2, 2, 2, 2]), places[:4])
    first = paths.path[paths.starts[:-1]] & 1
    assert first[0] == first[2]
    assert first[1] == first[3]
    assert first[0] != first[1]
