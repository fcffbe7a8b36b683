"""All three metrics against sacreBLEU itself, on random Unicode texts: repr-equal scores, equal statistics."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from unittest import mock

import pytest
import sacrebleu.metrics as peer
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.metrics import Bleu, Chrf, Ter
from mlkit.metrics.metric import Metric, signature_text, total
from tests.metrics.data import segments, words

logging.getLogger("sacrebleu").setLevel(logging.ERROR)

corpora = st.lists(st.tuples(segments, segments, segments), min_size=1, max_size=5)
quick = settings(max_examples=60, deadline=None)


def compare(
    ours: Metric, theirs: Any, hypotheses: Sequence[str], references: Sequence[Sequence[str | None]]
) -> None:
    expected = theirs.corpus_score(hypotheses, references)
    ours.prepare(references)
    rows = ours.statistics(hypotheses)
    assert rows == theirs._extract_corpus_statistics(hypotheses, references)
    assert repr(ours.score(total(rows)).value) == repr(expected.score)
    theirs._ref_cache = theirs._cache_references(references)
    assert signature_text(ours.signature()) == theirs.get_signature().format()
    assert signature_text(ours.signature(), short=True) == theirs.get_signature().format(short=True)
    assert ours.score(total(rows)).format(3) == expected.format(3)


def split(corpus: list[tuple[str, str, str]], references: int) -> tuple[list[str], list[list[str]]]:
    hypothesis, *others = (list(column) for column in zip(*corpus, strict=True))
    return hypothesis, others[:references]


@quick
@given(
    corpora,
    st.integers(1, 2),
    st.sampled_from(["13a", "intl", "char", "zh", "none"]),
    st.sampled_from(
        [("exp", None), ("floor", None), ("floor", 0.01), ("add-k", None), ("add-k", 0.5), ("none", None)]
    ),
    st.booleans(),
    st.booleans(),
)
def test_bleu(
    corpus: Any, references: int, tokenize: str, smooth: Any, lowercase: bool, effective: bool
) -> None:
    hypotheses, streams = split(corpus, references)
    options = {
        "tokenize": tokenize, "smooth_method": smooth[0], "smooth_value": smooth[1], "lowercase": lowercase,
        "effective_order": effective,
    }  # fmt: skip
    compare(Bleu(**options), peer.BLEU(**options), hypotheses, streams)


@quick
@given(corpora, st.integers(1, 2), st.sampled_from(["13a", "none"]), st.booleans(), st.booleans())
def test_large_inputs(corpus: Any, references: int, tokenize: str, case: bool, whitespace: bool) -> None:
    """The kernels that take over on large inputs."""
    hypotheses, streams = split(corpus, references)
    with (
        mock.patch("mlkit.metrics.bleu.LINES_FROM", 0),
        mock.patch("mlkit.metrics.chrf.COMPILED_FROM", 0),
        mock.patch("mlkit.metrics.ter.COMPILED_FROM", 0),
    ):
        settings = {"tokenize": tokenize, "lowercase": case}
        compare(Bleu(**settings), peer.BLEU(**settings), hypotheses, streams)
        settings = {"lowercase": case, "whitespace": whitespace, "word_order": 2 * case}
        compare(Chrf(**settings), peer.CHRF(**settings), hypotheses, streams)
        compare(Ter(case_sensitive=case), peer.TER(case_sensitive=case), hypotheses, streams)


@quick
@given(corpora, st.integers(1, 6))
def test_bleu_with_other_orders(corpus: Any, order: int) -> None:
    hypotheses, streams = split(corpus, 1)
    compare(Bleu(max_order=order), peer.BLEU(max_ngram_order=order), hypotheses, streams)


@quick
@given(corpora, st.integers(1, 2), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_ter(corpus: Any, references: int, normalized: bool, no_punct: bool, asian: bool, case: bool) -> None:
    hypotheses, streams = split(corpus, references)
    options = {
        "normalized": normalized, "no_punct": no_punct, "asian_support": asian, "case_sensitive": case,
    }  # fmt: skip
    compare(Ter(**options), peer.TER(**options), hypotheses, streams)


@quick
@given(
    corpora,
    st.integers(1, 2),
    st.integers(1, 7),
    st.integers(0, 3),
    st.integers(1, 3),
    st.tuples(*[st.booleans()] * 3),
)
def test_chrf(corpus: Any, references: int, char: int, word: int, beta: int, flags: Any) -> None:
    hypotheses, streams = split(corpus, references)
    options = {
        "char_order": char, "word_order": word, "beta": beta, "lowercase": flags[0], "whitespace": flags[1],
        "eps_smoothing": flags[2],
    }  # fmt: skip
    compare(Chrf(**options), peer.CHRF(**options), hypotheses, streams)


@quick
@given(corpora, st.lists(st.booleans(), min_size=5, max_size=5))
def test_a_variable_number_of_references(corpus: Any, present: list[bool]) -> None:
    hypotheses, streams = split(corpus, 2)
    streams[1] = [text if here else None for text, here in zip(streams[1], present, strict=False)]  # type: ignore[misc]
    compare(Bleu(), peer.BLEU(), hypotheses, streams)
    compare(Ter(), peer.TER(), hypotheses, streams)
    compare(Chrf(word_order=1), peer.CHRF(word_order=1), hypotheses, streams)


@pytest.mark.parametrize("metric", [Bleu(), Chrf(), Chrf(word_order=2)], ids=lambda m: m.name)
@quick
@given(texts=st.lists(words.filter(lambda t: len(t.split()) >= 4), min_size=1, max_size=4))
def test_a_text_matches_itself(metric: Any, texts: list[str]) -> None:
    assert metric.corpus(texts, [texts]).value == pytest.approx(100)


@quick
@given(st.lists(segments, min_size=1, max_size=4))
def test_ter_of_a_text_and_itself_is_0(texts: list[str]) -> None:
    assert Ter().corpus(texts, [texts]).value == 0


@quick
@given(segments, segments)
def test_sentence_scores(hypothesis: str, reference: str) -> None:
    for ours, theirs in (
        (Bleu(), peer.BLEU(effective_order=True)), (Ter(), peer.TER()), (Chrf(), peer.CHRF()),
    ):  # fmt: skip
        expected = theirs.sentence_score(hypothesis, [reference]).score
        assert repr(ours.sentence(hypothesis, [reference]).value) == repr(expected)


def test_line_ends_within_python_strings() -> None:
    hypotheses, references = ["foo-\nbar <skipped>baz\nqux", "a -\n b"], [["foobar baz qux", "a  b"]]
    compare(Bleu(), peer.BLEU(), hypotheses, references)
    compare(Ter(normalized=True), peer.TER(normalized=True), ["foo\n-bar\nx's", "a"], [["foobar x's y", "a"]])


def test_references_are_tokenized_twice_by_ter() -> None:
    # the second time the possessive stands before a space
    compare(
        Ter(normalized=True),
        peer.TER(normalized=True),
        ["at a friend's house"],
        [["at his friend's, a poet"]],
    )
