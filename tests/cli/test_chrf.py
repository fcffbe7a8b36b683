"""`mlkit chrf` as a user calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_bleu import peer
from tests.conftest import Run


@pytest.mark.parametrize(
    "options",
    [
        ["-f", "text", "-w", "4"],
        ["-f", "json", "-cw", "2", "--chrf-whitespace", "--chrf-lowercase"],
        ["-f", "json", "-cc", "4", "--chrf-beta", "3", "-w", "9"],
        ["-f", "text", "--chrf-eps-smoothing", "-sl", "-w", "5"],
    ],
)
def test_the_same_options_give_the_same_output(options: list[str], tmp_path: Path, mlkit: Run) -> None:
    (tmp_path / "ref").write_text("Die Katze saß, auf der Matte.\n(Hallo) Welt\n\n")
    (tmp_path / "hyp").write_text("Die Katze sitzt auf der matte\nHallo Welt!\nx\n")
    expected = peer("ref", "-i", "hyp", "-m", "chrf", *options, cwd=tmp_path)
    assert mlkit("chrf", "ref", "-i", "hyp", *options).stdout.decode() == expected


def test_chrf_plus_plus(tmp_path: Path, mlkit: Run) -> None:
    (tmp_path / "ref").write_text("a b c\n")
    assert mlkit("chrf", "ref", "-i", "ref", "--word-order", "2").stdout.startswith(b"chrF2++|nrefs:1|")
