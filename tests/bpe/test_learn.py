from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.bpe import counting
from mlkit.bpe import learn as learning
from mlkit.bpe.alphabet import alphabet_order, byte_characters, from_bytes
from mlkit.bpe.counting import Counts, count_words
from mlkit.bpe.learn import LearnOptions, learn
from mlkit.errors import DataError, UsageError
from tests.naive import bpe as naive

tokenizers = pytest.importorskip("tokenizers")

WORDS = st.dictionaries(st.text("abcé", min_size=1, max_size=9), st.integers(1, 50), min_size=1, max_size=12)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the kernels however small the input."""
    monkeypatch.setattr(counting, "SMALL", -1)
    monkeypatch.setattr(learning, "SMALL", -1)


def with_kernels(counts: dict[str, int], options: LearnOptions) -> object:
    held, learning.SMALL = learning.SMALL, -1
    try:
        return learn(Counts(plain=Counter(counts)), options)
    finally:
        learning.SMALL = held


def naive_merges(counts: dict[str, int], options: LearnOptions) -> list[tuple[str, str]]:
    ids = None
    if options.kind == "bytes":
        words = {tuple(from_bytes(word.encode())): count for word, count in counts.items()}
        ids = {byte_characters()[byte]: number for number, byte in enumerate(alphabet_order())}
    else:
        words = {(*word[:-1], word[-1] + options.suffix): count for word, count in counts.items()}
        if options.tie_rule() == "hf":
            plain = sorted({character for word in counts for character in word})
            last = sorted({word[-1] + options.suffix for word in counts} - set(plain))
            ids = {token: number for number, token in enumerate([*plain, *last])}
    assert options.merges is not None
    return naive.learn(words, options.merges, ids=ids, minimum=options.min_frequency)


@pytest.mark.parametrize(
    "options",
    [
        LearnOptions("bytes", merges=12, min_frequency=1),
        LearnOptions("chars", merges=12, min_frequency=1),
        LearnOptions("chars", merges=12, min_frequency=3, ties="hf"),
        LearnOptions("chars", merges=12, min_frequency=1, suffix=""),
    ],
)
@settings(max_examples=60, deadline=None)
@given(WORDS)
def test_learners_agree_with_the_definition(options: LearnOptions, counts: dict[str, int]) -> None:
    plain = learn(Counts(plain=Counter(counts)), options)
    assert plain == with_kernels(counts, options)
    expected = naive_merges(counts, options)
    tokens = [left + right for left, right in expected]
    if len(set(tokens)) == len(
        tokens
    ):  # equal strings from different pairs: the tools have rules of their own
        assert plain.merges == expected


@settings(max_examples=60, deadline=None)
@given(WORDS, st.sampled_from(["bytes", "chars", "metaspace"]), st.sampled_from([None, 3, 5]))
def test_plain_and_kernels_learn_the_same(counts: dict[str, int], kind: str, longest: int | None) -> None:
    options = LearnOptions(kind, merges=40, min_frequency=0, max_token_length=longest, ties="hf")  # type: ignore[arg-type]
    assert learn(Counts(plain=Counter(counts)), options) == with_kernels(counts, options)


def hf_merges(path: Path, kind: str, size: int, **settings: object) -> list[tuple[str, str]]:
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    if kind == "bytes":
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        settings["initial_alphabet"] = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    elif kind == "metaspace":
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    else:
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, show_progress=False, **settings)
    tokenizer.train([str(path)], trainer)
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


@pytest.mark.parametrize("settings", [{}, {"max_token_length": 4}, {"min_frequency": 5}])
@pytest.mark.parametrize("kind", ["bytes", "chars"])
def test_merges_are_those_of_hf(kind: str, settings: dict[str, int], corpus: Path, fast: None) -> None:
    options = LearnOptions(kind, vocab_size=1000, suffix="", **{"min_frequency": 0, **settings})  # type: ignore[arg-type]
    if kind == "chars":  # mlkit's <unk> takes one place
        options = replace(options, vocab_size=1001)
    model = learn(count_words([corpus], options.kind), options)
    assert model.merges == hf_merges(corpus, kind, 1000, **settings)


@pytest.mark.parametrize(("kind", "name"), [("bytes", "enwiki.10mb.raw"), ("chars", "enwiki.10mb.norm")])
def test_merges_are_those_of_hf_on_wikipedia(kind: str, name: str, cut: Path, fast: None) -> None:
    model = learn(
        count_words([cut], kind),  # type: ignore[arg-type]
        LearnOptions(kind, vocab_size=8000 + (kind == "chars"), suffix="", min_frequency=0),  # type: ignore[arg-type]
    )
    assert model.merges == hf_merges(cut, kind, 8000)


@pytest.fixture
def cut(shared: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A megabyte of Wikipedia."""
    import lzma

    name = request.node.callspec.params.get("name", "enwiki.10mb.norm")
    with lzma.open(shared / "data" / "corpus" / f"{name}.txt.xz") as source:
        text = source.read(1_000_000)
    path = tmp_path / "cut.txt"
    path.write_bytes(text[: text.rindex(b"\n") + 1])
    return path


def test_merges_are_those_of_subword_nmt(corpus: Path, fast: None) -> None:
    peer = pytest.importorskip("subword_nmt.learn_bpe")
    import io

    expected = io.StringIO()
    with open(corpus) as stream:
        peer.learn_bpe(stream, expected, 600)
    model = learn(count_words([corpus], "chars"), LearnOptions("chars", merges=600))
    lines = [f"{left} {right}" for left, right in model.merges]
    assert lines == expected.getvalue().splitlines()[1:]


def test_codes_of_subword_nmts_own_test(shared: Path, fast: None) -> None:
    folder = shared / "data" / "formats" / "subword-nmt"
    reference = folder.joinpath("bpe.ref").read_text().splitlines()[1:]
    model = learn(count_words([folder / "corpus.en"], "chars"), LearnOptions("chars", merges=len(reference)))
    assert [f"{left} {right}" for left, right in model.merges] == reference


def test_counts_beyond_32_bits() -> None:
    big = 1 << 40
    counts = {"abc": big, "abd": big + 1, "xy": 2 * big}
    for model in (learn(Counts(plain=Counter(counts)), LearnOptions("chars", merges=2)),
                  with_kernels(counts, LearnOptions("chars", merges=2))):  # fmt: skip
        assert model.merges == [("a", "b"), ("x", "y</w>")]  # type: ignore[attr-defined]


def test_threads_and_spilling_change_nothing(
    corpus: Path, fast: None, tmp_path: Path, monkeypatch: object
) -> None:
    big = tmp_path / "big.txt"
    big.write_bytes(corpus.read_bytes() * 3)
    options = LearnOptions("bytes", vocab_size=700)
    one = count_words([big], "bytes")
    rows = list(one.rows())
    spilled = count_words([big] * 4, "bytes", memory=1, threads=2)
    assert list(spilled.rows()) == [(word, 4 * count) for word, count in rows]
    two = count_words([big], "bytes", threads=2)
    assert learn(one, options) == learn(two, options)


def test_weights_multiply(corpus: Path) -> None:
    single = dict(count_words([corpus], "chars").rows())
    assert dict(count_words([corpus, corpus], "chars", weights=[1, 4]).rows()) == {
        word: 5 * count for word, count in single.items()
    }
    with pytest.raises(UsageError, match="1 weights for 2 files"):
        count_words([corpus, corpus], "chars", weights=[1])


def test_extending_keeps_the_first_merges(corpus: Path) -> None:
    for kind in ("bytes", "chars", "metaspace"):
        first = learn(count_words([corpus], kind), LearnOptions(kind, merges=50))  # type: ignore[arg-type]
        longer = learn(count_words([corpus], kind), LearnOptions(kind, merges=100))  # type: ignore[arg-type]
        more = learn(count_words([corpus], kind), LearnOptions(kind, merges=50, init=first))  # type: ignore[arg-type]
        assert more.merges == longer.merges
        assert list(more.vocabulary)[: len(first.vocabulary)] == list(first.vocabulary)


def test_faults(tmp_path: Path, corpus: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    with pytest.raises(DataError, match="no words"):
        learn(count_words([empty], "chars"), LearnOptions("chars"))
    with pytest.raises(UsageError, match="below the alphabet: 256 bytes"):
        learn(count_words([corpus], "bytes"), LearnOptions("bytes", vocab_size=200))
    with pytest.raises(UsageError, match="not both"):
        learn(count_words([corpus], "bytes"), LearnOptions("bytes", vocab_size=300, merges=3))


def test_kernels_without_numba() -> None:
    code = """
import warnings; warnings.simplefilter("error")
from collections import Counter
from mlkit.bpe import learn as learning, counting
from mlkit.bpe.counting import Counts
counts = Counts(plain=Counter({"low": 5, "lower": 2, "newest": 6, "widest": 3, "aaaa": 4}))
options = learning.LearnOptions("chars", merges=8)
plain = learning.learn(counts, options)
learning.SMALL = -1
assert learning.learn(counts, options) == plain
from mlkit.bpe import Encoder, Options
from mlkit.bpe.encode_compiled import KernelEncoder, Tables
from mlkit.bpe.text_blocks import Piece
text = Piece("x", 0, 1, 0, "low lowest é\\n newest ".encode())
for options in (Options(), Options("ids"), Options("uint16"), Options(dropout=0.5)):
    fast = bytes(KernelEncoder(Tables(plain, options)).encode(text))
    assert fast == Encoder(plain, options).plain.encode(text), options
"""
    import os

    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
