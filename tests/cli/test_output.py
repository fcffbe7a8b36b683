"""What a command says where there is no terminal."""

from __future__ import annotations

import pytest

from mlkit.cli import output
from mlkit.progress import Report


@pytest.mark.parametrize(
    ("title", "stage", "line"),
    [
        ("Stacking", "stacking", "Stacking: 25.0 %\n"),
        ("Training", "boosting", "Training: boosting, 25.0 %\n"),
        ("Training", "", "Training: 25.0 %\n"),
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
