"""``python -m tests``: every check in one command: lint, types, kernels without JIT (for coverage), all tests."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = sys.executable


def stages() -> list[tuple[str, list[str], dict[str, str]]]:
    """Return (name, command, extra environment) of each stage, in order."""
    parallel = ["-n", "2"] if importlib.util.find_spec("xdist") else []
    pytest = [PYTHON, "-m", "pytest", "-q"]
    coverage = [PYTHON, "-m", "coverage", "run", "-m", "pytest", "-q", "-m", "kernel", "-x"]
    return [
        ("lint", [PYTHON, "-m", "ruff", "check", "."], {}),
        ("format", [PYTHON, "-m", "ruff", "format", "--check", "."], {}),
        ("types", [PYTHON, "-m", "mypy"], {}),
        ("kernels without JIT", coverage, {"NUMBA_DISABLE_JIT": "1"}),
        ("coverage of kernels", [PYTHON, "-m", "coverage", "report", "--include", "*/kernels*.py"], {}),
        ("warm the kernel cache", [PYTHON, "-m", "mlkit", "warm", "-q"], {}),
        ("tests", [*pytest, *parallel, *sys.argv[1:]], {}),
    ]


def main() -> None:
    failed = []
    for name, command, extra in stages():
        print(f"== {name}: {' '.join(command[1:])}", flush=True)
        start = time.monotonic()
        code = subprocess.run(command, cwd=REPOSITORY, env={**os.environ, **extra}).returncode
        print(
            f"== {name}: {'ok' if code == 0 else f'FAILED ({code})'}, {time.monotonic() - start:.0f} s\n",
            flush=True,
        )
        if code:
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
