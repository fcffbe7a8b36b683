"""fastText's files: three layouts, against gensim; round trips; damaged files."""

from __future__ import annotations

import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import MlkitError
from mlkit.fasttext.model import Model, compacted, load, save
from mlkit.fasttext.quantize import prune, quantise_matrix
from mlkit.formats.fasttext_bin import FastTextArgs, FastTextFile, QuantMatrix, read_fasttext, write_fasttext


def small_file(quantised=False, kept=False):
    random = np.random.default_rng(3)
    args = FastTextArgs(dim=6, model="supervised", loss="softmax", bucket=300, minn=2, maxn=3, word_ngrams=2)
    matrix = random.normal(size=(303, 6)).astype(np.float32)
    return FastTextFile(
        args, [b"</s>", b"a", "é".encode(), b"__label__x", b"__label__y"], np.array([9, 5, 2, 4, 1]),
        np.array([0, 0, 0, 1, 1], np.int8), 21,
        quantise_matrix(matrix, 4, True) if quantised else matrix, random.normal(size=(2, 6)).astype(np.float32),
        np.array([[7, 1], [3, 0], [250, 2]], np.int32) if kept else None,
    )  # fmt: skip


def content(file):
    stream = io.BytesIO()
    write_fasttext(stream, file)
    return stream.getvalue()


@pytest.mark.parametrize(("quantised", "kept"), [(False, False), (True, False), (True, True)])
def test_round_trip(tmp_path, quantised, kept):
    data = content(small_file(quantised, kept))
    path = tmp_path / "model.bin"
    path.write_bytes(data)
    assert content(read_fasttext(path)) == data


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.binary(max_size=12), st.booleans())
def test_damaged_files(tmp_path_factory, place, noise, cut):
    data = content(small_file(quantised=place % 2 == 0, kept=place % 4 == 0))
    place %= len(data)
    data = data[:place] if cut else data[:place] + noise + data[place + len(noise) :]
    path = tmp_path_factory.mktemp("damaged") / "model.bin"
    path.write_bytes(data)
    with contextlib.suppress(MlkitError):
        load(path).word_vectors([b"a", b"unknown"])


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("random") / "model.bin"
    path.write_bytes(data)
    with pytest.raises(MlkitError):
        read_fasttext(path)


def test_newer_version_is_named(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(struct.pack("<2i", 793712314, 13) + bytes(200))
    with pytest.raises(MlkitError, match="version 13"):
        read_fasttext(path)


@pytest.mark.parametrize(
    "name",
    ["lee_fasttext", "lee_fasttext_new", "non_ascii_fasttext", "crime-and-punishment", "toy-model",
     "toy-model-pretrained"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_vectors_are_gensims(shared, name):
    facebook = pytest.importorskip("gensim.models.fasttext")
    path = str(shared / "data/formats/gensim" / f"{name}.bin")
    theirs = facebook.load_facebook_model(path).wv
    ours = load(path)
    # gensim gives </s> n-grams, fastText does not (the next test compares with fastText's own file)
    known = [word for word in theirs.index_to_key if word.encode() in ours.index and word != "</s>"]
    assert len(known) > 20
    words = [*known, "unheardof", "xyzzy", "нечто"]
    vectors = ours.word_vectors([word.encode() for word in words])
    np.testing.assert_allclose(vectors, np.array([theirs.get_vector(word) for word in words]), atol=1e-6)


@pytest.mark.parametrize("name", ["lee_fasttext", "crime-and-punishment", "toy-model"])
def test_vectors_are_those_that_fasttext_printed(shared, name):
    folder = shared / "data/formats/gensim"
    lines = [line.split() for line in (folder / f"{name}.vec").read_text().splitlines()[1:]]
    vectors = load(folder / f"{name}.bin").word_vectors([line[0].encode() for line in lines])
    np.testing.assert_allclose(vectors, np.array([line[1:] for line in lines], float), rtol=5e-5, atol=1e-5)


def test_words_that_are_not_utf8(shared):
    model = load(shared / "data/formats/gensim/cp852_fasttext.bin")
    assert model.words[1] == b"kter\xec"
    assert np.isfinite(model.word_vectors(model.words)).all()


def sparse_model():
    random = np.random.default_rng(4)
    args = FastTextArgs(dim=5, model="skipgram", loss="ns", bucket=1000, minn=2, maxn=4)
    words = [b"</s>", b"hello", b"world"]
    full = Model(
        args, words, np.array([3, 2, 1]), np.zeros(3, np.int8), 6, np.zeros((1003, 5), np.float32),
        random.normal(size=(3, 5)).astype(np.float32),
    )  # fmt: skip
    rows = np.concatenate([row for _, row in full.rows_of_words(words)])
    full.input[rows] = random.normal(size=(len(rows), 5))
    return full


def test_native_file_holds_used_rows_only_and_means_the_same(tmp_path):
    full = sparse_model()
    save(tmp_path / "m.safetensors", compacted(full))
    save(tmp_path / "m.bin", full)
    native = load(tmp_path / "m.safetensors")
    save(tmp_path / "again.bin", native)
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "m.bin").read_bytes()
    assert (tmp_path / "m.safetensors").stat().st_size < (tmp_path / "m.bin").stat().st_size / 5
    words = [b"hello", b"world", b"held", b"zzz"]
    np.testing.assert_allclose(native.word_vectors(words), full.word_vectors(words), atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100_000), st.binary(min_size=1, max_size=6))
def test_damaged_native_file(tmp_path_factory, place, noise):
    path = tmp_path_factory.mktemp("native") / "m.safetensors"
    save(path, compacted(sparse_model()))
    data = bytearray(path.read_bytes())
    place %= len(data)
    data[place : place + len(noise)] = noise
    path.write_bytes(data)
    try:
        load(path).word_vectors([b"hello", b"x"])
    except MlkitError:
        pass


def test_pruning_keeps_the_longest_rows():
    file = small_file()
    model = Model(file.args, file.words, file.counts, file.kinds, 21, file.input, file.output)
    pruned = prune(model, 40)
    norms = np.linalg.norm(file.input, axis=1)
    norms[0] = np.inf
    assert sorted(np.linalg.norm(pruned.input, axis=1)) == sorted(
        np.linalg.norm(file.input[np.argsort(-norms)[:40]], axis=1)
    )
    assert pruned.words[0] == b"</s>"
    assert pruned.labels == model.labels
    assert pruned.word_count + len(pruned.buckets) == 40


def test_quantised_matrix_is_close():
    matrix = np.random.default_rng(1).normal(size=(2000, 10)).astype(np.float32)
    for with_norms in (False, True):
        coded = quantise_matrix(matrix, 2, with_norms)
        assert isinstance(coded, QuantMatrix)
        error = np.linalg.norm(coded.take(np.arange(2000)) - matrix) / np.linalg.norm(matrix)
        assert error < 0.15
