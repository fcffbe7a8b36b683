"""Training against the definitions: every smoothing, word by word; and lmplz's figures on the shared texts."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from mlkit.errors import DataError, UsageError
from mlkit.formats.lm_words import BEGIN
from mlkit.ngram.generate import Generator
from mlkit.ngram.model import LanguageModel, load_model
from mlkit.ngram.query import measure, score_ids
from mlkit.ngram.smoothing import Smoothing
from mlkit.ngram.train import TrainSettings, read_word_list, train
from tests.naive import ngram as naive

INTERPOLATED = ("modified-kneser-ney", "kneser-ney", "absolute", "witten-bell")
WORDS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"]


def sentences(count: int, seed: int = 1, words: list[str] = WORDS) -> list[list[str]]:
    """Zipf-like lines, empty ones among them."""
    source = random.Random(seed)
    weights = [1 / (i + 1) for i in range(len(words))]
    return [source.choices(words, weights, k=source.randrange(0, 12)) for _ in range(count)]


def write(path: Path, lines: list[list[str]]) -> Path:
    path.write_text("".join(" ".join(line) + "\n" for line in lines))
    return path


def fit(tmp_path: Path, lines: list[list[str]], name: str = "lm.arpa", **settings: object) -> LanguageModel:
    train(tmp_path / name, TrainSettings(**settings), texts=[write(tmp_path / "text", lines)])  # type: ignore[arg-type]
    return load_model(tmp_path / name)


def scores(model: LanguageModel, line: list[str]) -> list[float]:
    text = np.frombuffer((" ".join(line) + "\n").encode(), np.uint8)
    return score_ids(model, model.vocabulary.look_up(text, len(text)))[0].tolist()


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("suffix", ["arpa", "bin"])
@pytest.mark.parametrize("method", [*INTERPOLATED, "laplace", "mle", "stupid-backoff"])
def test_every_word_as_by_definition(tmp_path: Path, method: str, suffix: str, order: int) -> None:
    if suffix == "arpa" and method in ("laplace", "mle", "stupid-backoff"):
        pytest.skip("an ARPA file cannot hold it")
    lines = sentences(120)
    model = fit(tmp_path, lines, f"lm.{suffix}", order=order, smoothing=Smoothing(method, alpha=0.5))
    twin = naive.Model(lines, order, method, alpha=0.5)
    for line in [*sentences(25, seed=2), ["zzz", "a", "b"], ["a", "zzz"], []]:
        want = [
            max(value, -99.0) if method == "stupid-backoff" else value
            for value in naive.log10_of_line(twin, line)
        ]
        got = scores(model, line)
        if method == "stupid-backoff":  # -99 stands for zero before factors
            got, want = [max(v, -90) for v in got], [max(v, -90) for v in want]
        assert got == pytest.approx(want, abs=3e-6)


@pytest.mark.parametrize("method", ["absolute", "kneser-ney", "modified-kneser-ney", "witten-bell"])
def test_back_off_forms(tmp_path: Path, method: str) -> None:
    lines = sentences(80, words=WORDS[:8])
    model = fit(tmp_path, lines, order=3, smoothing=Smoothing(method, interpolated=False))
    twin = naive.Model(lines, 3, method, backs_off=True)
    for line in [*sentences(25, seed=2, words=WORDS[:9])]:
        assert scores(model, line) == pytest.approx(naive.log10_of_line(twin, line), abs=2e-5)


@pytest.mark.parametrize("prune", [(0, 1), (0, 1, 1), (0, 0, 2), (0, 1, 2)])
def test_pruning_by_count(tmp_path: Path, prune: tuple[float, ...]) -> None:
    lines = sentences(150)
    model = fit(tmp_path, lines, order=3, prune=prune)
    twin = naive.Model(lines, 3, "modified-kneser-ney", prune=prune)
    for line in sentences(20, seed=3):
        assert scores(model, line) == pytest.approx(naive.log10_of_line(twin, line), abs=3e-6)
    kept = sum(twin.kept(gram) for gram in twin.raw if len(gram) == 3)
    assert model.sizes[2] == kept


@pytest.mark.parametrize(
    "smoothing",
    [
        *(Smoothing(method) for method in (*INTERPOLATED, "katz", "good-turing", "jelinek-mercer", "laplace")),
        *(Smoothing(method, interpolated=False) for method in INTERPOLATED),
        Smoothing("good-turing", interpolated=True),
        Smoothing("laplace", alpha=0.01),
        Smoothing("modified-kneser-ney", discounts={2: (0.3, 0.9), 3: (1.0, 1.0, 2.0)}),
        Smoothing("modified-kneser-ney", interpolate_unigrams=False),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("order", [1, 3, 4])
def test_every_distribution_sums_to_one(tmp_path: Path, smoothing: Smoothing, order: int) -> None:
    model = fit(tmp_path, sentences(200), "lm.bin", order=order, smoothing=smoothing, min_count=3)
    generator = Generator(model)
    source = np.random.default_rng(1)
    size = len(model.vocabulary)
    for _ in range(60):
        history = [BEGIN, *source.integers(1, size, int(source.integers(0, 5))).tolist()]
        history = [word for k, word in enumerate(history) if word not in (2, 3) or k == 0]
        assert (10.0 ** generator.log_probs(history)).sum() == pytest.approx(1.0, abs=1e-5)


def test_generator_and_scoring_agree(tmp_path: Path) -> None:
    model = fit(tmp_path, sentences(200), order=4)
    generator = Generator(model)
    for line in sentences(20, seed=5):
        history = generator.history_of("")
        for word, value in zip([*line, "</s>"], scores(model, line), strict=True):
            number = model.vocabulary.find(word)
            assert number is not None
            assert generator.log_probs(history)[number] == pytest.approx(value, abs=1e-5)
            history.append(number)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("memory", [None, 180 << 20])
def test_same_bytes_for_threads_and_memory(tmp_path: Path, threads: int, memory: int | None) -> None:
    text = write(tmp_path / "text", sentences(800))
    for name in ("lm.arpa", "lm.bin"):
        train(tmp_path / f"a{name}", TrainSettings(order=4), texts=[text])
        train(tmp_path / f"b{name}", TrainSettings(order=4, threads=threads, memory=memory), texts=[text])
        assert (tmp_path / f"a{name}").read_bytes() == (tmp_path / f"b{name}").read_bytes()


def test_jelinek_mercer_learns_its_weights(tmp_path: Path) -> None:
    lines = sentences(400)
    held = write(tmp_path / "held", sentences(100, seed=7))
    text = write(tmp_path / "text", lines)
    smoothing = Smoothing("jelinek-mercer")
    train(tmp_path / "fixed.arpa", TrainSettings(smoothing=smoothing), texts=[text])
    train(tmp_path / "tuned.arpa", TrainSettings(smoothing=smoothing), texts=[text], heldout=[held])
    fixed, tuned = (measure(load_model(tmp_path / name), [held]) for name in ("fixed.arpa", "tuned.arpa"))
    assert tuned.perplexity < fixed.perplexity
    generator = Generator(load_model(tmp_path / "tuned.arpa"))
    assert (10.0 ** generator.log_probs(generator.history_of("a b"))).sum() == pytest.approx(1, abs=1e-5)


def test_held_out_text_and_word_lists_are_checked(tmp_path: Path) -> None:
    text = write(tmp_path / "text", sentences(50))
    broken, empty = tmp_path / "broken", tmp_path / "empty"
    broken.write_bytes(b"a b\na \xff\n")
    empty.write_bytes(b"\n\n")
    settings = TrainSettings(smoothing=Smoothing("jelinek-mercer"))
    with pytest.raises(DataError, match="broken:2: invalid UTF-8"):
        train(tmp_path / "lm.arpa", settings, texts=[text], heldout=[broken])
    with pytest.raises(DataError, match="broken:2: invalid UTF-8"):
        read_word_list(broken)
    with pytest.raises(DataError, match="empty: no words"):
        read_word_list(empty)
    assert read_word_list(broken, "skip") == (b"a",)
    assert not (tmp_path / "lm.arpa").exists()


def test_vocabulary_options(tmp_path: Path) -> None:
    lines = [["a", "b", "c"], ["a", "b"], ["a"], ["<unk>", "a"]]
    model = fit(tmp_path, lines, order=2, allowed=(b"a", b"zebra"))
    assert model.vocabulary.words[4:] == ["a", "zebra"]
    model = fit(tmp_path, lines, order=2, min_count=2)
    assert model.vocabulary.words[4:] == ["a", "b"]
    model = fit(tmp_path, lines, name="lm.bin", order=2, vocab_size=1, unknown="UNKNOWN")
    assert model.vocabulary.words[4:] == ["a"]
    assert model.vocabulary.unknown == "UNKNOWN"
    fit(tmp_path, lines, order=2, vocab_size=1, unknown="UNKNOWN")
    assert load_model(tmp_path / "lm.arpa", unknown="UNKNOWN").vocabulary.words[4:] == ["a"]


def test_small_data_warns_and_goes_on(tmp_path: Path) -> None:
    text = write(tmp_path / "text", [["a", "b", "c"], ["a", "b"]])
    statistics = train(tmp_path / "lm.arpa", TrainSettings(), texts=[text])
    assert "default discounts 0.5, 1, 1.5" in statistics.warnings[0]
    assert statistics.discounts[0] == [0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        (b"", {}, "empty"),
        (b"a b <s> c\n", {}, "the text holds <s>"),
        (b"a\nb </s>\n", {}, "text:2: the text holds </s>"),
        (b"a b\n", {"order": 9}, "no 9-gram"),
        (b"a \xff b\n", {}, "invalid UTF-8"),
    ],
)
def test_bad_texts(tmp_path: Path, content: bytes, settings: dict[str, object], message: str) -> None:
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(DataError, match=message):
        train(tmp_path / "lm.arpa", TrainSettings(**settings), texts=[tmp_path / "text"])  # type: ignore[arg-type]
    assert not (tmp_path / "lm.arpa").exists()


def test_skipped_symbols_and_odd_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("<s> a b </s>\n\ufeff\u2028 x\0y\tz\r\n\nlast".encode())
    (tmp_path / "b").write_bytes("a b\n\ufeff\u2028 x\0y z\n\nlast\n".encode())
    for name in "ab":
        train(tmp_path / f"{name}.arpa", TrainSettings(order=2, skip_symbols=True), texts=[tmp_path / name])
    assert (tmp_path / "a.arpa").read_bytes() == (tmp_path / "b.arpa").read_bytes()
    assert b"x\0y" in (tmp_path / "a.arpa").read_bytes()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lm.arpa", {"smoothing": Smoothing("laplace")}),
        ("lm.arpa", {"smoothing": Smoothing("stupid-backoff")}),
        ("lm.bin", {"smoothing": Smoothing("laplace"), "prune_entropy": 1e-3}),
        ("lm.bin", {"smoothing": Smoothing("jelinek-mercer", interpolated=False)}),
        ("lm.arpa", {"prune": (1, 1)}),
        ("lm.arpa", {"prune": (0, 2, 1)}),
        ("lm.arpa", {"prune": (0, 1, 1, 1)}),
    ],
)
def test_settings_that_contradict(tmp_path: Path, name: str, settings: dict[str, object]) -> None:
    text = write(tmp_path / "text", sentences(20))
    with pytest.raises(UsageError):
        train(tmp_path / name, TrainSettings(**settings), texts=[text])  # type: ignore[arg-type]
