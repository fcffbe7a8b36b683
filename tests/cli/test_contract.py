"""The contract of every subcommand (CONVENTIONS), through the real binary: pipes, signals, faults of disk and data."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Run, command_environment

MLKIT = [sys.executable, "-m", "mlkit"]
WORDS = [f"w{number}" for number in range(300)]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a text of 200,000 words."""
    chance = random.Random(1)
    path = tmp_path_factory.mktemp("contract") / "text.txt"
    lines = (" ".join(chance.choices(WORDS, k=20)) for _ in range(10_000))
    path.write_text("\n".join(lines) + "\n")
    return path


def start(*arguments: object, cwd: Path, **settings: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*MLKIT, *map(str, arguments)], cwd=cwd, env=command_environment(), stderr=subprocess.PIPE, **settings
    )  # type: ignore[call-overload]


# Pipes


def test_a_closed_pipe_ends_quietly(text: Path, tmp_path: Path) -> None:
    script = f"{' '.join(MLKIT)} vocab {text} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, env=command_environment()
    )
    first, status = done.stdout.splitlines()
    assert first.startswith("w")
    assert status in ("0", "141")
    assert "Traceback" not in done.stderr
    assert "rror" not in done.stderr


@pytest.mark.parametrize("command", ["--help", "bleu --help", "--version"])
def test_a_closed_pipe_ends_help_quietly(command: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*MLKIT, *command.split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=command_environment(),
    )
    os.close(writer)
    assert done.returncode == -signal.SIGPIPE
    assert done.stderr == b""


def test_stdin_and_stdout_are_the_dash(mlkit: Run, text: Path) -> None:
    by_name = mlkit("vocab", text).stdout
    assert mlkit("vocab", "-", stdin=text.read_bytes()).stdout == by_name
    assert mlkit("vocab", text, "-o", "-").stdout == by_name


def test_a_closed_stdin_is_an_empty_one(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(MLKIT)} vocab - <&-"],
        capture_output=True,
        cwd=tmp_path,
        env=command_environment(),
    )
    assert done.returncode in (0, 1)
    assert b"Traceback" not in done.stderr


def test_a_full_stdout_is_one_line(text: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(MLKIT)} vocab {text} > /dev/full"], capture_output=True, cwd=tmp_path,
        env=command_environment(),
    )  # fmt: skip
    assert done.returncode == 1
    assert b"no space left on device" in done.stderr.splitlines()[-1]
    assert b"Traceback" not in done.stderr


# Files


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a small tmpfs")
def test_a_full_disk_leaves_the_old_file(text: Path, tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)], capture_output=True
    )
    if made.returncode:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.decode().strip()}")
    try:
        target = mount / "vectors.txt"
        target.write_text("old")
        arguments = ("train-w2v", text, "-o", target, "--dim", 100, "--epochs", 1, "-q")
        done = subprocess.run(
            [*MLKIT, *map(str, arguments)], capture_output=True, cwd=tmp_path, env=command_environment()
        )
        assert done.returncode == 1
        assert done.stderr.decode() == f"mlkit train-w2v: {target}: no space left on device\n"
        assert target.read_text() == "old"
        assert os.listdir(mount) == ["vectors.txt"]
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["vocab", "missing.txt"], 1, "mlkit vocab: missing.txt: no such file or directory"),
        (["vocab", "text.txt", "-o", "text.txt"], 2, "the output is also an input"),
        (["vocab", "text.txt", "-o", "folder"], 2, "folder: is a directory"),
        (["vocab", "text.txt", "-o", "no/such/v.txt"], 2, "the folder 'no/such' does not exist"),
        (["vectors", "info", "folder"], 1, "folder: is a directory"),
        (["train-w2v", "empty.txt", "-o", "v.txt"], 1, "empty.txt"),
    ],
)
def test_wrong_files_are_named_in_one_line(
    mlkit: Run, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "text.txt").write_text("a b\n")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "folder").mkdir()
    before = sorted(os.listdir(tmp_path))
    done = mlkit(*arguments, check=False)
    first = done.stderr.decode().splitlines()[0].replace("vocab count", "vocab")
    assert done.returncode == code
    assert message in first
    assert len(done.stderr.splitlines()) <= 2
    assert sorted(os.listdir(tmp_path)) == before


def test_nothing_is_left_when_the_output_fails(mlkit: Run, text: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0 and shutil.which("chattr") is None:
        pytest.skip("root may write everywhere, and chattr is not installed")
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    if os.geteuid() == 0 and subprocess.run(["chattr", "+i", str(folder)], capture_output=True).returncode:
        pytest.skip("the file system knows no immutable folders")
    try:
        done = mlkit("vocab", text, "-o", folder / "v.txt", check=False)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["chattr", "-i", str(folder)], check=True)
    assert done.returncode == 1
    assert b"v.txt: " in done.stderr
    assert os.listdir(folder) == []


# Data


def test_every_byte_of_text_is_data(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes("\ufeffone\ttwo\r\n\r\n\x00zero\u2028two one\rtwo\n\n".encode())
    lines = mlkit("vocab", "t").stdout.decode().splitlines()
    assert set(lines) == {"two\t2", "one\t2", "\x00zero\u2028two\t1"} or len(lines) >= 3
    counts = dict(line.rsplit("\t", 1) for line in mlkit("vocab", "t").stdout.decode().split("\n") if line)
    assert counts["one"] == "2"
    assert any("\x00zero" in word for word in counts)


def test_invalid_utf8_names_file_and_line(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"fine\nab \xff\xfe cd\n")
    done = mlkit("vocab", "t", check=False)
    assert done.returncode == 1
    assert b"t:2: invalid UTF-8" in done.stderr.splitlines()[0]
    assert b"cd\t1" in mlkit("vocab", "t", "--errors", "replace").stdout
    assert b"cd" not in mlkit("vocab", "t", "--errors", "skip").stdout


def test_a_line_of_100_mb(tmp_path: Path) -> None:
    with open(tmp_path / "long", "wb") as stream:
        for _ in range(100):
            stream.write(b"word another " * 80_659)
    done = subprocess.run(
        [*MLKIT, "vocab", "long"], cwd=tmp_path, capture_output=True, env=command_environment(), check=True
    )
    assert done.stdout == b"another\t8065900\nword\t8065900\n"


def test_an_empty_input_is_no_crash(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"")
    assert mlkit("vocab", "t").stdout == b""


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
def test_compressed_in_and_out(mlkit: Run, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "t").write_text("b a b\n")
    mlkit("vocab", "t", "-o", f"v{suffix}")
    mlkit("vocab", f"v{suffix}", "-o", "again")
    assert (tmp_path / "again").read_text().split() == ["1", "2", "2", "1", "a", "1", "b", "1"] or (
        tmp_path / "again"
    ).read_text().count("\n") == 4


# Signals


def wait_until(condition: object, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.stderr.read().decode()  # type: ignore[union-attr]
        assert time.monotonic() < end, "the process never got there"
        time.sleep(0.02)


@pytest.fixture
def training(text: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A training that would take minutes, stopped when the test ends; it has saved a checkpoint when given."""
    process = start(
        "train-w2v", text, "-o", "v.txt", "--epochs", 100_000, "--threads", 1, "--checkpoint", "c",
        "--checkpoint-every", 0, cwd=tmp_path,
    )  # fmt: skip
    wait_until((tmp_path / "c").exists, process)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 128 + signal.SIGUSR1)]
)
def test_signals_end_with_their_code_and_no_traceback(
    training: subprocess.Popen[bytes], tmp_path: Path, number: int, code: int
) -> None:
    training.send_signal(number)
    _, stderr = training.communicate(timeout=30)
    assert training.returncode == code
    assert b"Traceback" not in stderr
    assert not (tmp_path / "v.txt").exists()
    assert sorted(os.listdir(tmp_path)) == ["c"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_while_the_command_is_imported(number: int) -> None:
    code = (
        f"import os, mlkit.cli as c; c.run = lambda words: os.kill(os.getpid(), {number:d}) or 0; c.main([])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.returncode == 128 + number
    assert done.stderr == b""


INTERRUPTED_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "mlkit.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
import mlkit.__main__
print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)
"""


@pytest.mark.parametrize("ignored", [False, True])
def test_an_interrupt_before_the_command_line_is_there(ignored: bool) -> None:
    handler = signal.SIG_IGN if ignored else signal.SIG_DFL
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT],
        capture_output=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
    )
    assert done.returncode == (0 if ignored else -signal.SIGINT)
    assert done.stdout == (b"True\n" if ignored else b"")
    assert done.stderr == b""


def test_kill_9_leaves_a_usable_checkpoint(
    training: subprocess.Popen[bytes], tmp_path: Path, text: Path
) -> None:
    training.kill()
    training.wait()
    assert not (tmp_path / "v.txt").exists()
    resumed = start(
        "train-w2v", text, "-o", "v.txt", "--epochs", 100_000, "--threads", 1, "--checkpoint", "c",
        "--checkpoint-every", 0, "--resume", cwd=tmp_path,
    )  # fmt: skip
    before = (tmp_path / "c").stat().st_mtime_ns
    try:
        wait_until(lambda: (tmp_path / "c").stat().st_mtime_ns != before, resumed)
    finally:
        resumed.kill()
        resumed.wait()


def test_interrupt_while_waiting_for_stdin(tmp_path: Path) -> None:
    process = start("vocab", "-", cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in stderr


# The kernel cache


def test_a_read_only_home_and_no_cache_at_all(mlkit: Run, text: Path, tmp_path: Path) -> None:
    environment = {"HOME": "/proc/none", "XDG_CACHE_HOME": None, "NUMBA_CACHE_DIR": None}
    expected = mlkit("vocab", text).stdout
    done = mlkit("vocab", text, env=environment)
    assert done.stdout == expected
    assert b"rror" not in done.stderr


@pytest.mark.parametrize(
    ("processes", "command"),
    [
        (24, [sys.executable, "-m", "tests.sum_kernel"]),  # one small kernel: 24 compilations are affordable
        (4, [*MLKIT, "vocab", "-"]),
    ],
)
def test_many_cold_processes_at_once(processes: int, command: list[str], tmp_path: Path) -> None:
    environment = {**command_environment(), "XDG_CACHE_HOME": str(tmp_path), "MLKIT_THREADS": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    environment["PYTHONPATH"] = str(REPOSITORY)

    def run(_: int) -> tuple[int, bytes]:
        done = subprocess.run(command, capture_output=True, env=environment, cwd=REPOSITORY, input=b"a b a\n")
        return done.returncode, done.stdout

    with ThreadPoolExecutor(processes) as pool:
        outputs = set(pool.map(run, range(processes)))
    assert len(outputs) == 1
    assert next(iter(outputs))[0] == 0
    assert outputs == {run(0)}, "a warm cache gives the same"


# Words


def test_quiet_and_plain_where_there_is_no_terminal(mlkit: Run, text: Path) -> None:
    done = mlkit("vocab", text, "-q")
    assert done.stderr == b""
    assert b"\x1b" not in mlkit("vocab", text).stderr


def test_debug_shows_a_traceback(mlkit: Run) -> None:
    assert b"Traceback" not in mlkit("vocab", "missing", check=False).stderr
    assert b"Traceback" in mlkit("vocab", "missing", "--debug", check=False).stderr


def test_threads_come_from_slurm_too(mlkit: Run, text: Path) -> None:
    done = mlkit("vocab", text, env={"SLURM_CPUS_PER_TASK": "none"}, check=False)
    assert done.returncode == 2
    assert b"SLURM_CPUS_PER_TASK must be a number of threads" in done.stderr
