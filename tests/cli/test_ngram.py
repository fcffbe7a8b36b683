"""`mlkit ngram` as a user meets it: the lines that must run, errors, streams."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlkit.ngram.train import TrainSettings, train
from tests.conftest import Run, command_environment
from tests.ngram.test_train import sentences, write


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    write(tmp_path / "corpus.txt", [["the", "history", "of", *line] for line in sentences(300)])
    write(tmp_path / "test.txt", [*sentences(20, seed=2), ["unseen"]])
    return tmp_path


def test_the_lines_of_the_issue(mlkit: Run, texts: Path) -> None:
    mlkit("ngram", "train", "corpus.txt", "-o", "lm.arpa", "--order", "3")
    mlkit(
        "ngram",
        "train",
        "corpus.txt",
        "-o",
        "lm.bin",
        *["--order", "2", "--smoothing", "laplace", "--alpha", "1"],
    )
    record = json.loads(mlkit("ngram", "perplexity", "lm.bin", "test.txt", "--json").stdout)
    assert record["schema"] == "mlkit.ngram.perplexity"
    assert record["unknown"] == 1
    assert record["perplexity"] == pytest.approx(10 ** (-record["log10"] / record["tokens"]))
    assert record["bits_per_token"] == pytest.approx(math.log2(record["perplexity"]))
    table = (
        mlkit("ngram", "score", "lm.arpa", stdin=(texts / "test.txt").read_bytes())
        .stdout.decode()
        .splitlines()
    )
    assert table[0].split("\t") == ["line", "log10", "tokens", "unknown", "perplexity"]
    assert len(table) == 22
    text = mlkit(
        "ngram", "generate", "lm.arpa", *["--beam", "5", "--length", "20", "--prefix"], "the history of"
    ).stdout
    assert text.startswith(b"the history of")
    for index in range(1, 4):
        mlkit(
            "ngram",
            "count",
            "corpus.txt",
            "--order",
            "3",
            "--shard",
            f"{index}/3",
            "-o",
            f"part{index}.counts",
        )
    mlkit("ngram", "merge", "part1.counts", "part2.counts", "part3.counts", "-o", "all.counts")
    mlkit("ngram", "train", "--counts", "all.counts", "-o", "same.arpa")
    assert (texts / "same.arpa").read_bytes() == (texts / "lm.arpa").read_bytes()
    mlkit("ngram", "train", "-", "-o", "piped.arpa", stdin=(texts / "corpus.txt").read_bytes())
    assert (texts / "piped.arpa").read_bytes() == (texts / "lm.arpa").read_bytes()


def test_conversion_pruning_mixing(mlkit: Run, texts: Path) -> None:
    mlkit("ngram", "train", "corpus.txt", "-o", "lm.arpa.gz", "-q")
    mlkit("ngram", "convert", "lm.arpa.gz", "lm.bin")
    mlkit("ngram", "prune", "lm.bin", "-o", "small.arpa", "--threshold", "1e-4")
    mlkit("ngram", "train", "test.txt", "-o", "other.arpa", "-q")
    done = mlkit("ngram", "mix", "lm.bin", "other.arpa", "--heldout", "test.txt", "-o", "mixed.arpa")
    weights = [float(line.split("\t")[1]) for line in done.stdout.decode().splitlines()[1:]]
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    assert weights[1] > weights[0]
    info = dict(
        line.split("\t")
        for line in mlkit("ngram", "info", "mixed.arpa", "--text", "test.txt").stdout.decode().splitlines()
    )
    assert info["order"] == "3"
    pool = (texts / "corpus.txt").read_bytes() + (texts / "test.txt").read_bytes()
    chosen = mlkit("ngram", "score", "other.arpa", "--versus", "lm.bin", "--top", "21", stdin=pool).stdout
    assert len(chosen.splitlines()) == 21
    tokens = mlkit("ngram", "score", "lm.bin", "test.txt", "--by", "token").stdout.decode().splitlines()
    assert tokens[0] == "line\ttoken\tlog10\torder\tunknown"


def test_generation_is_reproducible(mlkit: Run, texts: Path) -> None:
    mlkit("ngram", "train", "corpus.txt", "-o", "lm.bin", "-q")
    command = [
        "ngram",
        "generate",
        "lm.bin",
        "-n",
        "3",
        "--temperature",
        "0.9",
        "--top-p",
        "0.95",
        "--scores",
    ]
    one, again, other = (mlkit(*command, "--seed", seed).stdout for seed in (7, 7, 8))
    assert one == again != other
    best = mlkit("ngram", "generate", "lm.bin", "--beam", "4", "-n", "4", "--json").stdout.splitlines()
    values = [json.loads(line)["perplexity"] for line in best]
    assert values == sorted(values)


@pytest.mark.shell
def test_generated_texts_are_written_as_they_are_drawn(mlkit: Run, texts: Path) -> None:
    mlkit("ngram", "train", "corpus.txt", "-o", "lm.bin", "-q")
    command = [sys.executable, "-m", "mlkit", "ngram", "generate", "lm.bin", "-n", str(10**9)]
    drawing = subprocess.Popen(command, cwd=texts, env=command_environment(), stdout=subprocess.PIPE)
    assert drawing.stdout is not None
    assert drawing.stdout.readline()
    drawing.stdout.close()
    assert drawing.wait(60) == -signal.SIGPIPE


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "empty.txt", "-o", "x.arpa"], 1, "the corpus is empty"),
        (["train", "marked.txt", "-o", "x.arpa"], 1, "marked.txt:2: the text holds <s>"),
        (["train", "corpus.txt", "-o", "x.arpa", "--order", "40"], 1, "no 40-gram"),
        (["train", "corpus.txt", "-o", "x.arpa", "--smoothing", "laplace"], 2, "ARPA file cannot hold"),
        (["train", "corpus.txt", "-o", "x.arpa", "--prune", "0 x"], 2, "--prune"),
        (["train", "corpus.txt", "-o", "x.arpa", "--discount", "3"], 2, "--discount"),
        (["train", "-o", "x.arpa"], 2, "name texts to learn from"),
        (["train", "corpus.txt", "-o", "corpus.txt"], 2, "output is also an input"),
        (["perplexity", "cut.bin", "corpus.txt"], 1, "cut.bin: is cut short"),
        (["perplexity", "corpus.txt", "corpus.txt"], 1, "not an ARPA file"),
        (["perplexity", "missing.arpa", "corpus.txt"], 1, "missing.arpa"),
        (["generate", "lm.bin", "--beam", "2", "-n", "3"], 2, "--number 3 is more than"),
        (["mix", "lm.bin", "lm.bin", "--weights", "0.5 0.6", "-o", "x.arpa"], 2, "sum to 1"),
    ],
)
def test_errors_are_one_line(mlkit: Run, texts: Path, arguments: list[str], code: int, message: str) -> None:
    (texts / "empty.txt").write_bytes(b"")
    (texts / "marked.txt").write_text("a b\na <s> b\n")
    train(texts / "lm.bin", TrainSettings(), texts=[texts / "corpus.txt"])
    (texts / "cut.bin").write_bytes((texts / "lm.bin").read_bytes()[:-100])
    done = mlkit("ngram", *arguments, check=False)
    lines = [line for line in done.stderr.decode().splitlines() if not line.startswith("  ")]
    assert done.returncode == code
    assert message in done.stderr.decode()
    if code == 1:
        assert len(lines) == 1
    assert not (texts / "x.arpa").exists()


def test_small_data_and_models_without_unknown_word_warn(mlkit: Run, texts: Path) -> None:
    (texts / "tiny.txt").write_text("a b\n")
    done = mlkit("ngram", "train", "tiny.txt", "-o", "tiny.arpa", "-n", "2")
    assert b"default discounts" in done.stderr
    arpa = (texts / "tiny.arpa").read_text().split("\n")
    without = [line for line in arpa if "<unk>" not in line]
    (texts / "closed.arpa").write_text("\n".join(without).replace("ngram 1=5", "ngram 1=4"))
    done = mlkit("ngram", "perplexity", "closed.arpa", stdin=b"a zebra\n")
    assert b"has no unknown word" in done.stderr
