from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.bpe import kernels_words
from mlkit.bpe.encode_plain import gpt2_words, metaspace_words
from mlkit.bpe.unicode_classes import LETTER, NUMBER, SPACE, ranges
from mlkit.bpe.word_table import WordTable
from tests.naive import bpe as naive

tokenizers = pytest.importorskip("tokenizers")

# what GPT-2's expression treats differently, and what surrounds it
TRICKY = st.text(
    st.one_of(
        st.sampled_from(
            list(" \t\n\r'\"stmdrevl019aZ.,-_é中ы½²߀\u00a0\u2003\u3000\u200b\u0085\x1c\x00🙂ªºǅ")
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)


def hf_words(text: str) -> list[str]:
    splitter = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    from mlkit.bpe.alphabet import to_bytes

    return [to_bytes(piece).decode() for piece, _ in splitter.pre_tokenize_str(text)]


def kernel_words(text: str, kind: str = "bytes", newline: int = kernels_words.DOCUMENT) -> list[str | int]:
    table = WordTable(4, 8)  # tiny: it has to grow on the way
    items = table.items(np.frombuffer(text.encode(), np.uint8), kind, newline).tolist()  # type: ignore[arg-type]
    words = [word.decode() for word in table.words()]
    assert len(set(words)) == len(words)
    return [words[item] if item >= 0 else item for item in items]


@settings(max_examples=400, deadline=None)
@given(TRICKY)
def test_gpt2_words_are_those_of_hf_and_of_the_definition(text: str) -> None:
    expected = hf_words(text)
    assert gpt2_words(text) == expected
    assert naive.gpt2_words(text) == expected
    assert kernel_words(text) == expected


@settings(max_examples=200, deadline=None)
@given(TRICKY)
def test_lines_are_cut_one_by_one(text: str) -> None:
    expected: list[str | int] = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        expected += gpt2_words(line)
        if number < len(lines) - 1:
            expected.append(kernels_words.NEWLINE)
    assert kernel_words(text, newline=kernels_words.WITHOUT_NEWLINE) == expected


@settings(max_examples=200, deadline=None)
@given(TRICKY)
def test_lines_with_their_newline_are_cut_as_hf_trains(text: str) -> None:
    expected = [word for line in text.split("\n")[:-1] for word in gpt2_words(line + "\n")]
    expected += gpt2_words(text.rpartition("\n")[2])
    assert kernel_words(text, newline=kernels_words.WITH_NEWLINE) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from(" ▁ab\u00a0é"), max_size=20))
def test_metaspace_words_are_those_of_hf(text: str) -> None:
    splitter = tokenizers.pre_tokenizers.Metaspace()
    expected = [piece for piece, _ in splitter.pre_tokenize_str(text)]
    assert ["▁" + word for word in metaspace_words(text)] == expected
    assert ["▁" + str(word) for word in kernel_words(text, "metaspace")] == expected


def test_every_class_beyond_ascii_is_that_of_hf() -> None:
    for kind, before in ((LETTER, "a"), (NUMBER, "1")):
        inside = [point for first, last in ranges(kind) for point in range(first, last + 1) if point >= 128]
        assert hf_words(before + "".join(map(chr, inside))) == [before + "".join(map(chr, inside))]
    spaces = [point for first, last in ranges(SPACE) for point in range(first, last + 1)]
    assert len(hf_words("".join(map(chr, spaces)))) == 1


def test_the_table_grows_for_a_long_word() -> None:
    text = "a" * 100_000 + " b"
    assert kernel_words(text) == ["a" * 100_000, " b"]
    assert kernel_words(text, "chars") == ["a" * 100_000, "b"]
