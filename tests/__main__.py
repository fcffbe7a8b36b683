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
    coverage = ["--cov=mlkit", "--cov-report=", "-m", "kernel", *kernel_tests()]
    return [
        ("lint", [PYTHON, "-m", "ruff", "check", "."], {}),
        ("format", [PYTHON, "-m", "ruff", "format", "--check", "."], {}),
        ("types", [PYTHON, "-m", "mypy"], {}),
        ("kernels without JIT", [*pytest, *parallel, *coverage], {"NUMBA_DISABLE_JIT": "1"}),
        ("coverage of kernels", [PYTHON, "-m", "coverage", "report", "--include", "*/kernels*.py"], {}),
        ("warm the kernel cache", [PYTHON, "-m", "mlkit", "warm", "-q"], {}),
        ("tests", [*pytest, *parallel, *sys.argv[1:]], {}),
    ]


# these run whole jobs of many kernels: minutes of plain Python; with JIT they run like the others
TOO_SLOW_WITHOUT_JIT = {
    "bpe/test_encode.py", "bpe/test_learn.py", "bpe/test_pretokenize.py", "cli/test_vocab.py",
    "vectors/test_keyed_vectors.py", "formats/test_vectors.py", "metrics/test_kernels.py", "ngram/test_train.py",
    "trees/test_measures.py",
}  # fmt: skip


def kernel_tests() -> list[str]:
    """Return the test files that compare kernels with tests.naive (collecting the others takes a while)."""
    tests = REPOSITORY / "tests"
    files = [path for path in sorted(tests.rglob("test_*.py")) if "naive" in path.read_text()]
    slow = [path for path in files if str(path.relative_to(tests)) in TOO_SLOW_WITHOUT_JIT]
    print(f"not run without JIT: {', '.join(str(path.relative_to(tests)) for path in slow)}", flush=True)
    return [str(path) for path in files if path not in slow]


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
