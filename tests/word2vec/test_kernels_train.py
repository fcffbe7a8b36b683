"""The kernels against plain Python, their loss against its gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlkit.arrays import aligned_zeros
from mlkit.word2vec import kernels_train as kernels
from mlkit.word2vec.sampling import HuffmanPaths, alias_table, huffman_paths, keep_thresholds
from tests.naive import word2vec as naive

WORDS = 23


def small_corpus(length: int = 300) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    ids = np.minimum(generator.zipf(1.4, length) - 1, WORDS - 1).astype(np.int32)
    ids[generator.random(length) < 0.08] = -1
    counts = np.bincount(ids[ids >= 0], minlength=WORDS).astype(np.int64) + 1
    return ids, np.sort(counts)[::-1].copy()


def run_both(
    *, cbow: bool, hierarchical: bool, window: int = 4, negative: int = 5, share: int = 1, dim: int = 20,
    sample: float = 1e-1, rate: float = 0.1, ids: np.ndarray | None = None,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]:  # fmt: skip
    corpus, counts = small_corpus()
    ids = corpus if ids is None else ids
    padded = -(-dim // 16) * 16
    generator = np.random.default_rng(1)
    start = generator.normal(size=(2, WORDS, dim)) * 0.5
    inputs, outputs = aligned_zeros(WORDS * padded), aligned_zeros(WORDS * padded)
    inputs.reshape(WORDS, padded)[:, :dim], outputs.reshape(WORDS, padded)[:, :dim] = start
    keep, alias = keep_thresholds(counts, sample), alias_table(counts, 0.75)
    paths = huffman_paths(counts) if hierarchical else HuffmanPaths.none(WORDS)
    negative = 0 if hierarchical else negative
    totals = np.zeros(3)
    with np.errstate(over="ignore"):
        kernels.train_chunk(
            ids, inputs, outputs, padded, keep, alias, paths.starts, paths.path, cbow, window, negative, share,
            rate, rate / 10, np.uint64(77), totals,
        )  # fmt: skip
    steps = [
        paths.path[start:end].tolist() for start, end in zip(paths.starts[:-1], paths.starts[1:], strict=True)
    ]
    loss = naive.train_chunk(
        ids.tolist(), start[0], start[1], keep.tolist(), alias.tolist(), steps, cbow=cbow, window=window,
        negative=negative, share=share, first_rate=rate, last_rate=rate / 10, key=77,
    )  # fmt: skip
    ours = (inputs.reshape(WORDS, padded), outputs.reshape(WORDS, padded), totals)
    return ours, (start[0], start[1], np.array(loss))


@pytest.mark.parametrize("cbow", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"hierarchical": False},
        {"hierarchical": True},
        {"hierarchical": False, "negative": 1, "window": 1},
        {"hierarchical": False, "negative": 5, "dim": 16, "sample": 0.0},
        {"hierarchical": False, "negative": 13, "share": 4, "dim": 33},
        {"hierarchical": True, "window": 9, "dim": 3},
    ],
)
def test_kernel_is_the_plain_algorithm(cbow: bool, options: dict) -> None:
    ours, plain = run_both(cbow=cbow, **options)
    dim = plain[0].shape[1]
    assert np.allclose(ours[0][:, :dim], plain[0], atol=3e-5, rtol=3e-5)
    assert np.allclose(ours[1][:, :dim], plain[1], atol=3e-5, rtol=3e-5)
    assert ours[2] == pytest.approx(plain[2], rel=1e-4)
    assert not ours[0][:, dim:].any(), "the padding stays zero"
    assert not ours[1][:, dim:].any()


@pytest.mark.parametrize("ids", [[], [-1], [-1, -1, 3, -1], [2], [1, 1, 1, -1, 1], [0, -1, -1, 5, 4]])
def test_kernel_on_degenerate_chunks(ids: list[int]) -> None:
    given = np.array(ids, np.int32)
    for cbow in (False, True):
        ours, plain = run_both(cbow=cbow, hierarchical=False, sample=0.0, ids=given)
        assert np.allclose(ours[0][:, :20], plain[0], atol=1e-4)
        assert ours[2] == pytest.approx(plain[2], rel=1e-5)


@pytest.mark.parametrize("cbow", [False, True])
@pytest.mark.parametrize("hierarchical", [False, True])
def test_update_is_the_gradient_of_the_loss(cbow: bool, hierarchical: bool) -> None:
    """One prediction, a tiny rate: the change of the inputs is -rate * d loss / d inputs, numerically."""
    counts = np.array([9, 5, 3, 2], np.int64)
    ids = np.array([0, 1], np.int32)
    paths = huffman_paths(counts) if hierarchical else HuffmanPaths.none(4)
    generator = np.random.default_rng(3)
    inputs, outputs = aligned_zeros(64), aligned_zeros(64)
    inputs[:], outputs[:] = generator.normal(size=(2, 64))

    def run(at: np.ndarray, rate: float) -> tuple[float, np.ndarray]:
        totals = np.zeros(3)
        moved_inputs, moved_outputs = aligned_zeros(64), aligned_zeros(64)
        moved_inputs[:], moved_outputs[:] = at, outputs
        with np.errstate(over="ignore"):
            kernels.train_chunk(
                ids, moved_inputs, moved_outputs, 16, keep_thresholds(counts, 0.0), alias_table(counts, 0.75),
                paths.starts, paths.path, cbow, 1, 0 if hierarchical else 5, 1, rate, rate, np.uint64(5), totals,
            )  # fmt: skip
        return totals[0], moved_inputs

    rate = 1e-3
    _, moved = run(inputs, rate)
    change = (moved.astype(np.float64) - inputs) / rate
    for place in (0, 5, 17, 30):  # in the rows of words 0 and 1
        step = np.zeros(64, np.float32)
        step[place] = 0.01
        slope = (run(inputs + step, 0.0)[0] - run(inputs - step, 0.0)[0]) / 0.02
        assert change[place] == pytest.approx(-slope, abs=0.02)


def test_loss_of_certain_and_impossible_pairs_is_exact() -> None:
    """No clamp at 6: the loss of a pair with x.y = -20 is 20."""
    inputs, outputs = aligned_zeros(32), aligned_zeros(32)
    inputs[[0, 16]] = 1.0
    outputs[[0, 16]] = -20.0
    counts = np.array([5, 5], np.int64)
    paths = huffman_paths(counts)  # one node: word 0 or 1
    outputs[16] = 0.0
    totals = np.zeros(3)
    with np.errstate(over="ignore"):
        kernels.train_chunk(
            np.array([0, 1, -1], np.int32), inputs, outputs, 16, keep_thresholds(counts, 0.0),
            np.zeros(1, np.uint64), paths.starts, paths.path, False, 1, 0, 1, 0.0, 0.0, np.uint64(1), totals,
        )  # fmt: skip
    assert totals[1] == 2
    assert totals[0] == pytest.approx(20 + 2 * math.log1p(math.exp(-20)), rel=1e-5)
