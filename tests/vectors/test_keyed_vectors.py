"""Queries and evaluations: equal to slow Python, and to gensim on the same vectors."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.errors import DataError, UsageError
from mlkit.vectors import evaluation
from mlkit.vectors.evaluation import evaluate_analogies, evaluate_pairs
from mlkit.vectors.keyed_vectors import KeyedVectors, UnknownWord, select
from mlkit.vectors.projection import principal_plane, with_neighbours
from mlkit.vectors.queries import (
    Query,
    answer,
    best_rows,
    neighbours,
    only_known,
    parse_analogy,
    parse_arguments,
    parse_query,
)
from mlkit.vectors.statistics import average_ranks, correlation_p_value, pearson, spearman
from tests.naive import vectors as naive

MISSING = "no vector for 'zebra'"


def random_vectors(rows: int = 400, dimension: int = 12, seed: int = 5) -> KeyedVectors:
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension), dtype=np.float32)
    return KeyedVectors([f"w{row}" for row in range(rows)], matrix)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> tuple[Any, KeyedVectors]:
    """Return the same vectors as gensim and as we hold them; some words differ only in case, some rows are equal."""
    keyed = pytest.importorskip("gensim.models").KeyedVectors
    from mlkit.formats.vectors import load_vectors, save_vectors

    generator = np.random.default_rng(11)
    found: dict[str, np.ndarray] = {}
    shift = np.zeros(20)
    for line in (shared / "data/vectors/questions-words.txt").read_text().splitlines():
        if line.startswith(":"):
            shift = generator.standard_normal(20)
            continue
        first, second, *_ = line.split()
        found.setdefault(first, generator.standard_normal(20))
        found.setdefault(second, found[first] + shift + 0.4 * generator.standard_normal(20))
    for line in (shared / "data/vectors/word-sim/EN-WS-353-ALL.txt").read_text().splitlines():
        for word in line.split()[:2]:
            found.setdefault(word, generator.standard_normal(20))
    # leave some words out, add case variants of others, make some rows equal
    words = [*found][::3] + [*found][1::3]
    variants = [word.upper() for word in words[::5] if word.upper() not in found]
    matrix = np.array([found[word] for word in words] + [*generator.standard_normal((len(variants), 20))])
    words, matrix = words + variants, matrix.astype(np.float32)
    matrix[7::50] = matrix[8::50][: len(matrix[7::50])]
    path = tmp_path_factory.mktemp("trained") / "v.bin"
    save_vectors(path, words, matrix)
    assert load_vectors(path)[0] == words
    return keyed.load_word2vec_format(str(path), binary=True), KeyedVectors.load(path)


def same_answers(theirs: list[tuple[str, float]], ours: list[Any]) -> bool:
    """Say whether two answers have the same scores, and the same words up to ties."""
    np.testing.assert_allclose([score for _, score in theirs], [near.score for near in ours], atol=1e-6)
    tied = {round(score, 5) for score, count in Counter(round(s, 5) for _, s in theirs).items() if count > 1}
    last = round(theirs[-1][1], 5)
    for (word, score), near in zip(theirs, ours, strict=True):
        if word != near.word and round(score, 5) not in tied and abs(round(score, 5) - last) > 1e-5:
            return False
    return True


@pytest.mark.filterwarnings("ignore:.*init_sims:DeprecationWarning")
@pytest.mark.parametrize("restrict", [None, 300])
@pytest.mark.parametrize("method", ["add", "mul"])
def test_neighbours_equal_gensim(
    trained: tuple[Any, KeyedVectors], method: str, restrict: int | None
) -> None:
    peer, vectors = trained
    chosen = np.random.default_rng(2).choice(vectors.words, 60).tolist()
    queries = [Query(word, (word,)) for word in chosen[:20]]
    queries += [
        Query("", (a, b), (c,)) for a, b, c in zip(chosen[::3], chosen[1::3], chosen[2::3], strict=True)
    ]
    for query, ours in answer(vectors, queries, 8, restrict_vocab=restrict, method=method):
        positive, negative = list(query.positive), list(query.negative)
        if method == "add":
            theirs = peer.most_similar(positive, negative, topn=8, restrict_vocab=restrict)
        else:
            # gensim's own restrict_vocab has no effect here
            every = peer.most_similar_cosmul(positive, negative, topn=len(peer))
            theirs = [item for item in every if peer.get_index(item[0]) < (restrict or len(peer))][:8]
        assert same_answers(theirs, ours)


@pytest.mark.parametrize("method", ["add", "mul"])
@pytest.mark.parametrize("tile", [1, 1 << 21])
def test_neighbours_equal_slow_python(monkeypatch: pytest.MonkeyPatch, method: str, tile: int) -> None:
    monkeypatch.setattr("mlkit.vectors.queries._TILE", tile)
    vectors = random_vectors(1500 if tile == 1 else 60)
    for positive, negative in ((("w3",), ()), (("w4", "w5"), ("w6",)), (("w1", "w1"), ("w2",))):
        expected = naive.nearest(vectors.words, vectors.matrix, positive, negative, 5, method)
        found = neighbours(vectors, Query("", positive, negative), 5, method=method)
        assert [near.word for near in found] == [word for word, _ in expected]
        np.testing.assert_allclose(
            [near.score for near in found], [score for _, score in expected], atol=1e-6
        )


def test_answers_do_not_depend_on_the_batch() -> None:
    vectors = random_vectors()
    queries = [Query(word, (word,)) for word in vectors.words[:50]]
    assert list(answer(vectors, queries, 5, batch=1)) == list(answer(vectors, queries, 5, batch=32))


def test_equal_words_come_in_the_order_of_the_file() -> None:
    matrix = np.tile(np.array([[0.3, 0.7, 0.1]], np.float32), (40, 1))
    vectors = KeyedVectors([f"w{row}" for row in range(40)], matrix)
    found = neighbours(vectors, "w20", 5)
    assert {near.score for near in found} == {found[0].score}
    assert len(found) == 5
    assert [near.word for near in neighbours(vectors, "w20", 39)] == [
        f"w{row}" for row in range(40) if row != 20
    ]


def test_words_without_direction_are_no_neighbours() -> None:
    matrix = np.array([[1, 0], [0, 0], [1, 1], [np.nan, 1], [0, 1]], np.float32)
    vectors = KeyedVectors(list("abcde"), matrix)
    assert [near.word for near in neighbours(vectors, "a")] == ["c", "e"]
    assert [near.score for near in neighbours(vectors, "b")] == [0.0, 0.0, 0.0]
    assert neighbours(KeyedVectors(["a"], matrix[:1]), "a") == []


def test_best_rows_of_few() -> None:
    scores = np.array([[3, 1, 2]], np.float32)
    assert best_rows(lambda begin, end: scores[:, begin:end], 1, 3, 5)[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "positive", "negative"),
    [
        ("king", ("king",), ()),
        ("biggest - big + worst", ("biggest", "worst"), ("big",)),
        ("- big + worst", ("worst",), ("big",)),
        ("well-known", ("well-known",), ()),
        ("-", ("-",), ()),
    ],
)
def test_parse_query(text: str, positive: tuple[str, ...], negative: tuple[str, ...]) -> None:
    assert parse_query(text) == Query(text, positive, negative)


@pytest.mark.parametrize("text", ["", "two words", "a -", "a - - b", "a b + c"])
def test_what_is_no_query(text: str) -> None:
    with pytest.raises(UsageError, match="not a query"):
        parse_query(text)


def test_arguments_are_queries_or_one_sum() -> None:
    assert [query.text for query in parse_arguments(["a", "b - c"])] == ["a", "b - c"]
    assert parse_arguments(["a", "-", "b"]) == [Query("a - b", ("a",), ("b",))]
    assert parse_analogy("man king  woman") == Query("man king woman", ("king", "woman"), ("man",))
    with pytest.raises(UsageError, match="three words"):
        parse_analogy("man king")


def test_unknown_words() -> None:
    vectors = random_vectors()
    with pytest.raises(UnknownWord, match=MISSING):
        neighbours(vectors, "zebra")
    queries = [parse_query("w1"), parse_query("zebra + w2"), parse_query("w3")]
    unknown: Counter[str] = Counter()
    assert list(only_known(vectors, queries, unknown)) == [queries[0], queries[2]]
    assert unknown == {"zebra": 1}
    with pytest.raises(UnknownWord, match=MISSING):
        list(only_known(vectors, queries, None))
    for wrong in ({"k": 0}, {"method": "max"}):
        with pytest.raises(UsageError):
            list(answer(vectors, queries, **wrong))


@pytest.mark.parametrize(
    "rules",
    [{}, {"dummy4unknown": True}, {"restrict_vocab": 450}, {"case_insensitive": False}],
    ids=["default", "count-unknown", "restricted", "case-sensitive"],
)
def test_analogies_equal_gensim(
    trained: tuple[Any, KeyedVectors], tmp_path: Path, shared: Path, rules: dict[str, Any]
) -> None:
    peer, vectors = trained
    lines = (shared / "data/vectors/questions-words.txt").read_text().splitlines()
    path = tmp_path / "questions.txt"
    text = []
    for number, line in enumerate(lines):
        if line.startswith(": ") or number % 23 == 0:
            text.append(line)
    path.write_text("\n".join([*text, "only three words", "", ": more", "a a a a"]) + "\n")
    score, theirs = peer.evaluate_word_analogies(str(path), **rules)
    ours = evaluate_analogies(
        vectors, path, restrict_vocab=rules.get("restrict_vocab", 300_000),
        case_sensitive="case_insensitive" in rules, count_unknown="dummy4unknown" in rules,
    )  # fmt: skip
    expected = [(s["section"], len(s["correct"]), len(s["correct"] + s["incorrect"])) for s in theirs[:-1]]
    assert [(s.name, s.correct, s.answered) for s in ours.sections] == expected
    assert ours.total.accuracy == score
    assert ours.total.correct > 0
    assert ours.skipped == 2
    assert ours.total.unknown > 0


@pytest.mark.parametrize("method", ["add", "mul"])
def test_analogies_equal_slow_python(tmp_path: Path, method: str) -> None:
    """With 3CosMul too: gensim's `evaluate_word_analogies` always takes 3CosAdd, whatever it is asked for."""
    vectors = random_vectors(30, 3)
    generator = np.random.default_rng(1)
    questions = [generator.choice(vectors.words, 4, replace=False).tolist() for _ in range(150)]
    path = tmp_path / "questions.txt"
    path.write_text(": all\n" + "".join(" ".join(question) + "\n" for question in questions))
    right = sum(
        naive.nearest(vectors.words, vectors.matrix, (b, c), (a,), 1, method)[0][0] == d
        for a, b, c, d in questions
    )
    assert right > 0
    assert evaluate_analogies(vectors, path, method=method).total.correct == right


def test_ties_and_case_variants_equal_gensim(tmp_path: Path) -> None:
    """Few distinct directions, so that nearly every score ties; many case variants of the question's words."""
    keyed = pytest.importorskip("gensim.models").KeyedVectors
    generator = np.random.default_rng(4)
    words = [*"abcdefgh", *(f"{x}{y}{z}" for x in "xX" for y in "yY" for z in "zZ"), *"ABCD", "i", "j"]
    matrix = generator.integers(-1, 2, (len(words), 3)).astype(np.float32)
    matrix[(matrix == 0).all(axis=1)] = 1
    peer = keyed(3)
    peer.add_vectors(words, matrix)
    lines = [": all"] + [" ".join(generator.choice(words, 4)) for _ in range(600)]
    path = tmp_path / "questions.txt"
    path.write_text("\n".join(lines) + "\n")
    for insensitive in (True, False):
        score, sections = peer.evaluate_word_analogies(str(path), case_insensitive=insensitive)
        ours = evaluate_analogies(KeyedVectors(words, matrix), path, case_sensitive=not insensitive)
        assert ours.total.accuracy == score
        assert ours.total.answered == len(sections[0]["correct"]) + len(sections[0]["incorrect"])


def test_batches_do_not_show(
    trained: tuple[Any, KeyedVectors], shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = trained[1]
    path = shared / "data/vectors/questions-words.txt"
    whole = evaluate_analogies(vectors, path)
    monkeypatch.setattr(evaluation, "_BATCH", 37)
    monkeypatch.setattr(evaluation, "_TILE", 37 * 100)
    seen: list[float] = []
    assert evaluate_analogies(vectors, path, progress=lambda report: seen.append(report.done)) == whole
    assert seen[-1] == whole.total.answered
    semantic, syntactic = whole.groups
    assert semantic.answered + syntactic.answered == whole.total.answered
    assert whole.listed == 19544


@pytest.mark.parametrize(
    "rules", [{}, {"dummy4unknown": True}, {"restrict_vocab": 400}, {"case_insensitive": False}]
)
@pytest.mark.parametrize("name", ["vectors/word-sim/EN-WS-353-ALL.txt", "formats/gensim/wordsim353.tsv"])
def test_pairs_equal_gensim(
    trained: tuple[Any, KeyedVectors], shared: Path, name: str, rules: dict[str, Any]
) -> None:
    peer, vectors = trained
    path = shared / "data" / name
    by_value, by_rank, ratio = peer.evaluate_word_pairs(str(path), **rules)
    ours = evaluate_pairs(
        vectors, path, restrict_vocab=rules.get("restrict_vocab", 300_000),
        case_sensitive="case_insensitive" in rules, count_unknown="dummy4unknown" in rules,
    )  # fmt: skip
    assert ours.spearman == pytest.approx(by_rank.statistic, abs=1e-14)
    assert ours.pearson == pytest.approx(by_value.statistic, abs=1e-14)
    assert ours.spearman_p == pytest.approx(by_rank.pvalue, rel=1e-9)
    assert ours.pearson_p == pytest.approx(by_value.pvalue, rel=1e-9)
    assert 100 * ours.unknown_ratio == pytest.approx(ratio, abs=1e-12)


def test_pairs_of_other_shapes(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("Word 1,Word 2,Human (mean)\nw1,w2,1.5\nw3 w4 2\nw5\tw6\t7\nw7,zebra,3\n")
    found = evaluate_pairs(random_vectors(), path)
    assert (found.pairs, found.unknown, found.skipped, found.listed) == (3, 1, 1, 4)
    path.write_text("zebra yak 3\n")
    assert math.isnan(evaluate_pairs(random_vectors(), path).spearman)
    for content in ("", "# nothing\n", "a b\n"):
        path.write_text(content)
        with pytest.raises(DataError, match="no pairs"):
            evaluate_pairs(random_vectors(), path)


def test_questions_without_sections(tmp_path: Path) -> None:
    path = tmp_path / "questions"
    path.write_text("w1 w2 w3 w4\n")
    assert [section.name for section in evaluate_analogies(random_vectors(), path).sections] == ["questions"]
    path.write_text(": empty\n")
    with pytest.raises(DataError, match="no questions"):
        evaluate_analogies(random_vectors(), path)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=30))
def test_correlations_equal_scipy(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    x, y = (np.array(values, float) for values in zip(*pairs, strict=True))
    assert average_ranks(x).tolist() == naive.average_ranks(x.tolist())
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert math.isnan(pearson(x, y))
        assert math.isnan(correlation_p_value(spearman(x, y), len(x)))
        return
    for ours, theirs in ((pearson(x, y), stats.pearsonr(x, y)), (spearman(x, y), stats.spearmanr(x, y))):
        assert ours == pytest.approx(theirs.statistic, abs=1e-12)
        assert correlation_p_value(ours, len(x)) == pytest.approx(theirs.pvalue, rel=1e-5, abs=1e-7)


def test_select_and_lengths() -> None:
    vectors = random_vectors(5)
    some = select(vectors, {"w3", "w1", "zebra"}, normalize=True)
    assert some.words == ["w1", "w3"]
    np.testing.assert_allclose(some.lengths(0, 2), 1, rtol=1e-6)
    assert select(vectors, None) is vectors
    shortest, mean, longest = vectors.length_range()
    assert 0 < shortest < mean < longest
    assert KeyedVectors([], np.empty((0, 3), np.float32)).length_range() == (0, 0, 0)
    assert "w1" in vectors
    assert (vectors["w1"] == vectors.matrix[1]).all()
    assert len(vectors) == 5
    with pytest.raises(ValueError, match="words for a matrix"):
        KeyedVectors(["a"], vectors.matrix)


def test_principal_plane() -> None:
    matrix = np.array([[1, 0, 0], [-1, 0, 0], [0, 0.5, 0], [0, -0.5, 0]], np.float32)
    plane, shares = principal_plane(KeyedVectors(list("abcd"), matrix), list("abcd"))
    np.testing.assert_allclose(np.abs(plane).sum(), 4, rtol=1e-6)
    assert shares == pytest.approx((0.5, 0.5))
    plane, _ = principal_plane(KeyedVectors(list("abcd"), matrix), ["a"])
    assert plane.tolist() == [[0, 0]]
    vectors = random_vectors()
    groups = with_neighbours(vectors, ["w1", "w2", "w1"], 3)
    assert [group[0] for group in groups] == ["w1", "w2"]
    flat = [word for group in groups for word in group]
    assert len(flat) == len(set(flat)) == 8
    with pytest.raises(UsageError, match="no words"):
        with_neighbours(vectors, [], 3)


def test_threads_do_not_show(tmp_path: Path) -> None:
    vectors = random_vectors(3000)
    queries = [Query(word, (word,)) for word in vectors.words[:1000]]
    assert list(answer(vectors, queries, 5, threads=3)) == list(answer(vectors, queries, 5))
    path = tmp_path / "questions"
    generator = np.random.default_rng(3)
    lines = [" ".join(generator.choice(vectors.words, 4)) for _ in range(1500)]
    path.write_text(": all\n" + "\n".join(lines) + "\n")
    assert evaluate_analogies(vectors, path, threads=3) == evaluate_analogies(vectors, path)
