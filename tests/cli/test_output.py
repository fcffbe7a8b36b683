"""What a command says where there is no terminal."""

from __future__ import annotations

import json

import pytest

from mlkit.cli import output
from mlkit.cli.progress_bar import bar
from mlkit.progress import Report
from mlkit.version import __version__


@pytest.mark.parametrize(
    ("title", "stage", "line"),
    [
        ("Stacking", "stacking", "Stacking: 25.0 %\n"),
        ("Training", "boosting", "Training: boosting, 25.0 %\n"),
        ("Training", "", "Training: 25.0 %\n"),
        ("Counting", "Reading", "Counting: reading, 25.0 %\n"),
    ],
)
def test_plain_progress_names_a_stage_once(
    title: str, stage: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "PLAIN_INTERVAL", -1.0)
    monkeypatch.setattr(output, "is_terminal", lambda stream: False)
    with output.Output().progress(title) as report:
        report(Report(stage, 1, 4))
    assert capsys.readouterr().err == line


def test_bars_begin_with_a_capital_and_epochs_share_one(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("Training") as report:
        for stage in ("reading", "epoch 1", "epoch 2", ""):
            report(Report(stage, 3, 4, "bytes", loss=0.5))
    lines = capsys.readouterr().err.split("\n")
    assert [line[:8].rstrip() for line in lines if line] == ["Reading", "Epoch 2", "Training"]
    assert all("75.0 %" in line and "loss 0.5000" in line for line in lines if line)


def test_a_rate_is_of_what_was_done_since_the_stage_began(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([10.0, 10.1, 20.0, 24.0, 30.0, 31.0])
    monkeypatch.setattr("mlkit.cli.progress_bar.time.monotonic", lambda: next(clock))
    with bar("Training") as report:
        for stage, done, unit in (
            ("quick", 0, "bytes"), ("quick", 4e9, "bytes"),
            ("resumed", 1e6, "bytes"), ("resumed", 9e6, "bytes"), ("bare", 0, ""), ("bare", 5, ""),
        ):  # fmt: skip
            report(Report(stage, done, None, unit))
    quick, resumed, bare = (line.rstrip() for line in capsys.readouterr().err.split("\n") if line.strip())
    assert quick.endswith(" 4 GB")
    assert resumed.endswith(" 9 MB 2 MB/s")
    assert bare.endswith(" 5")


def test_json_says_what_the_command_was_told(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    sink = output.Output()
    sink.settings = lambda: {"order": 3}
    for own in (None, {"dim": 5}):
        sink.json("mlkit.some", {"loss": 1.5}, own)
    sink.stdout.flush()
    first, second = capsysbinary.readouterr().out.splitlines()
    assert json.loads(first) == {
        "schema": "mlkit.some",
        "version": __version__,
        "settings": {"order": 3},
        "loss": 1.5,
    }
    assert json.loads(second)["settings"] == {"dim": 5}
