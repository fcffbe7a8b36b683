"""ARPA files: round trips, the habits of other tools, and files that are wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import DataError, MlkitError
from mlkit.formats.arpa import ArpaWriter, read_arpa
from mlkit.formats.lm_words import BEGIN, END, UNKNOWN

GOOD = """\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.25
-0.5\t</s>
-1.25\tword\t-0.125

\\2-grams:
-0.5\t<s> word
-0.75\tword </s>

\\end\\
"""


def read(tmp_path: Path, text: str | bytes, threads: int = 1):  # type: ignore[no-untyped-def]
    (tmp_path / "a").write_bytes(text.encode() if isinstance(text, str) else text)
    return read_arpa(tmp_path / "a", threads)


def written(model) -> bytes:  # type: ignore[no-untyped-def]
    import io

    stream = io.BytesIO()
    writer = ArpaWriter(stream)
    writer.begin(model.vocabulary, [len(level.values) for level in model.levels])
    for order, level in enumerate(model.levels, 1):
        last = order == len(model.levels)
        backoffs = np.empty(0, np.float32) if last else level.backoffs
        writer.write(order, writer.prepare(order, level.grams, level.values, backoffs))
    writer.finish()
    return stream.getvalue()


def test_reads_and_writes_again(tmp_path: Path) -> None:
    model = read(tmp_path, GOOD)
    assert written(model).decode() == GOOD
    assert model.has_unknown
    assert model.levels[0].values[[UNKNOWN - 1, BEGIN - 1, END - 1]].tolist() == [-1.5, -99, -0.5]
    assert model.levels[1].grams.tolist() == [[BEGIN, 4], [4, END]]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "iARPA\n\nsome words before\n" + text,
        lambda text: text.replace("\t", " "),
        lambda text: text.replace("\t", "  \t "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", " \n"),
        lambda text: text.replace("ngram 1=4", "ngram  1= 4"),
        lambda text: text.replace("-99\t<s>", "-inf\t<s>"),
        lambda text: text.replace("-99\t<s>", "-1.2e+02\t<s>"),
        lambda text: text.replace("-0.5\t</s>", "-0.5\t</s>\t0"),
        lambda text: text.replace("-0.5\t<s> word", "-5E-1\t<s> word\t0.000"),
        lambda text: text.replace("\n\n", "\n\n\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: text + "what follows the end is not read\n",
    ],
)
@pytest.mark.parametrize("threads", [1, 2])
def test_habits_of_other_tools(tmp_path: Path, change, threads: int) -> None:  # type: ignore[no-untyped-def]
    assert written(read(tmp_path, change(GOOD), threads)).decode() == GOOD


def test_compressed_and_upper_case_unknown(tmp_path: Path) -> None:
    model = read(tmp_path, gzip.compress(GOOD.replace("<unk>", "<UNK>").encode()))
    assert model.vocabulary.unknown == "<UNK>"
    assert written(model).decode() == GOOD.replace("<unk>", "<UNK>")


def test_without_unknown_word(tmp_path: Path) -> None:
    model = read(tmp_path, GOOD.replace("-1.5\t<unk>\n", "").replace("1=4", "1=3"))
    assert not model.has_unknown
    assert model.levels[0].values[UNKNOWN - 1] == -99


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ngram 1=4", "ngram 1=5", "promises 5 1-grams, the section has 4"),
        ("ngram 2=2", "ngram 2=3", "a:11: the header promises 3 2-grams, the section has 2"),
        ("ngram 2=2", "ngram 3=2", "'ngram 2=' is expected"),
        ("\\2-grams:", "\\3-grams:", "section of 2-grams is expected"),
        ("\\2-grams:\n-0.5\t<s> word\n-0.75\tword </s>\n", "", "the section of 2-grams is missing"),
        ("\\end\\\n", "", "cut short"),
        ("\\data\\", "data", "not an ARPA file"),
        ("-0.75\tword </s>", "-0.75\tword wird", "a:13: a word that is not among the 1-grams: 'wird'"),
        ("-0.75\tword </s>", "-0.75\tword", "a:13: not a line of 2 words"),
        ("-0.75\tword </s>", "-0.75\tword </s> x", "a:13: not a line of 2 words"),
        ("-0.75\tword </s>", "x\tword </s>", "a:13: no log10 probability"),
        ("-0.75\tword </s>", "0.75\tword </s>", "a:13: a log10 probability above 0"),
        ("-1.25\tword\t", "-1.25\t</s>\t", "stands twice"),
        ("\\1-grams:", "\\1-grams", "unexpected line"),
    ],
)
def test_wrong_files(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert message in str(caught.value)


def test_invalid_utf8_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a:9: invalid UTF-8"):
        read(tmp_path, GOOD.encode().replace(b"\tword\t", b"\tw\xffrd\t"))


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 30))
@settings(max_examples=150, deadline=None)
def test_noise(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int, removed: int) -> None:
    data = GOOD.encode()
    folder = tmp_path_factory.mktemp("noise")
    try:
        read(folder, data[:at] + noise + data[at + removed :])
    except MlkitError:
        pass


def test_kenlm_files(shared: Path) -> None:
    folder = shared / "data" / "formats" / "kenlm"
    model = read_arpa(folder / "test.arpa")
    assert [len(level.values) for level in model.levels] == [37, 47, 11, 6, 4]
    assert read_arpa(folder / "toy0.arpa").levels
    assert not read_arpa(folder / "test_nounk.arpa").has_unknown
