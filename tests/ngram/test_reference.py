"""The figures of lmplz, KenLM and NLTK on the shared texts, and KenLM itself on our ARPA files."""

from __future__ import annotations

import itertools
import lzma
import math
from pathlib import Path

import numpy as np
import pytest

from mlkit.ngram.model import load_model
from mlkit.ngram.query import measure, score_ids, score_text
from mlkit.ngram.smoothing import Smoothing
from mlkit.ngram.train import TrainSettings, train


def test_lmplz_figures(shared: Path, tmp_path: Path) -> None:
    """lmplz -o 3 on N10: n-gram counts, and the perplexities of the reference table."""
    corpus = shared / "data" / "corpus"
    text, test = corpus / "enwiki.10mb.norm.txt.xz", corpus / "enwiki.test.norm.txt.xz"
    for order, with_unknown, known in ((2, 767.1535, 584.5019), (3, 683.9553, 519.1211)):
        path = tmp_path / "lm.bin"
        statistics = train(path, TrainSettings(order=order, threads=2), texts=[text])
        assert statistics.kept == [71007, 735069, 1406016][:order]
        totals = measure(load_model(path), [test], threads=2)
        assert (totals.tokens, totals.unknown) == (217353, 7183)
        assert totals.perplexity == pytest.approx(with_unknown, abs=2e-4)
        assert totals.known_perplexity == pytest.approx(known, abs=2e-4)


@pytest.mark.parametrize(
    ("order", "alpha", "with_unknown", "known"),
    [
        (1, 1.0, 1964.0526, 1551.2144), (2, 1.0, 8598.3125, 7928.6311), (3, 1.0, 35133.5503, 34246.8473),
        (1, 0.01, 2262.3054, 1535.8791), (2, 0.01, 2153.3359, 1787.5824), (3, 0.01, 14699.2690, 13714.1214),
        (2, 0.001, 2064.3147, 1632.0592), (3, 0.001, 12093.0715, 11035.5978),
    ],
)  # fmt: skip
def test_additive_figures(
    shared: Path, tmp_path: Path, order: int, alpha: float, with_unknown: float, known: float
) -> None:
    corpus = shared / "data" / "corpus"
    path = tmp_path / "lm.bin"
    settings = TrainSettings(order=order, smoothing=Smoothing("laplace", alpha=alpha), threads=2)
    train(path, settings, texts=[corpus / "enwiki.10mb.norm.txt.xz"])
    totals = measure(load_model(path), [corpus / "enwiki.test.norm.txt.xz"], threads=2)
    assert totals.perplexity == pytest.approx(with_unknown, abs=6e-5)
    assert totals.known_perplexity == pytest.approx(known, abs=6e-5)


def first_lines(path: Path, count: int) -> list[str]:
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in itertools.islice(file, count)]


def test_lmplz_discounts(shared: Path, tmp_path: Path) -> None:
    """By lmplz's formula, on counts of counts that are exact."""
    text = shared / "data" / "corpus" / "enwiki.10mb.norm.txt.xz"
    statistics = train(tmp_path / "lm.arpa", TrainSettings(order=3, threads=2), texts=[text])
    for counts, found in zip(statistics.counts_of_counts, statistics.discounts, strict=True):
        t1, t2, t3, t4 = counts
        y = t1 / (t1 + 2 * t2)
        want = [1 - 2 * y * t2 / t1, 2 - 3 * y * t3 / t2, 3 - 4 * y * t4 / t3]
        assert found == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("smoothing", ["modified-kneser-ney", "witten-bell", "katz"])
def test_kenlm_reads_and_agrees(shared: Path, tmp_path: Path, smoothing: str) -> None:
    """KenLM scores every word of a text as we do, from the ARPA file that we wrote."""
    kenlm = pytest.importorskip("kenlm")
    corpus = shared / "data" / "corpus"
    text, test = tmp_path / "text", tmp_path / "test"
    text.write_text("\n".join(first_lines(corpus / "enwiki.10mb.norm.txt.xz", 3000)) + "\n")
    lines = first_lines(corpus / "enwiki.test.norm.txt.xz", 300)
    test.write_text("\n".join(lines) + "\n")
    path = tmp_path / "lm.arpa"
    train(path, TrainSettings(order=4, smoothing=Smoothing(smoothing)), texts=[text])
    config = kenlm.Config()
    config.show_progress = False
    model = kenlm.Model(str(path), config)
    theirs = [score for line in lines for score in model.full_scores(line)]
    train(tmp_path / "lm.bin", TrainSettings(order=4, smoothing=Smoothing(smoothing)), texts=[text])
    for name in ("lm.arpa", "lm.bin"):
        pieces = list(score_text(load_model(tmp_path / name), [test]))
        values = np.concatenate([piece.values for piece in pieces])
        matched = np.concatenate([piece.matched for piece in pieces])
        assert values == pytest.approx(np.array([score for score, _, _ in theirs]), abs=1e-5)
        assert matched.tolist() == [length for _, length, _ in theirs]
        assert values.sum() == pytest.approx(sum(score for score, _, _ in theirs), rel=1e-6)


@pytest.mark.parametrize(("order", "alpha"), [(1, 1.0), (2, 1.0), (3, 1.0), (2, 0.1), (3, 0.1)])
def test_nltk_additive(shared: Path, tmp_path: Path, order: int, alpha: float) -> None:
    """Where NLTK's padding plays no part (inside sentences) and V is the same, so are Laplace and Lidstone."""
    nltk = pytest.importorskip("nltk.lm")
    lines = [
        line.split() for line in first_lines(shared / "data" / "corpus" / "enwiki.10mb.norm.txt.xz", 300)
    ]
    (tmp_path / "text").write_text("\n".join(map(" ".join, lines)) + "\n")
    settings = TrainSettings(order=order, smoothing=Smoothing("laplace", alpha=alpha))
    train(tmp_path / "lm.bin", settings, texts=[tmp_path / "text"])
    model = load_model(tmp_path / "lm.bin")
    grams = [
        [
            tuple(words[end - size : end])
            for size in range(1, order + 1)
            for end in range(size, len(words) + 1)
        ]
        for words in (["<s>", *line, "</s>"] for line in lines)
    ]
    # NLTK counts <s> among the words; without it its vocabulary is ours (<UNK> and </s> included)
    vocabulary = nltk.Vocabulary([word for line in lines for word in line] + ["</s>"])
    theirs = nltk.Lidstone(alpha, order, vocabulary=vocabulary)
    theirs.fit([[gram for gram in line if gram != ("<s>",)] for line in grams])
    assert len(vocabulary) == model.vocabulary.types
    for line in lines[:20]:
        words = ["<s>", *line, "</s>"]
        text = np.frombuffer((" ".join(line) + "\n").encode(), np.uint8)
        ours = score_ids(model, model.vocabulary.look_up(text, len(text)))[0]
        for end in range(max(order, 1), len(words)):
            want = theirs.score(words[end], words[end - order + 1 : end])
            assert ours[end - 1] == pytest.approx(math.log10(want), abs=1e-7)


def test_nltk_figures_with_its_padding(shared: Path, tmp_path: Path) -> None:
    """NLTK 3.10.4 on 3,000 lines: Laplace of order 2, where one `<s>` and one `</s>` is its padding as well.

    Its V counts `<s>`, so ours is one less; V enters as alpha * V, which the mean log-probability shows.
    """
    corpus = shared / "data" / "corpus"
    (tmp_path / "text").write_text("\n".join(first_lines(corpus / "enwiki.10mb.norm.txt.xz", 3000)) + "\n")
    (tmp_path / "test").write_text("\n".join(first_lines(corpus / "enwiki.test.norm.txt.xz", 300)) + "\n")
    # a word that never occurs makes V what NLTK's is
    settings = TrainSettings(order=2, smoothing=Smoothing("laplace"), allowed=_words(tmp_path / "text"))
    train(tmp_path / "lm.bin", settings, texts=[tmp_path / "text"])
    totals = measure(load_model(tmp_path / "lm.bin"), [tmp_path / "test"])
    assert totals.perplexity == pytest.approx(4552.0008, abs=1e-3)


def _words(path: Path) -> tuple[bytes, ...]:
    return (*sorted(set(path.read_bytes().split())), b"<one-more>")
