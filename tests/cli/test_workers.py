"""`--processes` and `--cluster`: every command gives the bytes of one process, also when a worker is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Run, command_environment, workers_of
from tests.slurm import NoSlurm, running_slurm

QUIET = {"PYTHONWARNINGS": "ignore"}  # Dask's own warnings are not ours

JOBS = {
    "vocab": "vocab a.txt b.txt.gz -o OUT --min-count 2",
    "bpe count": "bpe count a.txt b.txt.gz --type chars -o OUT",
    "bpe learn": "bpe learn a.txt b.txt.gz --merges 60 -o OUT --weights 1,3",
    "ngram count": "ngram count a.txt b.txt.gz --order 3 -o OUT",
    "ngram count binary": "ngram count a.txt b.txt.gz --order 2 -o OUT.bin",
    "ngram train": "ngram train a.txt b.txt.gz --order 3 -o OUT",
    "ngram train laplace": "ngram train a.txt --order 2 --smoothing laplace -o OUT.bin",
    "cooccur": "cooccur a.txt b.txt.gz --window 4 --min-count 2 -o OUT",
    "cooccur glove": "cooccur a.txt b.txt.gz --window 4 --min-count 2 --format glove -o OUT",
    "bag train": "bag train table.csv --target class --rounds 9 --features sqrt --oob-predictions OUT2 -o OUT",
    "bag cv": "bag cv table.csv --target class --rounds 3 --folds 3",
    "boost cv": "boost cv table.csv --target class --rounds 5 --folds 3 --json",
    "net cv": "net cv table.csv --target class --epochs 2 --folds 2",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Make two texts and a table."""
    import gzip

    words = [f"w{(k * k) % 37}" for k in range(4000)]
    lines = [" ".join(words[k : k + 3 + k % 7]) for k in range(0, 3900, 5)]
    (tmp_path / "a.txt").write_text("\n".join(lines[:500]) + "\n")
    with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
        file.write("\n".join(lines[500:]))
    rows = [f"{k % 17},{(k * 7) % 23},{'yes' if (k % 17) * 2 > (k * 7) % 23 else 'no'}" for k in range(400)]
    (tmp_path / "table.csv").write_text("x,y,class\n" + "\n".join(rows) + "\n")
    return tmp_path


def run(mlkit: Run, data: Path, job: str, *more: str) -> dict[str, bytes]:
    """Run a job and return what it wrote."""
    done = mlkit(*JOBS[job].split(), "-q", *more, cwd=data, env=QUIET)
    found = {"stdout": done.stdout}
    for path in sorted(data.glob("OUT*")):
        found[path.name] = path.read_bytes()
        path.unlink()
    return found


@pytest.mark.parametrize("job", JOBS)
def test_processes_give_the_same_bytes(job: str, mlkit: Run, data: Path) -> None:
    assert run(mlkit, data, job, "--processes", "2") == run(mlkit, data, job)


@pytest.mark.parametrize("job", ["ngram train", "cooccur", "bag train", "boost cv"])
def test_dask_gives_the_same_bytes(job: str, mlkit: Run, data: Path) -> None:
    assert run(mlkit, data, job, "--cluster", "local:2") == run(mlkit, data, job)


@pytest.mark.parametrize("where", [("--processes", "2"), ("--cluster", "local:2")])
def test_workers_say_and_leave_nothing(
    where: tuple[str, str], mlkit: Run, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    environment = {"TMPDIR": str(tmp_path / "tmp"), "PYTHONWARNINGS": ""}
    with socket.socket() as taken, contextlib.suppress(OSError):
        taken.bind(("127.0.0.1", 8787))  # Dask's usual port, which another job may have
        done = mlkit("vocab", "a.txt", "-q", "-o", "OUT", *where, cwd=data, env=environment)
    assert done.stderr == b""
    assert list((tmp_path / "tmp").iterdir()) == []


@contextlib.contextmanager
def started_scheduler(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a Dask scheduler with one worker in another folder; give its process and its address."""
    (tmp_path / "elsewhere").mkdir()
    code = (
        "import distributed, sys\n"
        "if __name__ == '__main__':\n"
        "    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None)\n"
        "    print(cluster.scheduler_address, flush=True)\n"
        "    sys.stdin.read()\n"
        "    cluster.close()\n"
    )
    (tmp_path / "elsewhere" / "serve.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, "serve.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd=tmp_path / "elsewhere", env=command_environment(QUIET), text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.communicate()


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """Give the address of a Dask scheduler that runs."""
    pytest.importorskip("distributed", reason="needs Dask")
    with started_scheduler(tmp_path) as (_, address):
        yield address


def test_a_scheduler_that_runs_is_used(mlkit: Run, data: Path, scheduler: str) -> None:
    assert run(mlkit, data, "ngram count", "--cluster", scheduler) == run(mlkit, data, "ngram count")
    assert run(mlkit, data, "bag train", "--cluster", scheduler) == run(mlkit, data, "bag train")
    assert [path.name for path in data.glob(".mlkit-*")] == []


@pytest.mark.shell
def test_a_scheduler_that_dies_ends_the_job_in_one_line(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="needs Dask")
    (data / "a.txt").write_bytes((data / "a.txt").read_bytes() * 600)  # some seconds of work
    command = [sys.executable, "-m", "mlkit", "ngram", "count", "a.txt", "--order", "4", "-q", "-o", "OUT"]
    with started_scheduler(tmp_path) as (scheduler, address):
        client = subprocess.Popen(
            [*command, "--cluster", address],
            cwd=data, env=command_environment(QUIET), stderr=subprocess.PIPE,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not list(data.glob(".mlkit-*/0.note")) and time.monotonic() < deadline:
            time.sleep(0.02)
        scheduler.kill()
        errors = client.communicate(timeout=90)[1].decode()
    assert client.returncode == 1
    assert errors.splitlines()[0] == "mlkit ngram count: the connection to the scheduler is lost"
    assert len(errors.splitlines()) == 2
    assert not (data / "OUT").exists()
    assert list(data.glob(".mlkit-*")) == []


def test_slurm_starts_workers(mlkit: Run, data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("dask_jobqueue", reason="needs Dask")
    alone = run(mlkit, data, "ngram count")
    (data / "cluster.yaml").write_text(
        f"workers: 2\ncores: 1\nmemory: 600MB\nqueue: main\nlocal_directory: {data}\nlog_directory: {data}/logs\n"
    )
    try:
        with running_slurm(tmp_path_factory.mktemp("s")) as environment:
            done = mlkit(
                *JOBS["ngram count"].split(), "-q", "--cluster", "slurm:cluster.yaml", cwd=data,
                env={**environment, **QUIET},
            )  # fmt: skip
    except NoSlurm as reason:
        pytest.skip(f"no Slurm: {reason}")
    assert {"stdout": done.stdout, "OUT": (data / "OUT").read_bytes()} == alone


@pytest.mark.parametrize("where", [("--processes", "2"), ("--cluster", "local:2")])
def test_a_fault_is_one_line_that_names_the_shard(where: tuple[str, str], mlkit: Run, data: Path) -> None:
    text = (data / "a.txt").read_bytes()
    (data / "a.txt").write_bytes(text + b"bad \xff\n" + text)
    done = mlkit("ngram", "count", "a.txt", "-q", "-o", "OUT", *where, cwd=data, env=QUIET, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().startswith(
        "mlkit ngram count: a.txt:501: invalid UTF-8 at byte 5 (shard 2/4)\n"
    )
    assert not (data / "OUT").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vocab", "-", "--processes", "2"], "a pipe cannot be cut"),
        (["vocab", "no.txt", "--processes", "2"], "no.txt: no such file or directory"),
        (["vocab", "a.txt", "--processes", "2", "--shard", "1/2"], "--shard is for one part of a job"),
        (["vocab", "a.txt", "--processes", "2", "--cluster", "local:2"], "exclude each other"),
        (["vocab", "a.txt", "--cluster", "mars"], "--cluster is local:N, tcp://HOST:PORT or slurm:FILE.yaml"),
        (["vocab", "a.txt", "--cluster", "slurm:no.yaml"], "no.yaml: no such file or directory"),
        (["bag", "cv", "-", "--target", "class", "--processes", "2"], "a pipe can be read once only"),
        (
            [
                "bag",
                "train",
                "table.csv",
                "--target",
                "class",
                "--base",
                "logistic",
                "-o",
                "m",
                "--processes",
                "2",
            ],
            "grow trees",
        ),
        (["ngram", "train", "--counts", "c", "-o", "m", "--processes", "2"], "--counts needs no counting"),
    ],
)
def test_calls_that_cannot_work_are_refused(
    arguments: list[str], message: str, mlkit: Run, data: Path
) -> None:
    done = mlkit(*arguments, cwd=data, env=QUIET, check=False)
    assert done.returncode in (1, 2)
    assert message in done.stderr.decode().splitlines()[0]


@pytest.mark.shell
@pytest.mark.parametrize("where", [("--processes", "2"), ("--cluster", "local:2")])
@pytest.mark.parametrize("ending", ["worker", "client", "stopped"])
def test_killed_processes_lose_nothing(ending: str, where: tuple[str, str], data: Path) -> None:
    (data / "a.txt").write_bytes((data / "a.txt").read_bytes() * 600)  # some seconds of work
    command = [sys.executable, "-m", "mlkit", "ngram", "count", "a.txt", "--order", "4", "-q"]
    alone = [*command, "-o", "alone"] if ending == "worker" else ["true"]
    environment = command_environment({**QUIET, "TMPDIR": str(data)})
    client = subprocess.Popen(
        [*command, "-o", "OUT", *where], cwd=data, env=environment, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while not list(data.glob(".mlkit-*/0.note")) and time.monotonic() < deadline and client.poll() is None:
        time.sleep(0.02)
    workers = workers_of(client.pid)
    assert len(workers) == 2
    if ending == "worker":
        os.kill(workers[0], signal.SIGKILL)
        assert client.wait(120) == 0
        subprocess.run(alone, cwd=data, env=environment, check=True)
        assert (data / "OUT").read_bytes() == (data / "alone").read_bytes()
    else:
        client.send_signal(signal.SIGKILL if ending == "client" else signal.SIGTERM)
        assert client.wait(60) == (-signal.SIGKILL if ending == "client" else 143)
        assert not (data / "OUT").exists()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{worker}/cmdline").exists() and alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "workers outlive their client"
        time.sleep(0.1)
    while list(data.glob(".mlkit-*")):
        assert time.monotonic() < deadline, "the folder of parts outlives the client"
        time.sleep(0.1)


def alive(process: int) -> bool:
    """Say whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
