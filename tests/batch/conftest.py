"""A queue for the tests of batch scripts: a real Slurm, and an `mlkit` on its PATH that can be made to fail."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import command_environment
from tests.slurm import NoSlurm, running_slurm, slurm


@dataclass
class Queue:
    """Slurm as a user sees it, in a folder of his own."""

    environment: dict[str, str]
    folder: Path

    def mlkit(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the real binary in the folder."""
        command = [sys.executable, "-m", "mlkit", *map(str, arguments)]
        return self.run(*command, check=check)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def submit(self, *arguments: object) -> dict[str, str]:
        """Submit a batch; return the numbers of its jobs by name."""
        return numbers(self.mlkit("batch", *arguments, "--submit").stdout)

    def wait(self, jobs: dict[str, str], patience: float = 120) -> None:
        """Wait until none of the jobs is in the queue."""
        deadline = time.monotonic() + patience
        while slurm(self.environment, "squeue", "-h", "-o", "%A", "-j", ",".join(jobs.values())):
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.1)

    def states(self, job: str) -> set[str]:
        """Return the states that a job, or the tasks of an array, ended in."""
        return set(re.findall(r"JobState=(\w+)", slurm(self.environment, "scontrol", "show", "job", job)))

    def logs(self) -> str:
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')}" for path in sorted(self.folder.rglob("*.log"))
        )


def numbers(table: str) -> dict[str, str]:
    return dict(line.split("\t") for line in table.splitlines())


@pytest.fixture(scope="session")
def slurm_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give the environment of a running Slurm; tests that need it are skipped, visibly, where it cannot run."""
    try:
        with running_slurm(tmp_path_factory.mktemp("slurm")) as environment:
            yield environment
    except NoSlurm as reason:
        pytest.skip(f"no Slurm here: {reason}")


@pytest.fixture
def queue(slurm_environment: dict[str, str], tmp_path: Path) -> Queue:
    """Give a queue and a folder with a corpus; ``tmp_path/hook`` is run by every `mlkit` of a job before it starts."""
    launcher = tmp_path / "bin" / "mlkit"
    launcher.parent.mkdir()
    launcher.write_text(
        f'#!/bin/bash\n[ ! -e "{tmp_path}/hook" ] || . "{tmp_path}/hook"\nexec "{sys.executable}" -m mlkit "$@"\n'
    )
    launcher.chmod(0o755)
    paths = f"{launcher.parent}:{slurm_environment['PATH']}"
    environment = command_environment({"SLURM_CONF": slurm_environment["SLURM_CONF"], "PATH": paths})
    folder = tmp_path / "my 100% work"
    folder.mkdir()
    words = ["of", "the", "and", "counts", "words", "shards", "merge", "a", "queue", "task"]
    lines = [
        " ".join(words[(i * i + 3 * j) % len(words)] + str(i % 7) * (j % 2) for j in range(9))
        for i in range(400)
    ]
    (folder / "corpus $1.txt").write_text("\n".join(lines) + "\n")
    return Queue(environment, folder)
