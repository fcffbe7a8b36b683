"""`--processes`, `--cluster` and `--sync` of train-w2v and fasttext, through the real binary."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run, command_environment, workers_of

QUIET = {"PYTHONWARNINGS": "ignore"}  # Dask's own warnings are not ours
W2V = "train-w2v corpus.txt -o OUT --dim 10 --min-count 1 --epochs 2 --threads 1 -q"
LABELS = (
    "fasttext supervised -input labels.txt -output OUT -dim 8 -epoch 2 -bucket 100 -wordNgrams 2 -thread 1 -q"
)
WORDS = "fasttext skipgram -input corpus.txt -output OUT -dim 8 -epoch 1 -bucket 100 -minCount 1 -thread 1 -q"
JOBS = {"w2v": W2V, "supervised": LABELS, "skipgram": WORDS}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    lines = [" ".join(f"w{word}" for word in generator.zipf(1.5, 12) % 200) for _ in range(600)]
    (tmp_path / "corpus.txt").write_text("\n".join(lines) + "\n")
    labelled = [f"__label__{'even' if len(line) % 2 else 'odd'} {line}\n" for line in lines]
    (tmp_path / "labels.txt").write_text("".join(labelled))
    return tmp_path


def output(mlkit: Run, data: Path, job: str, *more: str) -> bytes:
    mlkit(*JOBS[job].split(), *more, cwd=data, env=QUIET)
    (path,) = [path for path in data.glob("OUT*") if path.suffix != ".vec"]
    content = path.read_bytes()
    for path in data.glob("OUT*"):
        path.unlink()
    assert not list(data.glob(".mlkit-*"))
    return content


@pytest.mark.parametrize("job", JOBS)
def test_one_process_makes_the_bytes_of_none(job: str, mlkit: Run, data: Path) -> None:
    assert output(mlkit, data, job, "--processes", "1", "--sync", "1") == output(mlkit, data, job)


@pytest.mark.parametrize("job", JOBS)
def test_dask_makes_the_bytes_of_processes(job: str, mlkit: Run, data: Path) -> None:
    pytest.importorskip("distributed", reason="needs Dask")
    shared = output(mlkit, data, job, "--processes", "2", "--sync", "3")
    assert output(mlkit, data, job, "--cluster", "local:2", "--sync", "3") == shared


@pytest.mark.parametrize("job", ["w2v", "supervised"])
def test_a_killed_worker_costs_time_only(job: str, mlkit: Run, data: Path) -> None:
    many = ["--processes", "2", "--sync", "10", "--epochs" if job == "w2v" else "--epoch", "60"]
    expected = output(mlkit, data, job, *many)
    command = [sys.executable, "-m", "mlkit", *JOBS[job].split(), *many]
    place = {"TMPDIR": str(data), **QUIET}
    process = subprocess.Popen(command, cwd=data, env=command_environment(place))
    killed, deadline = False, time.monotonic() + 60
    while not killed and process.poll() is None and time.monotonic() < deadline:
        stamps = [
            np.fromfile(path, np.int32) for path in data.glob(".mlkit-*/*-stamps")
        ]  # last change of every row
        if any((rounds > 0).any() for rounds in stamps) and (workers := workers_of(process.pid)):
            os.kill(workers[0], signal.SIGKILL)
            killed = True
        time.sleep(0.01)
    assert process.wait(timeout=100) == 0
    assert killed
    (path,) = [path for path in data.glob("OUT*") if path.suffix != ".vec"]
    assert path.read_bytes() == expected


def test_a_stopped_run_is_resumed(mlkit: Run, data: Path) -> None:
    many = ["--processes", "2", "--sync", "5", "--epochs", "40"]
    expected = output(mlkit, data, "w2v", *many)
    command = [
        sys.executable,
        "-m",
        "mlkit",
        *W2V.split(),
        *many,
        "--checkpoint",
        "state",
        "--checkpoint-every",
        "0",
    ]
    process = subprocess.Popen(command, cwd=data, env=command_environment(QUIET), stderr=subprocess.PIPE)
    while not (data / "state").exists() and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    _, words = process.communicate(timeout=60)
    assert process.returncode == 143
    assert b"continue with --resume" in words
    assert not (data / "OUT").exists()
    assert output(mlkit, data, "w2v", *many, "--checkpoint", "state", "--resume") == expected


def test_what_does_not_go_together_is_one_line(mlkit: Run, data: Path) -> None:
    for job, options, said in (
        (W2V, "--sync 3", b"--sync needs --cluster or --processes"),
        (LABELS, "--sync 3", b"--sync needs --cluster or --processes"),
        (W2V, "--processes 2 --encoded ids", b"--encoded"),
        (LABELS, "--processes 2 --autotune-validation labels.txt", b"autotune"),
        (W2V.replace("corpus.txt", "-"), "--processes 2", b"pipe"),
    ):
        done = mlkit(*job.split(), *options.split(), cwd=data, check=False)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert done.stderr.count(b"\n") <= 2
    with open(data / "corpus.txt", "ab") as file:
        file.write(b"bad \xff byte\n")
    done = mlkit(*W2V.split(), "--processes", "2", cwd=data, check=False)
    assert done.returncode == 1
    assert b"corpus.txt:601" in done.stderr
    assert b"shard" in done.stderr
