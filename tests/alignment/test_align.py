"""Aligned vectors against closed forms, naive twins, and a language that is a rotated copy of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlkit.alignment import AlignSettings, Mapping, align
from mlkit.alignment.csls import Scores, best_partners, neighbourhoods
from mlkit.alignment.dictionaries import identical, read_dictionary
from mlkit.alignment.fitting import mutual_pairs
from mlkit.alignment.mapping import prepared, procrustes, reweighted, unit_rows
from mlkit.alignment.sentences import inverse_document_frequencies, sentence_vectors
from mlkit.alignment.translation import Translator, criterion
from mlkit.errors import DataError, ModelError, UsageError
from mlkit.formats.vectors import load_vectors, save_vectors
from mlkit.vectors.keyed_vectors import KeyedVectors
from tests.naive import alignment as naive


def language(n: int, d: int, seed: int = 0) -> np.ndarray:
    """Return vectors in clusters, with directions of unequal weight, as those of words are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(2, n // 8), d))
    spread = np.linspace(2, 0.3, d)
    rows = centres[rng.integers(len(centres), size=n)] + 0.7 * rng.standard_normal((n, d)) + 0.3
    return (rows * spread).astype(np.float32)


def rotation(d: int, seed: int = 5) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0].astype(np.float32)


def keyed(matrix: np.ndarray, prefix: str) -> KeyedVectors:
    return KeyedVectors([f"{prefix}{row}" for row in range(len(matrix))], matrix)


@pytest.mark.parametrize("height", [1, 7, 1000])
def test_passes_in_blocks_of_any_height_are_the_naive_twin(height: int) -> None:
    x, y = unit_rows(language(40, 6)), unit_rows(language(33, 6, 1))
    scores = Scores(x, y)
    scores.height = height
    means = neighbourhoods(scores, 4)
    expected = np.array(naive.csls(x.tolist(), y.tolist(), 4))
    full = 2 * x @ y.T - means.source[:, None] - means.target
    np.testing.assert_allclose(full, expected, atol=2e-6)
    best = best_partners(scores, means)
    assert best.of_source.tolist() == expected.argmax(axis=1).tolist()
    assert best.of_target.tolist() == expected.argmax(axis=0).tolist()
    ordered = np.sort(expected, axis=1)
    np.testing.assert_allclose(best.source_lead, ordered[:, -1] - ordered[:, -2], atol=4e-6)
    pairs = list(zip(*(rows.tolist() for rows in best.mutual()), strict=True))
    assert pairs == naive.mutual(expected.tolist())


def test_dropped_scores_do_not_depend_on_blocks() -> None:
    x, y = unit_rows(language(300, 6)), unit_rows(language(200, 6, 1))
    results = []
    for height in (9, 1000):
        scores = Scores(x, y)
        scores.height = height
        results.append(best_partners(scores, neighbourhoods(scores), drop=0.9, seed=7))
    assert results[0].of_source.tolist() == results[1].of_source.tolist()
    assert results[0].of_target.tolist() == results[1].of_target.tolist()
    whole = best_partners(scores, neighbourhoods(scores))
    same = (whole.of_source == results[0].of_source).mean()
    assert 0.05 < same < 0.2  # the best is kept one time in ten, and is then still the best


def test_supervised_is_the_closed_form() -> None:
    x, y = language(400, 20), language(350, 20, 1)
    rng = np.random.default_rng(3)
    rows, partners = rng.integers(400, size=200), rng.integers(350, size=200)
    found = align(x, y, (rows, partners), AlignSettings(refine=0))
    sides = []
    for matrix in (x.astype(np.float64), y.astype(np.float64)):
        unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        unit -= unit.mean(axis=0)
        sides.append(unit / np.linalg.norm(unit, axis=1, keepdims=True))
    left, _, right = np.linalg.svd(sides[0][rows].T @ sides[1][partners])
    np.testing.assert_allclose(found.mapping.source, left @ right, atol=1e-5)
    np.testing.assert_allclose(found.mapping.source @ found.mapping.source.T, np.eye(20), atol=1e-5)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_rotated_and_shuffled_copy_comes_back_whole(seed: int) -> None:
    x = language(800, 24)
    turn = rotation(24)
    order = np.random.default_rng(9).permutation(800)
    y = (x @ turn)[order]
    found = align(x, y, settings=AlignSettings(seed=seed, start_words=600, refine_words=800))
    np.testing.assert_allclose(found.mapping.source, turn, atol=1e-4)
    assert found.mutual == 1.0
    assert (order[found.target_rows] == found.source_rows).all()
    moved = found.mapping.rows(x)[0:800]
    np.testing.assert_allclose(moved[order], y, atol=2e-3)
    again = align(x, y, settings=AlignSettings(seed=seed, start_words=600, refine_words=800))
    assert again.mapping.source.tobytes() == found.mapping.source.tobytes()


def test_reweighting_undoes_a_rotation() -> None:
    x = prepared(language(500, 12))[0]
    y = (x @ rotation(12)).astype(np.float32)
    source, target = reweighted(x, y)
    np.testing.assert_allclose(x @ source, y @ target, atol=1e-4)


def test_bad_input_is_named() -> None:
    x = language(50, 8)
    with pytest.raises(DataError, match="dimensions cannot be aligned"):
        align(x, language(50, 9))
    with pytest.raises(DataError, match="7 pairs of words for 8 dimensions"):
        align(x, x, (np.arange(7), np.arange(7)))
    broken = x.copy()
    broken[3, 2] = np.nan
    with pytest.raises(DataError, match="vector 4 of the source words is not finite"):
        align(broken, x)
    with pytest.raises(DataError, match="vector 4 of the target words is not finite"):
        Translator(keyed(x, "s"), keyed(broken, "t"))
    with pytest.raises(DataError, match="there are no target vectors"):
        criterion(x, x[:0])
    with pytest.raises(UsageError, match="no method"):
        align(x, x, settings=AlignSettings(method="other"))


def test_retrieval_and_precision_are_the_naive_twins(tmp_path: Path) -> None:
    x, y = keyed(language(60, 8), "s"), keyed(language(50, 8, 1), "t")
    prepared_x, prepared_y = prepared(x.matrix)[0].tolist(), prepared(y.matrix)[0].tolist()
    expected = {
        "csls": naive.csls(prepared_x, prepared_y, 5),
        "nn": [[naive.cosine(a, b) for b in prepared_y] for a in prepared_x],
        "softmax": naive.inverted_softmax(prepared_x, prepared_y, 30),
    }
    path = tmp_path / "dictionary"
    rng = np.random.default_rng(2)
    pairs = [
        (f"s{i}", f"t{j}") for i, j in zip(rng.integers(70, size=90), rng.integers(50, size=90), strict=True)
    ]
    path.write_text("# a note\n\none two three\n" + "".join(f"{one} {other}\n" for one, other in pairs))
    dictionary = read_dictionary(path)
    assert dictionary.pairs == pairs
    assert dictionary.skipped == 1
    wanted: dict[str, set[str]] = {}
    for one, other in pairs:
        if one in x:
            wanted.setdefault(one, set()).add(other)
    for retrieval, scores in expected.items():
        translator = Translator(x, y, retrieval=retrieval, neighbours=5)
        ranked = {}
        for row, line in enumerate(scores):
            order = sorted(range(50), key=lambda j: -line[j])
            ranked[x.words[row]] = [y.words[j] for j in order]
        found = translator.translations("s3", 4)
        assert [word for word, _ in found] == ranked["s3"][:4]
        np.testing.assert_allclose(
            [score for _, score in found], sorted(scores[3])[:-5:-1], rtol=1e-4, atol=1e-5
        )
        figures = translator.precision(dictionary)
        for k in (1, 5, 10):
            assert figures.at[k] == pytest.approx(naive.precision(ranked, wanted, k))
        reciprocal = np.mean([1 / min(ranked[one].index(t) + 1 for t in wanted[one]) for one in wanted])
        assert figures.reciprocal == pytest.approx(reciprocal)
        assert figures.asked == len(wanted)
        assert figures.listed == len({one for one, _ in pairs})


def test_the_criterion_tells_a_copy_from_noise() -> None:
    x = language(600, 24)
    assert not criterion(x, x, words=500).failed
    assert criterion(x, language(600, 24, 8), words=500).failed


def test_identical_words_and_mutual_pairs() -> None:
    x, y = KeyedVectors(["a", "b", "c"], language(3, 4)), KeyedVectors(["c", "x", "a"], language(3, 4))
    assert [rows.tolist() for rows in identical(x, y)] == [[0, 2], [2, 0]]
    rows, partners, confidence, share = mutual_pairs(unit_rows(x.matrix), unit_rows(x.matrix), 3, 2)
    assert rows.tolist() == partners.tolist() == [0, 1, 2]
    assert share == 1
    assert (confidence > 0).all()


@pytest.mark.parametrize("suffix", ["bin", "txt", "safetensors"])
def test_a_mapping_survives_its_file_and_moves_any_file(tmp_path: Path, suffix: str) -> None:
    x = language(300, 8)
    centre = np.full(8, 0.1, np.float32)
    Mapping(rotation(8), rotation(8, 6), centre, centre).save(tmp_path / "map")
    mapping = Mapping.load(tmp_path / "map")
    save_vectors(tmp_path / "x.safetensors", [f"w{i}" for i in range(300)], x)
    words, mapped = load_vectors(tmp_path / "x.safetensors")
    mapping.rows(mapped, "target").save(tmp_path / f"out.{suffix}", words)
    expected = prepared(x, centre)[0] @ rotation(8, 6)
    np.testing.assert_allclose(load_vectors(tmp_path / f"out.{suffix}")[1], expected, atol=1e-6)
    with pytest.raises(DataError, match="a mapping for 8 dimensions"):
        mapping.rows(language(3, 4))
    with pytest.raises(DataError, match="leaves the target"):
        Mapping(rotation(8)).rows(x, "target")
    data = (tmp_path / "map").read_bytes()
    for size in (0, 5, 100, len(data) - 1):
        (tmp_path / "cut").write_bytes(data[:size])
        with pytest.raises(ModelError):
            Mapping.load(tmp_path / "cut")


def test_sentence_vectors_are_the_naive_twin() -> None:
    vectors = keyed(language(10, 5), "w")
    lines = ["w1 w2 w1 zebra", "w3", "nothing", "", "w1 w9"]
    split = [line.split() for line in lines]
    weights = inverse_document_frequencies(split)
    assert weights["w1"] == pytest.approx(np.log(5 / 2))
    table = {word: vectors[word].tolist() for word in vectors.words}
    for chosen in (None, weights):
        found = sentence_vectors(vectors, split, chosen)
        used = dict.fromkeys(vectors.words, 1.0) if chosen is None else chosen
        for row in (0, 1, 4):
            np.testing.assert_allclose(found.matrix[row], naive.sentence(split[row], table, used), atol=1e-6)
        assert not found.matrix[[2, 3]].any()
        assert (found.tokens, found.known, found.empty) == (8, 6, 2)


def test_procrustes_needs_no_signs() -> None:
    x = language(100, 6)
    np.testing.assert_allclose(procrustes(x, x @ rotation(6)), rotation(6), atol=1e-5)
