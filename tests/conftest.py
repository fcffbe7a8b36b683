"""Fixtures that every test may use: the real binary, and the shared data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from mlkit.jit import jit_disabled

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("MLKIT_SHARED", REPOSITORY.parent / "shared"))

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell that starts tests in the background has them ignore ^C, and what they start would do so, too
    signal.signal(signal.SIGINT, signal.default_int_handler)


def command_environment(changes: dict[str, str | None] | None = None) -> dict[str, str]:
    """Return the environment for a child: plain output, no settings of the user's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLKIT_")}
    environment.update({"COLUMNS": "100", "NO_COLOR": "1", "PYTHONWARNINGS": "error"})
    for name in ("NUMBA_DISABLE_JIT", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    for name, value in (changes or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return environment


def workers_of(client: int) -> list[int]:
    """Return the processes that the multiprocessing of `client` spawned."""
    found = subprocess.run(["ps", "-ewwo", "pid,ppid,args"], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in found.splitlines()[1:]]
    return [int(pid) for pid, parent, line in rows if int(parent) == client and "spawn_main" in line]


@pytest.fixture
def mlkit(tmp_path: Path) -> Run:
    """Return a function that runs the real binary in an empty folder: ``mlkit("bleu", "ref", stdin=b"...")``.

    With check=True (the default) a failing exit code fails the test and shows stderr.
    """

    def run(
        *arguments: object,
        stdin: bytes = b"",
        env: dict[str, str | None] | None = None,
        check: bool = True,
        cwd: Path | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, "-m", "mlkit", *map(str, arguments)],
            input=stdin, capture_output=True, env=command_environment(env), cwd=cwd or tmp_path, timeout=timeout,
        )  # fmt: skip
        if check and done.returncode != 0:
            pytest.fail(
                f"mlkit {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr.decode()}"
            )
        return done

    return run


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of shared data; tests that need it are skipped, visibly, where it is missing."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the data of ../shared")
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of modules that use tests.naive as `kernel`: they run a second time without JIT."""
    for item in items:
        module = getattr(item, "module", None)
        names = (getattr(value, "__name__", "") or "" for value in vars(module).values()) if module else ()
        modules = (
            (getattr(value, "__module__", "") or "" for value in vars(module).values()) if module else ()
        )
        if any(str(name).startswith("tests.naive") for name in (*names, *modules)):
            item.add_marker(pytest.mark.kernel)
    if jit_disabled():
        for item in items:
            fewer_examples(getattr(item, "obj", None))
            # unsigned numbers of generators and hashes wrap on purpose; compiled code does not tell
            item.add_marker(pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"))


def fewer_examples(test: object) -> None:
    """Let hypothesis try a few examples only: plain Python kernels are a hundred times slower."""
    chosen = getattr(test, "_hypothesis_internal_use_settings", None)
    if chosen is not None:
        fewer = hypothesis.settings(chosen, max_examples=min(chosen.max_examples, 5), deadline=None)
        test._hypothesis_internal_use_settings = fewer  # type: ignore[attr-defined]
