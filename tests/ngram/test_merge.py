"""Merging binary count files: the same n-grams, whatever the batches, the ranges, the files' own numbers of words."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from mlkit.errors import MlkitError
from mlkit.formats.lm_words import LmVocabulary
from mlkit.formats.ngram_counts import BinaryCountWriter
from mlkit.ngram import merge as merging
from mlkit.ngram.count_files import count_text, merge_counts, write_merged
from mlkit.ngram.merge import Merge
from mlkit.ngram.shards import NgramShards
from mlkit.ngram.spill import Shelves
from tests.naive import ngram as naive
from tests.ngram.test_count_files import read
from tests.ngram.test_train import write


def texts(folder: Path, number: int = 4, lines: int = 40) -> tuple[list[Path], list[list[str]]]:
    """Write texts that agree in some words, and count each with its own numbers of words."""
    generator = random.Random(1)
    everything, made = [], []
    for index in range(number):
        words = [f"w{k}" for k in range(index, index + 9)] + ["the", "of", "<unk>", "\0", "\x01", "é"]
        chosen = [generator.choices(words, k=generator.randrange(8)) for _ in range(lines)]
        everything += chosen
        made.append(write(folder / f"text{index}", chosen))
    return made, everything


def parts_of(files: list[Path], order: int) -> list[Path]:
    parts = [file.with_suffix(".bin") for file in files]
    for file, part in zip(files, parts, strict=True):
        count_text([file], part, order=order, binary=True)
    return parts


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_merged_counts_are_those_of_the_definition(tmp_path: Path, order: int) -> None:
    files, lines = texts(tmp_path)
    assert Merge.of(parts_of(files, order)) is not None
    merge_counts(parts_of(files, order), tmp_path / "merged")
    assert read(tmp_path / "merged") == naive.count(lines, order) | {("<s>",): len(lines)}
    count_text(files, tmp_path / "whole", order=order)
    assert (tmp_path / "merged").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_small_batches_cut_frequent_words(
    tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, _ = texts(tmp_path, lines=15)
    merge = Merge.of(parts_of(files, 4))
    assert merge is not None
    span = (0, len(merge.vocabulary))
    for level in (2, 3, 4):
        whole = list(merge.pieces(level, span))
        cut = list(merge.pieces(level, span, threads=2, batch=batch))
        assert len(cut) > len(whole)
        assert max(len(grams) for grams, _ in cut) <= max(batch, 4)
        for side in (0, 1):
            assert np.concatenate([piece[side] for piece in cut]).tolist() == (
                np.concatenate([piece[side] for piece in whole]).tolist()
            )


@pytest.mark.parametrize("ranges", [1, 2, 7, 60])
@pytest.mark.parametrize("suffix", ["counts", "bin"])
def test_ranges_joined_are_the_whole(tmp_path: Path, ranges: int, suffix: str) -> None:
    files, _ = texts(tmp_path)
    parts = [str(part) for part in parts_of(files, 3)]
    job = NgramShards(tuple(map(str, files)))
    plan = str(tmp_path / "plan")
    assert job.plan_merge(parts, ranges, plan)
    pieces = [str(tmp_path / f"piece{index}") for index in range(ranges)]
    for index in reversed(range(ranges)):
        job.merge_range(plan, index, pieces[index])
    output = tmp_path / f"joined.{suffix}"
    sizes = write_merged(parts, plan, pieces, output, binary=suffix == "bin", threads=2)
    assert sizes == count_text(files, tmp_path / f"whole.{suffix}", binary=suffix == "bin")
    assert output.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    job.join_ranges(plan, pieces, str(tmp_path / "part.bin"))
    merge_counts(parts, tmp_path / "merged.bin", binary=True)
    assert (tmp_path / "part.bin").read_bytes() == (tmp_path / "merged.bin").read_bytes()


@pytest.mark.parametrize("number", [2, 3, 4, 7])
def test_files_whose_words_do_not_fit_are_merged_some_at_a_time(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, _ = texts(tmp_path, number)
    parts = parts_of(files, 3)
    count_text(files, tmp_path / "whole.bin", binary=True)
    merged: list[int] = []
    of = Merge.of
    monkeypatch.setattr(Merge, "of", lambda paths: merged.append(len(paths)) or of(paths))
    monkeypatch.setattr(merging, "_LEAST", 1)
    merge_counts(parts, tmp_path / "two.bin", binary=True, shelves=Shelves(0, str(tmp_path)))
    assert max(merged) == 2
    assert (tmp_path / "two.bin").read_bytes() == (tmp_path / "whole.bin").read_bytes()
    merged.clear()
    merge_counts(parts, tmp_path / "all.bin", binary=True)
    assert merged == [number]
    assert not list(tmp_path.glob(".mlkit*"))


def test_the_general_way_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are no binary fractions, lines that weigh nothing, files of several orders."""
    files, _ = texts(tmp_path, lines=20)
    parts = []
    for number, file in enumerate(files):
        weighed = [f"{(k % 4) / 10} {line}" for k, line in enumerate(file.read_text().split("\n")[:-1])]
        file.write_text("\n".join(weighed) + "\n")
        parts.append(file.with_suffix(".bin"))
        count_text([file], parts[-1], order=2 + number % 2, binary=True, weighted=True)
    merge_counts(parts, tmp_path / "fast.bin", binary=True)
    merge_counts(parts, tmp_path / "fast")
    monkeypatch.setattr(Merge, "of", lambda paths: None)
    merge_counts(parts, tmp_path / "general.bin", binary=True)
    merge_counts(parts, tmp_path / "general")
    assert (tmp_path / "fast.bin").read_bytes() == (tmp_path / "general.bin").read_bytes()
    assert (tmp_path / "fast").read_bytes() == (tmp_path / "general").read_bytes()


def test_files_without_numbers_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier versions did not write them; n-grams that are not sorted are merged the general way."""
    files, _ = texts(tmp_path, number=2)
    count_text(files, tmp_path / "whole.bin", binary=True)
    with monkeypatch.context() as patch:
        patch.setattr(BinaryCountWriter, "begin", _begin_without_rows)
        parts = parts_of(files, 3)
    assert "rows 2" not in merging.Part(parts[0]).sections.arrays
    merge_counts(parts, tmp_path / "merged.bin", binary=True)
    assert (tmp_path / "merged.bin").read_bytes() == (tmp_path / "whole.bin").read_bytes()
    with (tmp_path / "wild.bin").open("wb") as stream:
        writer = BinaryCountWriter(stream)
        _begin_without_rows(writer, LmVocabulary.of([b"a", b"b"]))
        grams = np.array([[5, 5], [4, 4], [4, 5]], np.int32)
        writer.write(1, (np.array([[4], [5]], np.int32), np.array([1.0, 2.0])))
        writer.write(2, (grams, np.array([1.0, 1.0, 1.0])))
        writer.finish({}, 2)
    assert Merge.of([tmp_path / "wild.bin"]) is None
    merge_counts([tmp_path / "wild.bin"], tmp_path / "sorted")
    assert read(tmp_path / "sorted") == {("b",): 2, ("a",): 1, ("b", "b"): 1, ("a", "b"): 1, ("a", "a"): 1}


def _begin_without_rows(writer: BinaryCountWriter, vocabulary: LmVocabulary) -> None:
    writer._writer.add("word bytes", vocabulary.blob)
    writer._writer.add("word starts", vocabulary.starts)


def test_any_changed_byte_is_a_result_or_one_error(tmp_path: Path) -> None:
    files, _ = texts(tmp_path, number=1, lines=3)
    whole = parts_of(files, 3)[0].read_bytes()
    for at in range(64, len(whole), 7):
        for value in (0, 255):
            (tmp_path / "bad.bin").write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                merge_counts([tmp_path / "bad.bin"], tmp_path / "out")
            except MlkitError:
                continue


def test_nothing_to_merge(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    count_text([tmp_path / "empty"], tmp_path / "empty.bin", binary=True)
    assert Merge.of([tmp_path / "empty.bin"]) is None
    with pytest.raises(MlkitError):
        merge_counts([tmp_path / "empty.bin"], tmp_path / "out")
    assert not NgramShards(()).plan_merge([str(tmp_path / "empty.bin")], 2, str(tmp_path / "plan"))
    assert not (tmp_path / "plan").exists()
