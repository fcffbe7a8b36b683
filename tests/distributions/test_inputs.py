"""Words, tables and language models as they come from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlkit.distributions.tables import classifier_test, column_shifts, shared_columns
from mlkit.distributions.words import aligned, read_counts
from mlkit.errors import DataError
from mlkit.formats.table_files import read_table


def test_counts_and_texts_are_told_apart(tmp_path: Path) -> None:
    text, counts = tmp_path / "text.txt", tmp_path / "counts.tsv"
    text.write_text("b a\na c\n\n")
    counts.write_text("a\t2\nb\t1\nc\t1\n")
    assert read_counts(text) == read_counts(counts)
    assert read_counts(counts, "text")["2"] == 1
    words, first, second = aligned(read_counts(text), read_counts(counts))
    assert words == ["a", "b", "c"]
    assert first.tolist() == second.tolist() == [2, 1, 1]


def test_bad_counts_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "counts.tsv"
    path.write_text("a\t2\nb\tx\n")
    with pytest.raises(DataError, match=r"counts.tsv:2: expected a word"):
        read_counts(path, "counts")
    path.write_text("")
    with pytest.raises(DataError, match="no words"):
        read_counts(path)


def write_rows(path: Path, rows: int, shift: float, seed: int, colours: str) -> str:
    rng = np.random.default_rng(seed)
    lines = ["id,size,age,colour"]
    for row in range(rows):
        age = "" if rng.random() < 0.1 else f"{rng.normal() + shift:.3f}"
        lines.append(f"{row},{rng.normal():.3f},{age},{colours[rng.integers(len(colours))]}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_the_shifted_columns_come_first_and_give_the_tables_away(tmp_path: Path) -> None:
    a = read_table(write_rows(tmp_path / "a.csv", 800, 0.0, 1, "rgb"))
    b = read_table(write_rows(tmp_path / "b.csv", 500, 1.0, 2, "rgbx"))
    names = shared_columns(a, b, ["id"])
    shifts = column_shifts(a, b, names)
    by_name = {shift.column: shift for shift in shifts}
    assert [shift.psi for shift in shifts] == sorted((shift.psi for shift in shifts), reverse=True)
    assert by_name["age"].p == pytest.approx(1 / 201)
    assert by_name["age"].w1 == pytest.approx(1.0, abs=0.2)
    assert by_name["age"].missing_a == pytest.approx(0.1, abs=0.04)
    assert by_name["colour"].new == pytest.approx(0.25, abs=0.05)
    assert by_name["size"].p > 0.05
    assert by_name["size"].psi < 4 * by_name["size"].psi_expected
    test = classifier_test(a, b, names)
    assert test.auc > 0.75
    assert test.p < 1e-6
    assert {name for name, _ in test.columns[:2]} == {"age", "colour"}


def test_expected_psi_is_the_mean_without_shift(tmp_path: Path) -> None:
    found = []
    for seed in range(40):
        a = read_table(write_rows(tmp_path / "a.csv", 300, 0.0, 2 * seed, "r"))
        b = read_table(write_rows(tmp_path / "b.csv", 300, 0.0, 2 * seed + 1, "r"))
        (shift,) = column_shifts(a, b, ["size"])
        found.append(shift.psi / shift.psi_expected)
    assert np.mean(found) == pytest.approx(1.0, abs=0.25)


def test_tables_need_a_common_column(tmp_path: Path) -> None:
    a = read_table(write_rows(tmp_path / "a.csv", 5, 0.0, 1, "r"))
    (tmp_path / "b.csv").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match="no column in common"):
        shared_columns(a, read_table(str(tmp_path / "b.csv")), [])
