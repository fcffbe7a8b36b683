"""Using models: generation, mixtures, pruning, conversion, the choice of sentences."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import DataError, MlkitError, UsageError
from mlkit.formats.lm_words import BEGIN, END
from mlkit.ngram import data_selection
from mlkit.ngram.generate import Generator, beam_search, sample
from mlkit.ngram.interpolate import mix_models, tune_weights
from mlkit.ngram.model import LanguageModel, load_model, save_model
from mlkit.ngram.prune import prune_entropy
from mlkit.ngram.query import hit_rates, measure, score_text
from mlkit.ngram.smoothing import Smoothing
from mlkit.ngram.train import TrainSettings, train
from tests.ngram.test_train import WORDS, fit, sentences, write


def sums_to_one(model: LanguageModel, histories: int = 30) -> None:
    generator = Generator(model)
    source = np.random.default_rng(3)
    for _ in range(histories):
        middle = source.integers(4, len(model.vocabulary), int(source.integers(0, 4))).tolist()
        assert (10.0 ** generator.log_probs([BEGIN, *middle])).sum() == pytest.approx(1, abs=1e-4)


# Generation


def test_beam_search_finds_the_best_of_all(tmp_path: Path) -> None:
    """A beam as wide as all texts is exhaustive search."""
    model = fit(tmp_path, sentences(60, words=WORDS[:3]), order=3)
    generator = Generator(model)
    words = [model.vocabulary.find(word) for word in WORDS[:3]]
    texts = []
    for length in range(4):
        for text in itertools.product(words, repeat=length):
            history, score = [BEGIN], 0.0
            for word in text:
                score += float(generator.log_probs(history)[word])  # type: ignore[index]
                history.append(word)  # type: ignore[arg-type]
            if length == 3:
                texts.append((score / 3, text, False))
            else:
                texts.append(((score + float(generator.log_probs(history)[END])) / (length + 1), text, True))
    found = beam_search(generator, [BEGIN], 3, 200)
    want = sorted(texts, key=lambda t: (-t[0], t[1]))
    assert [(h.words, h.finished) for h in found] == [(text, finished) for _, text, finished in want]
    assert [h.per_token for h in found] == pytest.approx([score for score, _, _ in want], abs=1e-9)
    assert beam_search(generator, [BEGIN], 3, 1)[0].words in {text for _, text, _ in want}


def test_samples_follow_the_model(tmp_path: Path) -> None:
    generator = Generator(fit(tmp_path, sentences(100, words=WORDS[:4]), order=2))
    random = np.random.Generator(np.random.PCG64(5))
    first = [sample(generator, [BEGIN], 1, random, unknown=True) for _ in range(4000)]
    drawn = np.bincount(
        [h.words[0] if h.words else END for h in first], minlength=len(generator.model.vocabulary)
    )
    want = 10.0 ** generator.log_probs([BEGIN])
    assert np.abs(drawn / 4000 - want).max() < 0.03


def test_sampling_options(tmp_path: Path) -> None:
    generator = Generator(fit(tmp_path, sentences(100), order=3))

    def draw(seed: int, **options: float) -> tuple[int, ...]:
        return sample(generator, [BEGIN], 12, np.random.Generator(np.random.PCG64(seed)), **options).words  # type: ignore[arg-type]

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(10)}) > 5
    greedy = draw(1, temperature=0)
    assert all(draw(seed, top_k=1) == greedy for seed in range(5))
    assert all(draw(seed, top_p=1e-9) == greedy for seed in range(5))
    for options in ({"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}, {"top_k": -1}):
        with pytest.raises(UsageError):
            draw(1, **options)
    with pytest.raises(UsageError):
        beam_search(generator, [BEGIN], 3, 0)


# Pruning and mixing


def test_entropy_pruning(tmp_path: Path) -> None:
    model = fit(tmp_path, sentences(300), order=3)
    text = write(tmp_path / "test", sentences(100, seed=9))
    before = measure(model, [text])
    sizes, last = [], before.perplexity
    for threshold in (0.0, 1e-5, 1e-4, 1e-3, 1.0):
        pruned = prune_entropy(model, threshold)
        sizes.append(sum(pruned.sizes))
        sums_to_one(pruned)
        if threshold == 0.0:
            assert measure(pruned, [text]).perplexity == pytest.approx(last, rel=1e-3)
    assert sizes == sorted(sizes, reverse=True)
    assert pruned.sizes[1:] == [0, 0]
    assert prune_entropy(model, 1.0, min_order=3).sizes[1] == model.sizes[1]


def test_entropy_change_is_the_relative_entropy(tmp_path: Path) -> None:
    """Stolcke's formula against the distributions themselves, for one 2-gram that is left out."""
    from mlkit.ngram.backoff import Index, contexts_of, copy_levels, normalise
    from mlkit.ngram.model import Level
    from mlkit.ngram.prune import _perplexity_change

    model = fit(tmp_path, sentences(100, words=WORDS[:6]), order=2)
    levels = copy_levels(model)
    normalise(levels)
    model = LanguageModel.of_levels(model.vocabulary, model.settings, levels)
    index = Index(levels)
    change = _perplexity_change(index, 2, contexts_of(index, 2))
    for out in range(0, len(levels[1]), 5):
        keep = np.arange(len(levels[1])) != out
        less = [
            copy_levels(model)[0],
            Level(levels[1].grams[keep], levels[1].values[keep], levels[1].contexts[keep]),
        ]
        normalise(less)
        smaller = LanguageModel.of_levels(model.vocabulary, model.settings, less)
        history = int(levels[1].grams[out, 0])
        p = Generator(model).log_probs([history])
        q = Generator(smaller).log_probs([history])
        use = p > -np.inf
        divergence = float((10.0 ** p[use] * (p[use] - q[use])).sum()) * math.log(10)
        marginal = 10.0 ** float(model.word_values[END if history == BEGIN else history])
        assert change[out] == pytest.approx(math.expm1(marginal * divergence), abs=2e-6)


def test_mixture(tmp_path: Path) -> None:
    one = fit(tmp_path, sentences(150, seed=1), "one.arpa", order=3)
    two = fit(
        tmp_path, [[*line, "new"] for line in sentences(100, seed=2, words=WORDS[5:])], "two.arpa", order=2
    )
    held = write(tmp_path / "held", [*sentences(60, seed=3), *sentences(20, seed=4, words=WORDS[5:])])
    weights = tune_weights([one, two], [held])
    assert sum(weights) == pytest.approx(1)
    # the likelihood of the held-out text is highest there
    values = [
        np.concatenate([10.0**piece.values for piece in score_text(model, [held])]) for model in (one, two)
    ]
    best = np.log(weights[0] * values[0] + weights[1] * values[1]).sum()
    for shift in (-0.02, 0.02):
        assert (
            np.log((weights[0] + shift) * values[0] + (weights[1] - shift) * values[1]).sum() <= best + 1e-6
        )
    mixed = mix_models([one, two], weights)
    sums_to_one(mixed)
    assert mixed.order == 3
    assert mixed.vocabulary.find("new") is not None
    # every n-gram of the models has the mixed probability
    first = Generator(one).log_probs(Generator(one).history_of("a b"))
    second = Generator(two).log_probs(Generator(two).history_of("a b"))
    third = Generator(mixed).log_probs(Generator(mixed).history_of("a b"))
    for level in one.levels[2:]:
        for gram in level.grams.tolist():
            if one.vocabulary.words[gram[0]] == "a" and one.vocabulary.words[gram[1]] == "b":
                name = one.vocabulary.words[gram[2]]
                ours, theirs = mixed.vocabulary.find(name), two.vocabulary.find(name)
                if theirs is not None and ours is not None:
                    want = weights[0] * 10.0 ** first[gram[2]] + weights[1] * 10.0 ** second[theirs]
                    assert 10.0 ** third[ours] == pytest.approx(want, rel=1e-4)


def test_what_cannot_be_mixed_or_pruned(tmp_path: Path) -> None:
    model = fit(tmp_path, sentences(50), order=2)
    laplace = fit(tmp_path, sentences(50), "l.bin", order=2, smoothing=Smoothing("laplace"))
    for call in (
        lambda: mix_models([model, laplace], [0.5, 0.5]),
        lambda: mix_models([model, model], [0.5, 0.6]),
        lambda: mix_models([model, model], [1.0]),
        lambda: prune_entropy(laplace, 1e-3),
        lambda: prune_entropy(model, -1),
    ):
        with pytest.raises(UsageError):
            call()
    with pytest.raises(UsageError, match="ARPA"):
        save_model(laplace, tmp_path / "x.arpa", binary=False)


# Files


@pytest.mark.parametrize("order", [1, 2, 4])
def test_conversion_keeps_everything(tmp_path: Path, order: int) -> None:
    fit(tmp_path, sentences(200), order=order)
    save_model(load_model(tmp_path / "lm.arpa"), tmp_path / "lm.bin", binary=True)
    save_model(load_model(tmp_path / "lm.bin"), tmp_path / "again.arpa", binary=False)
    assert (tmp_path / "again.arpa").read_bytes() == (tmp_path / "lm.arpa").read_bytes()


def test_an_arpa_file_without_suffixes_of_its_ngrams(tmp_path: Path) -> None:
    """SRILM's pruning leaves such files; p(c | a b) stands there, p(c | b) does not."""
    (tmp_path / "lm.arpa").write_text(
        "\\data\\\nngram 1=6\nngram 2=1\nngram 3=1\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\n-1\t</s>\n-1\ta\t-0.5\n"
        "-1\tb\t-0.25\n-0.75\tc\n\n\\2-grams:\n-0.5\ta b\t-0.125\n\n\\3-grams:\n-0.0625\ta b c\n\n\\end\\\n"
    )
    (tmp_path / "text").write_text("a b c\na b a\nb c\n")
    values = next(score_text(load_model(tmp_path / "lm.arpa"), [tmp_path / "text"])).values.tolist()
    assert values == [-1, -0.5, -0.0625, -1, -1, -0.5, -1.375, -1.5, -1, -1, -1]


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_damaged_binaries(tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes) -> None:
    """Cut or changed descriptions are noticed; nothing else than our own errors comes out of opening a model."""
    folder = tmp_path_factory.mktemp("damaged")
    train(folder / "lm.bin", TrainSettings(order=2), texts=[write(folder / "text", sentences(10))])
    whole = (folder / "lm.bin").read_bytes()
    tail = len(whole) - 1600
    place = tail + at % 1600
    for data in (whole[: at % len(whole)], whole[:place] + noise + whole[place + len(noise) :]):
        (folder / "x.bin").write_bytes(data)
        try:
            load_model(folder / "x.bin")
        except MlkitError:
            continue


# Scores


def test_choice_of_sentences(tmp_path: Path) -> None:
    domain = fit(tmp_path, sentences(100, words=WORDS[:8]), "d.arpa", order=2)
    general = fit(tmp_path, sentences(200), "g.arpa", order=2)
    lines = [*sentences(30, seed=4, words=WORDS[:8]), *sentences(30, seed=5, words=WORDS[8:])]
    text = write(tmp_path / "pool", lines)
    rows = b"".join(data_selection.sentence_table(domain, general, [text], 1, "strict")).decode().splitlines()
    difference = np.array([float(row.split("\t")[-1]) for row in rows[1:]])
    assert len(difference) == 60
    chosen = (
        b"".join(data_selection.chosen_lines(domain, general, [text], top="25%")).decode().split("\n")[:-1]
    )
    best = sorted(np.argsort(difference, kind="stable")[:15].tolist())
    assert chosen == [" ".join(lines[i]) for i in best]
    below = (
        b"".join(data_selection.chosen_lines(domain, general, [text], below=0.5)).decode().split("\n")[:-1]
    )
    assert below == [" ".join(line) for line, value in zip(lines, difference, strict=True) if value < 0.5]
    for top in ("x", "-1", "120%"):
        with pytest.raises(UsageError):
            list(data_selection.chosen_lines(domain, general, [text], top=top))


def test_token_table_adds_up(tmp_path: Path) -> None:
    model = fit(tmp_path, sentences(100), order=3)
    text = write(tmp_path / "text", [*sentences(20, seed=2), ["unseen", "a"], []])
    rows = b"".join(data_selection.token_table(model, [text], 1, "strict")).decode().splitlines()[1:]
    totals = measure(model, [text])
    assert len(rows) == totals.tokens
    assert sum(float(row.split("\t")[2]) for row in rows) == pytest.approx(totals.log10, abs=1e-3)
    assert sum(int(row.split("\t")[4]) for row in rows) == totals.unknown == 1
    assert [row.split("\t")[1] for row in rows][-4:] == ["unseen", "a", "</s>", "</s>"]
    assert sum(hit_rates(model, [text]).values()) == pytest.approx(1)


@pytest.mark.parametrize("threads", [1, 2])
def test_totals_do_not_depend_on_threads(tmp_path: Path, threads: int) -> None:
    model = fit(tmp_path, sentences(100), order=3)
    text = write(tmp_path / "text", sentences(20000, seed=2))
    assert measure(model, [text], threads=threads) == measure(model, [text])


def test_empty_texts(tmp_path: Path) -> None:
    model = fit(tmp_path, sentences(20), order=2)
    (tmp_path / "empty").write_bytes(b"")
    totals = measure(model, [tmp_path / "empty"])
    assert totals.tokens == 0
    assert math.isnan(totals.perplexity)
    with pytest.raises(DataError):
        tune_weights([model], [tmp_path / "empty"])
