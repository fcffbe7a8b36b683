"""Golden cases: tests/cases/COMMAND/CASE/{cmd,expout,experr} run through the real binary.

`cmd` is one shell line that begins with ``mlkit``; it runs in a copy of the case's folder. `expout` is the exact
stdout, `experr` (optional) the exact stderr; a last line ``# exit N`` in `cmd` gives the exit code (default 0).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import command_environment

ROOT = Path(__file__).parent / "cases"
CASES = sorted(path.parent for path in ROOT.rglob("cmd"))


@pytest.mark.parametrize("case", CASES, ids=[str(case.relative_to(ROOT)) for case in CASES])
def test_case(case: Path, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    shutil.copytree(case, folder)
    text = (case / "cmd").read_text()
    code = re.search(r"^# exit (\d+)$", text, re.M)
    launcher = tmp_path / "bin" / "mlkit"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlkit "$@"\n')
    launcher.chmod(0o755)
    environment = command_environment()
    environment["PATH"] = f"{launcher.parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", text], cwd=folder, env=environment, capture_output=True, timeout=120
    )  # fmt: skip
    stderr = done.stderr.decode()
    assert done.stdout.decode() == (case / "expout").read_text(), stderr
    assert done.returncode == (int(code[1]) if code else 0), stderr
    if (case / "experr").exists():
        # on a slow day a log has lines of progress, too
        stderr = re.sub(r"^[A-Z][\w -]*: [^\n]*?\d+\.\d %.*\n", "", stderr, flags=re.M)
        assert stderr == (case / "experr").read_text()
