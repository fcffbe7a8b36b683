"""Files that an earlier mlkit wrote go on working: models of every kind, recorded before the house was rearranged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Run

FOLDER = Path(__file__).parent / "old_models"
COMMANDS = FOLDER.joinpath("commands.txt").read_text().splitlines()


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=COMMANDS)
def test_old_models_give_the_old_results(mlkit: Run, number: int, tmp_path: Path) -> None:
    for path in FOLDER.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    done = mlkit(*COMMANDS[number].split(), cwd=tmp_path)
    assert done.stdout == (FOLDER / "out" / f"{number + 1:02d}").read_bytes()
