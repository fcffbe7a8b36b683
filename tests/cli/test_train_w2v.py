"""`mlkit train-w2v` through the real binary."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mlkit.formats.vectors import load_vectors
from tests.conftest import Run, command_environment

SMALL = ("--dim", 10, "--min-count", 1, "--epochs", 2, "--threads", 1)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    lines = [" ".join(f"w{word}" for word in generator.zipf(1.5, 12) % 200) for _ in range(500)]
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_formats_hold_the_same_vectors(mlkit: Run, tmp_path: Path, corpus: Path) -> None:
    for name in ("v.txt", "v.bin", "v.glove", "v.safetensors", "v.txt.gz"):
        mlkit("train-w2v", corpus, "-o", name, *SMALL)
    words, matrix = load_vectors(tmp_path / "v.txt")
    assert matrix.shape == (len(words), 10)
    assert (tmp_path / "v.txt").read_text().splitlines()[0] == f"{len(words)} 10"
    for name in ("v.bin", "v.glove", "v.safetensors", "v.txt.gz"):
        assert load_vectors(tmp_path / name)[0] == words
        assert (load_vectors(tmp_path / name)[1] == matrix).all()
    mlkit("train-w2v", corpus, "-o", "again", "--format", "binary", *SMALL)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "v.bin").read_bytes()


def test_pipes_and_machine_readable_summary(mlkit: Run, corpus: Path, tmp_path: Path) -> None:
    done = mlkit("train-w2v", "-", "-o", "-", *SMALL, stdin=gzip.compress(corpus.read_bytes()))
    mlkit("train-w2v", corpus, "-o", "v.txt", *SMALL)
    assert done.stdout == (tmp_path / "v.txt").read_bytes()
    options = ("--json", "--model", "cbow", "--loss", "hs", "--valid", corpus, "--valid-every", 0.5)
    record = json.loads(mlkit("train-w2v", corpus, "-o", "v.txt", *SMALL, *options).stdout)
    assert record["schema"] == "mlkit.train-w2v"
    assert len(record["losses"]) == 2
    assert record["losses"][1] < record["losses"][0]
    assert record["settings"]["window"] == 5
    assert len(record["valid_losses"]) >= 2


def test_vocabulary_and_encoded_text_are_reused(mlkit: Run, corpus: Path, tmp_path: Path) -> None:
    mlkit("vocab", corpus, "-o", "vocab.txt", "--min-count", 3, "--max-size", 50)
    mlkit("train-w2v", corpus, "-o", "v.txt", "--vocab", "vocab.txt", "--encoded", "ids", *SMALL)
    assert len(load_vectors(tmp_path / "v.txt")[0]) == 50
    mlkit("train-w2v", corpus, "-o", "again.txt", "--vocab", "vocab.txt", "--encoded", "ids", *SMALL)
    mlkit("train-w2v", corpus, "-o", "third.txt", *SMALL, "--min-count", 3, "--max-vocab", 50)
    assert (tmp_path / "again.txt").read_bytes() == (tmp_path / "v.txt").read_bytes()
    assert (tmp_path / "third.txt").read_bytes() == (tmp_path / "v.txt").read_bytes()


def test_existing_and_output_vectors(mlkit: Run, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("2 10\nw1" + " 1" * 10 + "\nelsewhere" + " 2" * 10 + "\n")
    mlkit(
        "train-w2v",
        corpus,
        "-o",
        "v.txt",
        "--init",
        "old.txt",
        "--save-output-vectors",
        "out.txt",
        *SMALL,
        "--lr",
        1e-6,
    )
    words, matrix = load_vectors(tmp_path / "v.txt")
    assert words[-1] == "elsewhere"
    assert (matrix[-1] == 2).all()
    assert matrix[words.index("w1")] == pytest.approx(np.ones(10), abs=0.01)
    assert load_vectors(tmp_path / "out.txt")[0] == words[:-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_stopped_and_resumed_equals_uninterrupted(
    mlkit: Run, corpus: Path, tmp_path: Path, number: int
) -> None:
    options = ["corpus.txt", "--dim", "100", "--min-count", "1", "--epochs", "4000", "--threads", "1", "-q"]
    command = [sys.executable, "-m", "mlkit", "train-w2v", *options, "-o", "v.bin", "--checkpoint", "state"]
    command += ["--checkpoint-every", "0.1"]
    process = subprocess.Popen(command, cwd=tmp_path, env=command_environment(), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 100
    while not (tmp_path / "state").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    assert process.stderr is not None
    assert b"--resume" in process.stderr.read()
    process.stderr.close()
    assert not (tmp_path / "v.bin").exists()
    fewer = ["40" if option == "4000" else option for option in options]
    refused = mlkit("train-w2v", *fewer, "-o", "v.bin", "--checkpoint", "state", "--resume", check=False)
    assert refused.returncode == 1
    assert b"epochs" in refused.stderr


def test_resumed_bytes_through_the_binary(mlkit: Run, corpus: Path, tmp_path: Path) -> None:
    options = ["corpus.txt", "--dim", "100", "--min-count", "1", "--epochs", "400", "--threads", "1", "-q"]
    mlkit("train-w2v", *options, "-o", "whole.bin")
    command = [sys.executable, "-m", "mlkit", "train-w2v", *options, "-o", "v.bin", "--checkpoint", "state"]
    process = subprocess.Popen([*command, "--checkpoint-every", "0"], cwd=tmp_path, env=command_environment())
    while not (tmp_path / "state").exists() and process.poll() is None:
        time.sleep(0.01)
    process.terminate()
    assert process.wait(timeout=60) == 143
    mlkit("train-w2v", *options, "-o", "v.bin", "--checkpoint", "state", "--resume")
    assert (tmp_path / "v.bin").read_bytes() == (tmp_path / "whole.bin").read_bytes()


@pytest.mark.parametrize(
    ("text", "options", "code", "words"),
    [
        ("a b\n", [], 1, "no word comes 5 times"),
        ("", ["--min-count", 1], 1, "no word"),
        ("a b\n", ["--lr", -1], 2, "a number above 0"),
        ("a b\n", ["--model", "glove"], 2, "glove"),
        ("a b\n", ["--resume"], 2, "--checkpoint"),
        ("a b\n", ["--loss", "hs", "--save-output-vectors", "x"], 2, "--loss ns"),
        ("a b\n", ["--vocab", "corpus.txt"], 1, "corpus.txt:1"),
        ("a b\n", ["--dim", 0], 2, "--dim"),
    ],
)
def test_faults_are_one_line(
    mlkit: Run, tmp_path: Path, text: str, options: list[object], code: int, words: str
) -> None:
    (tmp_path / "corpus.txt").write_text(text)
    done = mlkit("train-w2v", "corpus.txt", "-o", "v.txt", *options, check=False)
    assert done.returncode == code
    assert words in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert not (tmp_path / "v.txt").exists()


def test_one_word_is_enough(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("word word word\n")
    for loss in ("ns", "hs"):
        mlkit("train-w2v", "one.txt", "-o", "v.txt", "--min-count", 1, "--loss", loss, "--dim", 3)
        assert load_vectors(tmp_path / "v.txt")[0] == ["word"]
