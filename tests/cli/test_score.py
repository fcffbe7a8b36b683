"""`mlkit score`: several metrics in one pass, and sacreBLEU's own command lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_bleu import peer
from tests.conftest import Run


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "ref").write_text("the cat sat on the mat\nhello, big world\n")
    (tmp_path / "hyp").write_text("the cat sits on the mat\nhello world\n")
    (tmp_path / "other").write_text("the mat sat on a cat\nhello big world\n")
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        ["-i", "hyp", "-m", "bleu", "chrf", "ter", "-f", "json"],
        ["-i", "hyp", "-m", "ter", "bleu", "-f", "text", "-w", "3", "-tok", "char", "--ter-normalized"],
        ["-i", "hyp", "other", "-m", "bleu", "chrf", "-f", "json", "-cw", "2"],
        ["-i", "hyp", "-m", "bleu", "chrf", "ter", "-ci", "-cin", "60", "-f", "text", "-w", "4"],
    ],
)
def test_a_command_line_of_sacrebleu(options: list[str], files: Path, mlkit: Run) -> None:
    expected = peer("ref", *options, cwd=files)
    assert mlkit("score", "ref", *options).stdout.decode() == expected


def test_metrics_with_commas(files: Path, mlkit: Run) -> None:
    record = json.loads(mlkit("score", "ref", "-i", "hyp", "--metrics", "bleu,ter,chrf", "--json").stdout)
    assert list(record["scores"]) == ["BLEU", "TER", "chrF2"]
    assert record["scores"]["TER"]["edits"] == 3
    header = mlkit("score", "ref", "-i", "hyp", "--sentence-level", "--metrics=ter,chrf").stdout.splitlines()[
        0
    ]
    assert header.startswith(b"segment\tTER\tTER_edits\tTER_ref_len\tchrF2\tchrF2_hyp_char1\t")
    fault = mlkit("score", "ref", "-i", "hyp", "--metrics", "bleu,meteor", check=False)
    assert (fault.returncode, fault.stderr) == (
        2, b"mlkit score: --metrics bleu,meteor: choose from bleu, chrf, ter, each once\n",
    )  # fmt: skip


def test_a_configuration_file_holds_the_options(files: Path, mlkit: Run) -> None:
    printed = mlkit("score", "ref", "-i", "hyp", "-m", "bleu", "-tok", "char", "--print-config").stdout
    (files / "settings.yaml").write_bytes(printed)
    assert b"tokenize: char" in printed
    assert (
        mlkit("score", "ref", "--config", "settings.yaml").stdout
        == mlkit("score", "ref", "-i", "hyp", "-m", "bleu", "-tok", "char").stdout
    )
