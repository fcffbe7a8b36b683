"""The order in which training reads a text."""

from __future__ import annotations

import numpy as np
import pytest

from mlkit.word2vec import block_order
from mlkit.word2vec.block_order import Reading, block_bounds


def sentences(count: int, longest: int = 30) -> np.ndarray:
    """Return sentences of numbered words, so that every place of the text is known by its word."""
    generator = np.random.default_rng(count)
    ids = np.arange(count, dtype=np.int32)
    ends = np.cumsum(generator.integers(2, longest, count))
    ids[ends[ends < count]] = -1
    return ids


@pytest.mark.parametrize("size", [16, 100, 1024])
def test_blocks_end_with_sentences(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = sentences(20_000)
    bounds = block_bounds(ids, size)
    assert bounds[0] == 0
    assert bounds[-1] == len(ids)
    assert (ids[bounds[1:-1] - 1] == -1).all()
    assert (np.diff(bounds) > 0).all()
    assert np.diff(bounds).max() <= block_order.LONGEST * size
    for piece in (7, 1000):
        monkeypatch.setattr(block_order, "PIECE", piece)
        assert (block_bounds(ids, size) == bounds).all()


def test_blocks_of_a_sentence_without_end() -> None:
    assert block_bounds(np.zeros(0, np.int32), 10).tolist() == [0]
    assert block_bounds(np.zeros(45, np.int32), 10).tolist() == [0, 10, 20, 30, 40, 45]
    assert block_bounds(np.zeros(39, np.int32), 10).tolist() == [0, 39]
    ended = np.array([0, -1] * 3 + [0] * 50, np.int32)
    assert block_bounds(ended, 4).tolist() == [0, 4, *range(4 + 4, 56, 4), 56]


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_epoch_reads_the_whole_text(shuffle: bool) -> None:
    ids = sentences(30_000)
    text = Reading(ids, 3, 5, shuffle=shuffle, chunk=4096)
    assert text.chunks == 3 * text.per_epoch
    epochs = []
    for epoch in range(3):
        first = epoch * text.per_epoch
        parts = [text.text(first + chunk) for chunk in range(text.per_epoch)]
        places = [text.position(first + chunk) for chunk in range(text.per_epoch)]
        assert places == (epoch * len(ids) + np.cumsum([0, *map(len, parts)])[:-1]).tolist()
        assert max(map(len, parts)) <= 6000
        epochs.append(np.concatenate(parts))
        assert (np.sort(epochs[-1]) == np.sort(ids)).all()
        assert ((epochs[-1] == ids).all()) == (not shuffle)
    assert text.position(text.chunks) == text.size == 3 * len(ids)
    assert text.words(0, text.per_epoch) == (ids >= 0).sum()
    assert (epochs[0] != epochs[1]).any() == shuffle


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    ids = sentences(30_000)
    whole = Reading(ids, 2, 5, shuffle=True, chunk=4096)
    again = Reading(ids, 2, 5, shuffle=True, chunk=2048)
    other = Reading(ids, 2, 6, shuffle=True, chunk=4096)
    assert (again.order(1).places == whole.order(1).places).all()  # asked for before epoch 0
    assert (again.order(0).places == whole.order(0).places).all()
    assert (other.order(0).places != whole.order(0).places).any()
    assert (whole.order(0).places != whole.order(1).places).any()


def test_a_huge_text_has_larger_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_order, "MOST_BLOCKS", 10)
    text = Reading(np.zeros(100_000, np.int32), 1, 1, shuffle=True, chunk=1 << 16)
    assert len(text.bounds) == 11
    assert text.per_epoch == 2
