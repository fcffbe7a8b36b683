"""Co-occurrence counts against the naive twin; threads, memory, shards and formats give the same sums."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlkit.corpus.prepare import Vocabulary, build_vocabulary
from mlkit.errors import MlkitError, ModelError, UsageError
from mlkit.formats.cooccurrence import Cooccurrences, is_cooccurrences, map_records
from mlkit.glove import cooccur
from mlkit.glove.cooccur import count_cooccurrences, merge_cooccurrences, write_glove
from mlkit.glove.records import glove_records, records_of
from tests.naive import cooccur as naive

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
relaxed = settings(
    max_examples=50 if JIT else 8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
sentences = st.lists(st.lists(st.integers(0, 70), max_size=12), max_size=12)


def write(path: Path, sentences: list[list[int]]) -> Path:
    path.write_text("".join(" ".join(f"w{word}" for word in line) + "\n" for line in sentences))
    return path


def numbered(path: Path, vocabulary: Vocabulary) -> list[list[int]]:
    lines = [[vocabulary.index(word) for word in line.split()] for line in path.read_text().splitlines()]
    return [[word for word in line if word >= 0] for line in lines]


def weights_of(path: Path) -> dict[tuple[int, int], float]:
    records = map_records(path)
    found = {(int(word) - 1, int(context) - 1): float(weight) for word, context, weight in records.tolist()}
    assert len(found) == len(records)
    assert list(found) == sorted(found)
    return found


@relaxed
@given(sentences, st.integers(1, 17), st.booleans(), st.booleans())
def test_counts_are_exact(
    tmp_path: Path, lines: list[list[int]], window: int, symmetric: bool, weighting: bool
) -> None:
    text = write(tmp_path / "a", lines)
    options = {"window": window, "symmetric": symmetric, "distance_weighting": weighting, "min_count": 2}
    counts = count_cooccurrences([text], tmp_path / "glove", format="glove", **options)  # type: ignore[arg-type]
    vocabulary = build_vocabulary([text], min_count=2)
    expected = naive.count(numbered(text, vocabulary), window, symmetric, weighting)
    assert weights_of(tmp_path / "glove") == expected
    assert counts.records == len(expected)
    count_cooccurrences([text], tmp_path / "own", threads=3, **options)  # type: ignore[arg-type]
    merged = merge_cooccurrences([tmp_path / "own"], tmp_path / "glove2", format="glove")
    assert (tmp_path / "glove2").read_bytes() == (tmp_path / "glove").read_bytes()
    assert merged.records == len(expected)


def test_wide_windows_are_exact_to_a_billionth(tmp_path: Path) -> None:
    text = write(tmp_path / "a", [[random.Random(n).randrange(5) for _ in range(60)] for n in range(5)])
    count_cooccurrences([text], tmp_path / "glove", format="glove", window=40, min_count=1)
    expected = naive.count(numbered(text, build_vocabulary([text], min_count=1)), 40)
    found = weights_of(tmp_path / "glove")
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[pair] for pair in expected], list(expected.values()), rtol=1e-8)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rng = random.Random(4)
    lines = [
        [int(rng.paretovariate(0.6)) % 200 for _ in range(rng.randrange(30))] for _ in range(60 if JIT else 9)
    ]
    return write(tmp_path / "corpus", lines)


def test_threads_segments_and_runs_give_the_same_bytes(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_cooccurrences([corpus], tmp_path / "one", min_count=1)
    count_cooccurrences([corpus], tmp_path / "two", min_count=1, threads=2)
    monkeypatch.setattr(cooccur._RowCounter, "segment", lambda self, memory: 37)
    monkeypatch.setattr(cooccur, "FAN_IN", 4)
    monkeypatch.setattr(cooccur, "_MERGE", 100)
    count_cooccurrences([corpus], tmp_path / "three", min_count=1, memory=1 << 30, tmp_dir=str(tmp_path))
    content = (tmp_path / "one").read_bytes()
    assert (tmp_path / "two").read_bytes() == content == (tmp_path / "three").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["corpus", "one", "three", "two"]


@pytest.mark.parametrize("shards", [2, 5])
def test_shards_merge_to_the_same_bytes(tmp_path: Path, corpus: Path, shards: int) -> None:
    vocabulary = build_vocabulary([corpus], min_count=2)
    count_cooccurrences([corpus], tmp_path / "whole", vocabulary=vocabulary)
    parts = [tmp_path / f"part{index}" for index in range(shards)]
    for index, part in enumerate(parts):
        count_cooccurrences([corpus], part, vocabulary=vocabulary, shard=(index, shards))
    merge_cooccurrences(parts[::-1], tmp_path / "merged")
    assert (tmp_path / "merged").read_bytes() == (tmp_path / "whole").read_bytes()


def test_what_cannot_be_merged_is_refused(tmp_path: Path, corpus: Path) -> None:
    count_cooccurrences([corpus], tmp_path / "a", window=5)
    count_cooccurrences([corpus], tmp_path / "b", window=4)
    count_cooccurrences([corpus], tmp_path / "c", window=5, min_count=1)
    with pytest.raises(ModelError, match="window"):
        merge_cooccurrences([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    with pytest.raises(ModelError, match="vocabulary"):
        merge_cooccurrences([tmp_path / "a", tmp_path / "c"], tmp_path / "out")
    with pytest.raises(UsageError, match="--vocab"):
        count_cooccurrences([corpus], tmp_path / "out", shard=(0, 2))
    with pytest.raises(UsageError, match="window"):
        count_cooccurrences([corpus], tmp_path / "out", window=0)
    assert not (tmp_path / "out").exists()


def test_an_empty_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert count_cooccurrences([tmp_path / "a"], tmp_path / "own").records == 0
    assert count_cooccurrences([tmp_path / "a"], tmp_path / "glove", format="glove").records == 0
    assert len(map_records(tmp_path / "glove")) == 0
    assert len(Cooccurrences.open(tmp_path / "own").vocabulary()) == 0


def test_records_read_the_same_from_both_formats(tmp_path: Path, corpus: Path) -> None:
    count_cooccurrences([corpus], tmp_path / "own", min_count=1)
    count_cooccurrences([corpus], tmp_path / "glove", min_count=1, format="glove")
    assert is_cooccurrences(tmp_path / "own")
    assert not is_cooccurrences(tmp_path / "glove")
    matrix = Cooccurrences.open(tmp_path / "own")
    found = {}
    for words, contexts, weights in records_of(matrix).blocks():
        for i, j, weight in zip(words.tolist(), contexts.tolist(), weights.tolist(), strict=True):
            found[i, j] = found[j, i] = weight
    other = {}
    for words, contexts, weights in glove_records(tmp_path / "glove", matrix.words).blocks():
        other.update(zip(zip(words.tolist(), contexts.tolist(), strict=True), weights.tolist(), strict=True))
    assert found == other == weights_of(tmp_path / "glove")


# Damaged files


def test_truncated_files_are_refused(tmp_path: Path, corpus: Path) -> None:
    count_cooccurrences([corpus], tmp_path / "own")
    content = (tmp_path / "own").read_bytes()
    for size in range(0, len(content), max(len(content) // 60, 1)):
        (tmp_path / "cut").write_bytes(content[:size])
        with pytest.raises(ModelError):
            Cooccurrences.open(tmp_path / "cut")
    (tmp_path / "cut").write_bytes(b"1234567")
    with pytest.raises(ModelError, match="16"):
        map_records(tmp_path / "cut")


@relaxed
@given(st.binary(min_size=1, max_size=300), st.integers(0, 1 << 20))
def test_noise_never_crashes(tmp_path: Path, noise: bytes, place: int) -> None:
    if not (tmp_path / "own").exists():
        text = write(tmp_path / "a", [[1, 2, 3, 1, 2, 4], [5, 2, 3], [6, 1]])
        count_cooccurrences([text], tmp_path / "own", min_count=1)
    content = bytearray((tmp_path / "own").read_bytes())
    place %= len(content)
    content[place : place + len(noise)] = noise
    (tmp_path / "noise").write_bytes(content[: (tmp_path / "own").stat().st_size])
    try:
        merge_cooccurrences([tmp_path / "noise"], tmp_path / "out", format="glove")
    except MlkitError:
        pass


@relaxed
@given(sentences, st.integers(1, 6), st.booleans(), st.sampled_from([16, 64, 400]), st.booleans())
def test_records_written_in_blocks_are_those_written_at_once(
    tmp_path: Path, lines: list[list[int]], window: int, symmetric: bool, block: int, bounded: bool
) -> None:
    """Rows are read on from where the last block left them."""
    text = write(tmp_path / "a", lines)
    count_cooccurrences([text], tmp_path / "own", window=window, symmetric=symmetric, min_count=1)
    matrix = Cooccurrences.open(tmp_path / "own")
    write_glove(matrix, tmp_path / "whole")
    write_glove(matrix, tmp_path / "blocks", block, bounded=bounded)
    assert (tmp_path / "blocks").read_bytes() == (tmp_path / "whole").read_bytes()
