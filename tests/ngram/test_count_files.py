"""Counting against the definitions; files, shards and merging."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import DataError, MlkitError, UsageError
from mlkit.ngram.count_files import count_text, merge_counts
from mlkit.ngram.smoothing import Smoothing
from mlkit.ngram.spill import Shelves
from mlkit.ngram.train import TrainSettings, train
from tests.naive import ngram as naive
from tests.ngram.test_train import sentences, write


def read(path: Path) -> dict[tuple[str, ...], float]:
    found = {}
    for line in path.read_text().split("\n")[:-1]:
        words, _, number = line.partition("\t")
        found[tuple(words.split(" "))] = float(number)
    return found


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_counts_as_by_definition(tmp_path: Path, order: int) -> None:
    lines = sentences(100)
    count_text([write(tmp_path / "text", lines)], tmp_path / "counts", order=order)
    want = naive.count(lines, order) | {("<s>",): len(lines)}
    assert read(tmp_path / "counts") == want


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "b", "ab", "aé", "x" * 9, "x" * 17, "\0"]), max_size=5), max_size=8
    )
)
@settings(max_examples=25, deadline=None)
def test_any_lines(tmp_path_factory: pytest.TempPathFactory, lines: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    count_text([write(folder / "text", lines)], folder / "counts", order=3)
    want = naive.count(lines, 3) | ({("<s>",): len(lines)} if lines else {})
    assert read(folder / "counts") == want


def test_weights_of_lines(tmp_path: Path) -> None:
    lines, weights = sentences(60), [0.25 * (i % 5) + 0.25 for i in range(60)]
    text = "".join(f"{w} {' '.join(line)}\n" for w, line in zip(weights, lines, strict=True))
    (tmp_path / "text").write_text(text)
    count_text([tmp_path / "text"], tmp_path / "counts", order=3, weighted=True)
    want = naive.count(lines, 3, weights) | {("<s>",): sum(weights)}
    assert read(tmp_path / "counts") == pytest.approx(want)
    # fractional counts: Kneser-Ney refuses them, Witten-Bell does not
    with pytest.raises(UsageError, match="whole counts"):
        train(tmp_path / "lm.arpa", TrainSettings(), counts=[tmp_path / "counts"])
    train(
        tmp_path / "lm.arpa", TrainSettings(smoothing=Smoothing("witten-bell")), counts=[tmp_path / "counts"]
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("suffix", ["counts", "bin", "counts.gz"])
def test_shards_merge_to_the_same_bytes(tmp_path: Path, suffix: str, weighted: bool) -> None:
    text = write(tmp_path / "text", [[str(1 + i % 3), *line] for i, line in enumerate(sentences(500))])
    binary = suffix == "bin"
    count_text([text], tmp_path / f"all.{suffix}", order=3, binary=binary, weighted=weighted)
    parts = [tmp_path / f"part{i}.{suffix}" for i in range(7)]
    for i, part in enumerate(parts):
        count_text([text], part, order=3, binary=binary, shard=(i, 7), threads=2, weighted=weighted)
    merge_counts(parts[::-1], tmp_path / f"merged.{suffix}", binary=binary)
    assert (tmp_path / f"merged.{suffix}").read_bytes() == (tmp_path / f"all.{suffix}").read_bytes()
    merge_counts(parts, tmp_path / "spilled", binary=binary, shelves=Shelves(0, str(tmp_path)))
    merge_counts(parts, tmp_path / "kept", binary=binary)
    assert (tmp_path / "spilled").read_bytes() == (tmp_path / "kept").read_bytes()


@pytest.mark.parametrize("suffix", ["counts", "bin"])
def test_training_from_counts_equals_training_from_text(tmp_path: Path, suffix: str) -> None:
    text = write(tmp_path / "text", sentences(300))
    counts = tmp_path / f"c.{suffix}"
    count_text([text], counts, order=4, binary=suffix == "bin")
    for order in (1, 2, 4):
        for method in ("modified-kneser-ney", "witten-bell"):
            chosen = TrainSettings(order=order, smoothing=Smoothing(method))
            train(tmp_path / "a.arpa", chosen, texts=[text])
            train(tmp_path / "b.arpa", chosen, counts=[counts])
            assert (tmp_path / "a.arpa").read_bytes() == (tmp_path / "b.arpa").read_bytes()


def test_counts_of_lower_orders_are_taken_as_given(tmp_path: Path) -> None:
    """SRILM's files with cut-offs: the 1-grams count more than the 2-grams that are left."""
    (tmp_path / "c").write_text("<s>\t3\na\t5\nb\t2\n</s>\t3\n<s> a\t3\na b\t2\n")
    merge_counts([tmp_path / "c"], tmp_path / "out")
    assert read(tmp_path / "out") == {
        ("<s>",): 3, ("a",): 5, ("b",): 2, ("</s>",): 3, ("<s>", "a"): 3, ("a", "b"): 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a b\t1\na b\n", "c:2: not a line of words"),
        (b"a\t-1\n", "not a line of words"),
        (b"7\n", "not a line of words"),
        (b"a\tnan\n", "not a line of words"),
        (b"", "no counts"),
        (b"a \xff\t3\n", "invalid UTF-8"),
    ],
)
def test_bad_count_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(DataError, match=message):
        train(tmp_path / "lm.arpa", TrainSettings(order=2), counts=[tmp_path / "c"])


def test_order_beyond_the_counts(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a\t1\na b\t1\n")
    with pytest.raises(DataError, match="up to order 2, --order 3"):
        train(tmp_path / "lm.arpa", TrainSettings(order=3), counts=[tmp_path / "c"])


@given(st.binary(max_size=200), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_random_and_truncated_files(tmp_path_factory: pytest.TempPathFactory, noise: bytes, cut: int) -> None:
    folder = tmp_path_factory.mktemp("noise")
    count_text([write(folder / "text", sentences(5))], folder / "whole", order=2, binary=True)
    whole = (folder / "whole").read_bytes()
    (folder / "noise").write_bytes(noise)
    (folder / "cut").write_bytes(whole[: cut % len(whole)])
    at = cut % len(whole)
    (folder / "changed").write_bytes(whole[:at] + noise[:1] + whole[at + 1 :])
    for name in ("noise", "cut", "changed"):
        try:
            merge_counts([folder / name], folder / "out")
        except MlkitError:
            continue


def test_line_without_a_weight(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("1 a b\nno weight\n")
    with pytest.raises(DataError, match="weight"):
        count_text([tmp_path / "text"], tmp_path / "c", weighted=True)
