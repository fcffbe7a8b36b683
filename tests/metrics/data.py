"""What the tests of metrics share: texts, golden files, hypothesis strategies, sacreBLEU's options."""

from __future__ import annotations

import csv
import io
import lzma
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from mlkit.metrics import Bleu, Chrf, Ter
from mlkit.metrics.metric import Metric
from tests.conftest import SHARED

GOLDEN = SHARED / "golden" / "metrics"
TEXTS = SHARED / "data" / "mt"
MODELS_FROM_ELSEWHERE = ("ja-mecab", "ko-mecab")


def read(path: Path) -> list[str]:
    """Read a file as sacreBLEU does."""
    with open(path, encoding="utf-8", newline="\n") as stream:
        return [line.rstrip() for line in stream]


@cache
def text(pair: str, name: str) -> list[str]:
    """Return the lines of a shared text; the test is skipped, visibly, where it is missing."""
    path = TEXTS / pair / name
    if not path.exists():
        pytest.skip(f"needs ../shared/data/mt/{pair}/{name}")
    return read(path)


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a golden TSV file, packed or not; none where it is missing."""
    if not path.exists():
        return []
    content = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    return list(csv.DictReader(io.StringIO(content.decode()), delimiter="\t", quoting=csv.QUOTE_NONE))


def metric_of(kind: str, options: str) -> Metric:
    """Return the metric that sacreBLEU's options ask for."""
    words = options.split()
    settings: dict[str, Any] = {}
    names = {"-tok": "tokenize", "-s": "smooth_method", "-sv": "smooth_value", "-cw": "word_order"}
    while words:
        word = words.pop(0)
        if word == "-lc":
            settings["lowercase"] = True
        elif word in names:
            value = words.pop(0)
            settings[names[word]] = {"-sv": float, "-cw": int}.get(word, str)(value)
        else:
            settings[word.removeprefix(f"--{kind}-").replace("-", "_")] = True
    return {"bleu": Bleu, "ter": Ter, "chrf": Chrf}[kind](**settings)


def shown(row: list[float]) -> str:
    return " ".join(map(str, row))


# Characters whose class the Unicode tables of Python and of the module `regex` agree on: assigned in Python's.
_SPECIAL = " \t\u00a0\u2028\u3000.,-'\"&;<>()$%~{}[]/0123456789\x00\u0085，。！「」的中文かなカナ한ßİΣςéü€№½\u0301🙂𠀀"
characters = st.one_of(
    st.sampled_from("abcdeABC .,'-" + _SPECIAL),
    st.characters(exclude_categories=["Cs", "Cn", "Co"]).filter(lambda c: unicodedata.category(c) != "Cn"),
)
lines = st.text(characters, max_size=30).map(lambda t: t.replace("\n", " ").replace("\r", " "))
# words from a small set: repeats and shifts happen
words = st.lists(
    st.sampled_from(["a", "b", "c", "the", "The", "cat.", "(x)", "1,000", "it's"]), max_size=14
).map(" ".join)
segments = st.one_of(lines, words)
