"""The compiled and the sorted ways against the obvious one, and TER's searches against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.lib_ter import translation_edit_rate

from mlkit.metrics import bleu as bleu_module
from mlkit.metrics import chrf as chrf_module
from mlkit.metrics import ter as ter_module
from mlkit.metrics.chrf import _count
from mlkit.metrics.compiled_counts import (
    beamed_edits,
    compiled_characters,
    compiled_words,
    line_statistics,
    matches,
)
from mlkit.metrics.numpy_counts import shared_characters
from mlkit.metrics.report import after_shifts
from mlkit.metrics.ter_shifts import BitParallel, Edits, edits_to, edits_within_beam, positions
from mlkit.metrics.token_ids import encode_characters
from tests.metrics.data import lines
from tests.naive.metrics import apply_path, clipped_matches, edit_distance, mteval_tokens

quick = settings(max_examples=60, deadline=None)
tokens = st.lists(st.sampled_from("abcde"), max_size=12)
texts = st.lists(st.tuples(lines, lines), min_size=1, max_size=6)


@quick
@given(st.lists(st.tuples(tokens, st.lists(tokens, max_size=3)), min_size=1, max_size=6), st.integers(1, 5))
def test_matches_of_n_grams(corpus: Any, orders: int) -> None:
    expected = [clipped_matches(hypothesis, references, orders) for hypothesis, references in corpus]
    hypotheses, references = [h for h, _ in corpus], [r for _, r in corpus]
    assert matches(hypotheses, references, orders) == expected
    assert [bleu_module._matches(h, r, range(1, orders + 1)) for h, r in corpus] == expected


# what the rules of 13a look at, in all neighbourhoods
marks = st.lists(
    st.sampled_from([
        *"ab19.,-' ();&\\~\x7f\x00\x1c\t", "é", "中", "🙂", "²", "’", "\x85", "\u00a0", "\u1680", "\u2009",
        "\u2028", "\u202f", "\u205f", "\u3000", "\u00c2", "\u2080", "&quot;", "&amp;", "&lt;", "&gt;", "quot;", "lt;",
        "<skipped>", "<skip", "ped>", "wonderfulword", "wonderfulward", "1,000.5",
    ]), max_size=14,
).map("".join)  # fmt: skip
marked = st.lists(
    st.tuples(st.one_of(marks, lines), st.lists(st.one_of(st.none(), marks, lines), min_size=2, max_size=2)),
    min_size=1, max_size=5,
)  # fmt: skip


@quick
@given(marked, st.integers(1, 5), st.booleans())
def test_statistics_of_lines(corpus: Any, orders: int, western: bool) -> None:
    """Tokens, the closest reference and matches, from text in one go."""
    cut = mteval_tokens if western else str.split
    expected = []
    for hypothesis, references in corpus:
        own, others = cut(hypothesis), [cut(text) for text in references if text is not None]
        closest = min(map(len, others), key=lambda size: (abs(size - len(own)), size), default=-1)
        totals = [max(0, len(own) - n) for n in range(orders)]
        expected.append([len(own), closest, *clipped_matches(own, others, orders), *totals])
    streams = [[references[k] for _, references in corpus] for k in range(2)]
    hypotheses = [hypothesis for hypothesis, _ in corpus]
    found = line_statistics(hypotheses, streams, orders, western=western, threads=2)
    assert found.tolist() == expected


def test_numbers_and_punctuation() -> None:
    """Rows of . and , between letters and digits: every second one decides."""
    corpus = [
        f"{before}{row}{behind}"
        for before in ("", "a", "5", "-", "5-", "é")
        for row in (".", ",", "..", ".,", "...", "....", ".-", "-.", "5-.", ".5", ". .")
        for behind in ("", "a", "5", "-", "é")
    ]
    tokens = [mteval_tokens(text) for text in corpus]
    for shift in (1, 5, 55):
        rotated = corpus[shift:] + corpus[:shift]
        found = line_statistics(corpus, [rotated], 3, western=True)
        assert found[:, 0].tolist() == [len(words) for words in tokens]
        expected = [
            clipped_matches(words, [mteval_tokens(text)], 3)
            for words, text in zip(tokens, rotated, strict=True)
        ]
        assert found[:, 2:5].tolist() == expected


@quick
@given(texts, st.integers(1, 8))
def test_character_n_grams(pairs: Any, orders: int) -> None:
    hypotheses, references = [h for h, _ in pairs], [r for _, r in pairs]
    expected = []
    for hypothesis, reference in pairs:
        row = []
        for n, found in enumerate(clipped_matches(hypothesis, [reference], orders), 1):
            size = max(0, len(reference) - n + 1)
            row += [max(0, len(hypothesis) - n + 1) if size else 0, size, found]
        expected.append(row)
    assert [_count(h, r, orders) for h, r in pairs] == expected
    assert shared_characters(hypotheses, references, orders) == expected
    assert compiled(hypotheses, references, orders) == expected
    assert compiled_words(hypotheses, references, orders) == expected
    spaced = [" ".join(text) + "\u00a0\u2009\u3000\u1680" for text in hypotheses]
    bare = ["".join(text.split()) for text in hypotheses]
    others = ["".join(text.split()) for text in references]
    assert compiled(spaced, references, orders, whitespace=False) == compiled(bare, others, orders)


def compiled(
    hypotheses: list[str], references: list[str], orders: int, *, whitespace: bool = True
) -> list[list[float]]:
    own, other = encode_characters(hypotheses), encode_characters(references)
    return compiled_characters(own, other, orders, whitespace=whitespace, threads=2)


def test_every_white_space_is_dropped() -> None:
    spaces = "".join(chr(code) for code in range(0x3100) if chr(code).isspace())
    others = "".join(chr(code) for code in range(0x3100) if not chr(code).isspace())
    assert compiled([spaces], ["a"], 1, whitespace=False) == [[0, 1, 0]]
    assert compiled([others], ["a"], 1, whitespace=False) == [[len(others), 1, 1]]
    # an alphabet that takes the other kernel
    assert compiled([others + spaces], [others], 6, whitespace=False)[0][:6] == [
        *[len(others)] * 3, *[len(others) - 1] * 3,
    ]  # fmt: skip


def test_sorting_renumbers_where_bits_run_out() -> None:
    rng = np.random.default_rng(1)
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
    corpus = ["".join(rng.choice(letters[: 3 + 50 * k], 60)) for k in range(60)] + ["".join(letters)]
    other = [text[:20] + text[25:] + text[:9] for text in corpus]
    assert shared_characters(corpus, other, 9) == compiled(corpus, other, 9)
    assert shared_characters(corpus, other, 9) == [
        _count(h, r, 9) for h, r in zip(corpus, other, strict=True)
    ]


@quick
@given(tokens, tokens)
def test_bit_parallel_distance(hypothesis: list[str], reference: list[str]) -> None:
    distance = BitParallel(len(reference))
    assert distance.load(positions(hypothesis, reference)) == edit_distance(hypothesis, reference)
    path = distance.path()
    assert len(path) - path.count(" ") == edit_distance(hypothesis, reference)
    assert apply_path(hypothesis, reference, path) == reference


def check_edits(hypothesis: list[str], reference: list[str]) -> None:
    """All ways find sacreBLEU's number of edits, and shifts and path lead to the reference."""
    expected, _ = translation_edit_rate(hypothesis, reference)
    ways: list[Edits | None] = [edits_to(hypothesis, reference), edits_within_beam(hypothesis, reference)]
    ways += beamed_edits([(hypothesis, reference)])
    assert ways[1] == ways[2]
    for edits in ways:
        if edits is None:
            continue
        assert edits.total == expected
        moved = [word for word, _ in after_shifts(hypothesis, edits.shifts)]
        assert sorted(moved) == sorted(hypothesis)
        assert apply_path(moved, reference, edits.path) == reference


@quick
@given(tokens, tokens)
def test_edits_of_short_segments(hypothesis: list[str], reference: list[str]) -> None:
    check_edits(hypothesis, reference)


@pytest.mark.parametrize("seed", range(12))
def test_edits_of_long_segments(seed: int) -> None:
    """Long segments, in which the beam, the distance of shifts and the limit of candidates matter."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(25, 90))
    alphabet = [f"w{k}" for k in range(int(rng.integers(3, 60)))]
    reference = rng.choice(alphabet, size).tolist()
    cut, width = sorted(rng.integers(0, size, 2).tolist())
    hypothesis = reference[width:] + reference[cut:width] + reference[:cut]
    hypothesis = [word if rng.random() < 0.8 else str(rng.choice(alphabet)) for word in hypothesis]
    if seed % 3 == 0:
        hypothesis = hypothesis[: size // 3]
    if seed % 5 == 0:
        reference = reference * 2 + reference[:20]
    check_edits(hypothesis, reference)


def test_lengths_far_apart_widen_the_beam() -> None:
    reference = [f"w{k % 40}" for k in range(180)]
    check_edits(["w3", "w1"], reference)
    check_edits(reference[:90:30], reference)
    check_edits(reference, ["w3", "w1"])


@pytest.mark.parametrize("limit", [0, 1 << 60])
@pytest.mark.parametrize("lines_limit", [0, 1 << 60])
def test_every_way_gives_the_same(limit: int, lines_limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = (
        ["the cat sat on the mat", "", "a b c d a b c d", "x"],
        [["on the mat sat the cat", "y", "a b c d a b", ""]],
    )
    monkeypatch.setattr(bleu_module, "LINES_FROM", lines_limit)
    monkeypatch.setattr(bleu_module, "COMPILED_FROM", limit)
    monkeypatch.setattr(chrf_module, "COMPILED_FROM", limit)
    monkeypatch.setattr(ter_module, "COMPILED_FROM", limit)
    found = [
        metric.statistics(corpus[0])
        for metric in (bleu_module.Bleu(), chrf_module.Chrf(), ter_module.Ter())
        if metric.prepare(corpus[1]) is None
    ]
    assert found[0] == [
        [6, 6, 6, 3, 1, 0, 6, 5, 4, 3], [0, 1, 0, 0, 0, 0, 0, 0, 0, 0], [8, 6, 6, 5, 4, 3, 8, 7, 6, 5],
        [1, 0, 0, 0, 0, 0, 1, 0, 0, 0],
    ]  # fmt: skip
    assert found[2] == [[2, 6], [1, 1], [2, 6], [1, 0]]
    assert found[1][0][:6] == [17, 17, 17, 16, 16, 15]
