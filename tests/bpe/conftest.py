"""Texts and models that the tests of the room share."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mlkit.bpe.counting import count_words
from mlkit.bpe.learn import LearnOptions, learn
from mlkit.bpe.model import BpeModel


def sample_text(lines: int = 300, seed: int = 7) -> str:
    """Make text with repeated words, case, digits, punctuation, and a few characters beyond ASCII."""
    random_ = random.Random(seed)
    syllables = ["ka", "lo", "mi", "na", "the", "ing", "er", "st", "été", "ß", "中文", "ы", "aa", "x"]
    words = ["".join(random_.choices(syllables, k=random_.randint(1, 5))) for _ in range(250)]
    words += ["I'll", "it's", "'tis", "1999", "3.14", "a-b", "U.S.", "--", "(so)", "Ünïcødé", "🙂🙂"]
    rows = []
    for _ in range(lines):
        chosen = random_.choices(
            words, weights=[1 / (k + 1) for k in range(len(words))], k=random_.randint(0, 14)
        )
        rows.append(" ".join(chosen))
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="session")
def text() -> str:
    return sample_text()


@pytest.fixture(scope="session")
def corpus(text: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bpe") / "corpus.txt"
    path.write_text(text, newline="")
    return path


@pytest.fixture(scope="session", params=["bytes", "chars", "metaspace"])
def model(request: pytest.FixtureRequest, corpus: Path) -> BpeModel:
    options = LearnOptions(request.param, merges=200, specials=("<pad>",))
    return learn(count_words([corpus], request.param), options)
