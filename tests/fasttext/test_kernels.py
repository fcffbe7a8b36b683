"""The kernels against plain Python."""

from __future__ import annotations

from itertools import chain, pairwise

import numpy as np
import pytest

from mlkit.arrays import aligned_zeros
from mlkit.fasttext import kernels_quantize, kernels_training
from mlkit.fasttext.loop import LOSS_NUMBERS, padded, tree_paths
from mlkit.word2vec.sampling import alias_table
from tests.naive import fasttext as naive

DIM, LABELS, WORDS, BUCKET = 20, 19, 6, 50


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(over="ignore"):  # the generators wrap around
        yield


def flat(matrix):
    rows, dim = matrix.shape
    result = aligned_zeros(padded(rows) * padded(dim))
    result.reshape(-1, padded(dim))[:rows, :dim] = matrix
    return result


def shaped(values, rows):
    return values.reshape(-1, padded(DIM))[:rows, :DIM]


def paths_of(counts, loss):
    starts, path = tree_paths(counts, loss)
    return starts, path, [path[a:b].tolist() for a, b in pairwise(starts)]


@pytest.mark.parametrize("loss", ["softmax", "ova", "hs", "ns"])
def test_training_on_lines(loss):
    random = np.random.default_rng(5)
    words = [b"w%d" % i for i in range(WORDS)]
    hashes = np.array([naive.token_hash(word) for word in words] + [0] * LABELS, np.uint32)
    subs = [[i, WORDS + i % 3] for i in range(WORDS)] + [[]] * LABELS
    bucket_rows = np.where(np.arange(BUCKET) % 4 == 0, -1, WORDS + np.arange(BUCKET)).astype(np.int32)
    texts = [random.integers(0, WORDS, n).tolist() for n in (3, 1, 5, 0, 2, 4)]
    gold = [random.integers(0, LABELS, n).tolist() for n in (1, 2, 1, 1, 0, 3)]
    lines, ids, bounds = [], [], [0]
    for text, labels in zip(texts, gold, strict=True):
        ids += [WORDS + label for label in labels] + text
        bounds.append(len(ids))
        grams = naive.word_ngrams([words[i] for i in text], 3, BUCKET)
        rows = [row for i in text for row in subs[i]] + [int(bucket_rows[g]) for g in grams if g % 4]
        lines.append((rows, labels, len(text) + len(labels)))
    matrix = random.normal(0, 0.3, (WORDS + BUCKET, DIM)).astype(np.float32)
    output = random.normal(0, 0.3, (LABELS, DIM)).astype(np.float32)
    counts = np.arange(LABELS, 0, -1) ** 2
    starts, path, lists = paths_of(counts, loss)
    noise = alias_table(counts, 0.5)
    want_in, want_out = matrix.astype(np.float64), output.astype(np.float64)
    want = naive.train_lines(lines, want_in, want_out, loss, 0.5, 0.01, lists, noise.tolist(), 5, 7)

    got_in, got_out = flat(matrix), flat(output)
    result = np.zeros(2)
    sizes = np.array([WORDS, LABELS, 3, BUCKET, padded(DIM), LOSS_NUMBERS[loss], 5], np.int64)
    kinds = np.array([0] * WORDS + [1] * LABELS, np.uint8)
    kernels_training.train_lines(
        np.array(ids, np.int32), np.array(bounds, np.int64), np.arange(6, dtype=np.int32), 0, 6,
        np.concatenate([[0], np.cumsum([len(s) for s in subs])]).astype(np.int64),
        np.array(list(chain(*subs)), np.int32), kinds, hashes, bucket_rows, sizes, starts, path, noise, got_in, got_out,
        0.5, 0.01, np.uint64(7), np.zeros(100, np.int32), np.zeros(9, np.int32),
        aligned_zeros(3 * padded(DIM) + padded(LABELS) + 16), result,
    )  # fmt: skip
    assert result[1] == 4
    assert result[0] == pytest.approx(want, rel=1e-4)
    np.testing.assert_allclose(shaped(got_in, WORDS + BUCKET), want_in, atol=2e-5)
    np.testing.assert_allclose(shaped(got_out, LABELS), want_out, atol=2e-5)


@pytest.mark.parametrize("loss", ["ns", "hs", "softmax"])
@pytest.mark.parametrize("model", ["skipgram", "cbow"])
def test_training_on_words(model, loss):
    random = np.random.default_rng(6)
    vocabulary, eos = 19, 0
    rows = [[i, vocabulary + i % 5, vocabulary + 5 + i % 3] for i in range(vocabulary)]
    lines = [[*random.integers(1, vocabulary, n).tolist(), eos] for n in (6, 1, 12)]
    matrix = random.normal(0, 0.3, (vocabulary + 8, DIM)).astype(np.float32)
    output = random.normal(0, 0.3, (vocabulary, DIM)).astype(np.float32)
    counts = np.arange(vocabulary, 0, -1) ** 2
    starts, path, lists = paths_of(counts, loss)
    noise = alias_table(counts, 0.5)
    want_in, want_out = matrix.astype(np.float64), output.astype(np.float64)
    want = naive.train_words(
        model, lines, rows, want_in, want_out, loss, 3, 0.2, 0.001, lists, noise.tolist(), 4, 9
    )

    got_in, got_out = flat(matrix), flat(output)
    ids = np.array(list(chain(*lines)), np.int32)
    result = np.zeros(2)
    sizes = np.array([eos, vocabulary, 3, 4, padded(DIM), LOSS_NUMBERS[loss]], np.int64)
    shared = (
        ids, 0, len(ids), np.arange(0, 3 * vocabulary + 1, 3, dtype=np.int64), np.array(list(chain(*rows)), np.int32),
        np.full(vocabulary, 0xFFFFFFFF, np.uint32), sizes, starts, path, noise, got_in, got_out, 0.2, 0.001,
        np.uint64(9), aligned_zeros(3 * padded(DIM) + padded(vocabulary) + 16),
    )  # fmt: skip
    if model == "cbow":
        sentence = aligned_zeros(2 * kernels_training.MAX_LINE * padded(DIM))
        kernels_training.train_cbow(*shared, sentence, result)
    else:
        kernels_training.train_skipgram(*shared, result)
    assert result[0] == pytest.approx(want, rel=1e-4)
    np.testing.assert_allclose(shaped(got_in, vocabulary + 8), want_in, atol=5e-5)
    np.testing.assert_allclose(shaped(got_out, vocabulary), want_out, atol=5e-5)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_codes_are_the_nearest_centroids(columns):
    random = np.random.default_rng(columns)
    points = random.normal(size=(60, columns)).astype(np.float32)
    centroids = random.normal(size=(256, columns)).astype(np.float32)
    codes = np.zeros(60, np.uint8)
    kernels_quantize.encode(
        points.ravel(), columns, centroids.ravel(), codes, np.zeros((columns + 1) * 256, np.float32),
        np.zeros(272, np.float32),
    )  # fmt: skip
    distances = ((points[:, None, :].astype(np.float64) - centroids[None]) ** 2).sum(axis=2)
    chosen = distances[np.arange(60), codes]
    np.testing.assert_allclose(chosen, distances.min(axis=1), atol=1e-5)


def test_clustering_lowers_the_error_and_fills_empty_clusters():
    random = np.random.default_rng(1)
    points = np.repeat(random.normal(size=(300, 2)), 2, axis=0).astype(np.float32)
    start = np.ascontiguousarray(np.repeat(points[:128], 2, axis=0))

    def error(book):
        book = book.reshape(256, 2)
        return ((points[:, None, :] - book[None]) ** 2).sum(axis=2).min(axis=1).mean()

    book = start.ravel().copy()
    sizes = np.zeros(256, np.int64)
    kernels_quantize.cluster(
        points.ravel(), 2, book, 3, random.random(64), np.zeros(3 * 256, np.float32), np.zeros(272, np.float32),
        np.zeros(512), sizes,
    )  # fmt: skip
    assert error(book) < error(start.ravel()) / 2
    assert sizes.sum() == 600
