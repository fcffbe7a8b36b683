"""`mlkit ter` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_bleu import peer
from tests.conftest import Run


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "ref").write_text("the cat sat on the mat today\nhello big world\n\n")
    (tmp_path / "ref2").write_text("a cat sat on mats\nhello world\nx\n")
    (tmp_path / "hyp").write_text("on the mat the cat sits\nhello World now\nx y\n")
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        ["-f", "text", "-w", "4"],
        ["-f", "json", "--ter-normalized", "--ter-no-punct"],
        ["-f", "json", "--ter-case-sensitive", "-w", "9"],
        ["-f", "text", "--ter-asian-support", "-sl"],
    ],
)
def test_the_same_options_give_the_same_output(options: list[str], files: Path, mlkit: Run) -> None:
    expected = peer("ref", "ref2", "-i", "hyp", "-m", "ter", *options, cwd=files)
    assert mlkit("ter", "ref", "ref2", "-i", "hyp", *options).stdout.decode() == expected


def test_edits(files: Path, mlkit: Run) -> None:
    rows = [
        line.split("\t")
        for line in mlkit("ter", "ref", "--edits", stdin=(files / "hyp").read_bytes())
        .stdout.decode()
        .splitlines()
    ]
    assert rows == [
        [
            "segment",
            "insertions",
            "deletions",
            "substitutions",
            "shifts",
            "shifted_words",
            "edits",
            "ref_len",
            "TER",
        ],
        ["1", "0", "1", "1", "1", "2", "3", "7.0", "42.857142857142854"],
        ["2", "0", "0", "1", "1", "1", "2", "3.0", "66.66666666666666"],
        ["3", "2", "0", "0", "0", "0", "2", "0.0", "100.0"],
        ["total", "2", "1", "2", "2", "3", "7", "10.0", "70.0"],
    ]
    records = [
        json.loads(line) for line in mlkit("ter", "ref", "-i", "hyp", "--edits", "--json").stdout.splitlines()
    ]
    assert [record["edits"] for record in records] == [3, 2, 2, 7]


def test_alignment(files: Path, mlkit: Run) -> None:
    text = mlkit("ter", "ref", "ref2", "-i", "hyp", "--alignment").stdout.decode()
    assert text.splitlines()[:6] == [
        "Segment 1: TER 50.00 (3 edits / 6 words, reference 1)",
        "REF:  the cat sat on the mat today",
        "HYP:  the cat *** on the mat sits",
        "EVAL:         D              S",
        "SHFT: 1   1",
        "Shift 1: [the cat] from 4 to 1",
    ]
    record = json.loads(mlkit("ter", "ref", "-i", "hyp", "--alignment", "--json").stdout.splitlines()[0])
    assert record["path"] == "  D   S"
    assert record["shifts"] == [{"start": 3, "length": 2, "to": 0}]


def test_edits_and_segments_exclude_each_other(files: Path, mlkit: Run) -> None:
    done = mlkit("ter", "ref", "-i", "hyp", "--edits", "--sentence-level", check=False)
    assert done.returncode == 2
