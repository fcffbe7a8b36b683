"""`mlkit cooccur` and `mlkit train-glove` through the real binary."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Run

TEXT = "".join(f"the cat{i % 5} saw the dog{i % 3} and ran to house{i % 4}\n" for i in range(200))


def test_shards_pipes_and_training(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text(TEXT)
    mlkit("vocab", "corpus.txt", "--min-count", 5, "-o", "vocab.txt")
    done = mlkit("cooccur", "corpus.txt", "-o", "cooc.bin", "--window", 15, "--memory", "1G")
    assert b"17 words, 1,800 tokens, 235 records" in done.stderr
    assert done.stdout == b""
    for part in (1, 2):
        mlkit(
            "cooccur", "corpus.txt", "--vocab", "vocab.txt", "--shard", f"{part}/2", "-o", f"{part}.bin", "-q"
        )
    mlkit("cooccur", "merge", "1.bin", "2.bin", "-o", "merged.bin", "-q")
    assert (tmp_path / "merged.bin").read_bytes() == (tmp_path / "cooc.bin").read_bytes()
    piped = mlkit("cooccur", "-", "-o", "-", "--format", "glove", stdin=TEXT.encode()).stdout
    mlkit("cooccur", "merge", "cooc.bin", "--format", "glove", "-o", "records.bin", "-q")
    assert (tmp_path / "records.bin").read_bytes() == piped

    options = ("--dim", 8, "--epochs", 2, "-q")
    mlkit("train-glove", "cooc.bin", "-o", "a.txt", *options, "--threads", 1)
    mlkit("train-glove", "corpus.txt", "-o", "b.txt", *options, "--threads", 2)
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "b.txt").read_bytes()
    assert (tmp_path / "a.txt").read_text().startswith("17 8\nthe ")
    told = mlkit(
        "train-glove", "records.bin", "--vocab", "vocab.txt", "-o", "c.glove", *options, "--json", "--unk",
        "--output-vectors", "both", "--held-out", 0.1,
    )  # fmt: skip
    record = json.loads(told.stdout)
    assert record["schema"] == "mlkit.train-glove"
    assert len(record["losses"]) == len(record["valid_losses"]) == 2
    lines = (tmp_path / "c.glove").read_text().splitlines()
    assert [len(lines), len(lines[0].split()), lines[-1].split()[0]] == [18, 17, "<unk>"]


def test_errors_are_one_line(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text(TEXT)
    (tmp_path / "bad.bin").write_bytes(b"MLKITCOO" + b"\0" * 5000)
    for arguments, code, words in (
        (("cooccur", "corpus.txt", "-o", "-"), 2, b"needs a file"),
        (("cooccur", "corpus.txt", "-o", "corpus.txt"), 2, b"also an input"),
        (("cooccur", "corpus.txt", "-o", "x", "--shard", "1/2"), 2, b"needs --vocab"),
        (("cooccur", "corpus.txt", "-o", "x", "--memory", "10M"), 2, b"too small"),
        (("train-glove", "bad.bin", "-o", "x"), 1, b"header is damaged"),
        (("train-glove", "corpus.txt", "-o", "x", "--resume"), 2, b"needs --checkpoint"),
        (("train-glove", "corpus.txt", "-o", "x", "--min-count", "999"), 1, b"no co-occurrences"),
    ):
        done = mlkit(*arguments, check=False)
        assert (done.returncode, done.stderr.count(b"\n") <= 2) == (code, True), done.stderr
        assert words in done.stderr
        assert not (tmp_path / "x").exists()
