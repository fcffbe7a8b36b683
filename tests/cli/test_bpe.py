from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bpe.conftest import sample_text
from tests.conftest import Run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.joinpath("corpus.txt").write_text(sample_text(), newline="")
    tmp_path.joinpath("de.txt").write_text(sample_text(100, seed=1), newline="")
    tmp_path.joinpath("en.txt").write_text(sample_text(100, seed=2), newline="")
    tmp_path.joinpath("in.txt").write_text(sample_text(50, seed=3), newline="")
    return tmp_path


def test_commands_run_as_written(mlkit: Run, folder: Path) -> None:
    mlkit(*["bpe", "learn", "corpus.txt", "-o", "tokenizer.json", "--vocab-size", "32000", "--type", "bytes"])
    mlkit(
        *[
            "bpe",
            "learn",
            "de.txt",
            "en.txt",
            "-o",
            "codes.txt",
            "--merges",
            "30000",
            "--type",
            "chars",
            "--format",
            "subword-nmt",
        ]
    )
    text = folder.joinpath("in.txt").read_bytes()
    encoded = mlkit("bpe", "encode", "-m", "codes.txt", stdin=text).stdout
    assert b"@@ " in encoded
    assert mlkit("bpe", "decode", "-m", "codes.txt", stdin=encoded).stdout == text
    parts = [f"part{shard}.tsv" for shard in range(1, 5)]
    for number, part in enumerate(parts, 1):
        mlkit("bpe", "count", "corpus.txt", "--shard", f"{number}/4", "-o", part)
    mlkit("bpe", "merge", *parts, "-o", "counts.tsv")
    mlkit("bpe", "count", "corpus.txt", "-o", "whole.tsv")
    assert folder.joinpath("counts.tsv").read_bytes() == folder.joinpath("whole.tsv").read_bytes()
    mlkit("bpe", "learn", "--counts", "counts.tsv", "-o", "again.json")
    assert folder.joinpath("again.json").read_bytes() == folder.joinpath("tokenizer.json").read_bytes()
    mlkit("bpe", "convert", "codes.txt", "tokenizer.json")
    assert json.loads(folder.joinpath("tokenizer.json").read_text())["model"]["end_of_word_suffix"] == "</w>"


def test_small_inputs_do_without_numba(mlkit: Run, folder: Path) -> None:
    mlkit("bpe", "learn", "corpus.txt", "-o", "codes.txt", "--type", "chars", "-s", "100")
    script = (
        "import sys; sys.argv[1:] = ['bpe', 'encode', '-m', 'codes.txt', 'in.txt', '-o', 'out.txt']\n"
        "import os; os._exit = lambda code: None\n"
        "from mlkit.cli import main; main()\n"
        "print(sorted({'numba', 'llvmlite', 'numpy'} & set(sys.modules)))\n"
    )
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("kind", ["bytes", "chars", "metaspace"])
def test_the_same_bytes_for_any_number_of_threads(mlkit: Run, folder: Path, kind: str) -> None:
    big = folder / "big.txt"
    big.write_text(sample_text(30_000), newline="")
    outputs = set()
    for threads in (1, 3):
        mlkit(
            "bpe",
            "learn",
            "big.txt",
            "-o",
            "m.json",
            "--type",
            kind,
            "-s",
            300,
            "-t",
            threads,
            "--memory",
            "1M",
        )
        encoded = mlkit("bpe", "encode", "-m", "m.json", "big.txt", "-t", threads, "--dropout", 0.1).stdout
        outputs.add((folder.joinpath("m.json").read_bytes(), encoded))
    assert len(outputs) == 1
    decoded = mlkit("bpe", "decode", "-m", "m.json", stdin=encoded).stdout
    if kind != "chars":
        assert decoded == big.read_bytes()


def test_ids_round_trip(mlkit: Run, folder: Path) -> None:
    mlkit("bpe", "learn", "corpus.txt", "-o", "m.json", "-s", "100", "--special", "<pad>,<eos>")
    for options in (["--ids"], ["--ids-binary", "uint16"], ["--ids-binary", "uint32"]):
        encoded = mlkit("bpe", "encode", "-m", "m.json", "in.txt", *options).stdout
        assert mlkit("bpe", "decode", "-m", "m.json", *options, stdin=encoded).stdout == (
            folder.joinpath("in.txt").read_bytes()
        )


def test_vocab_and_inspect(mlkit: Run, folder: Path) -> None:
    mlkit("bpe", "learn", "corpus.txt", "-o", "codes.txt", "--type", "chars", "-s", "100")
    listed = mlkit("bpe", "vocab", "-m", "codes.txt", "corpus.txt")
    first = listed.stdout.split(b"\n")[0].split(b" ")
    assert int(first[1]) > 1
    assert b"characters per token" in listed.stderr
    figures = json.loads(mlkit("bpe", "vocab", "-m", "codes.txt", "corpus.txt", "--json").stdout)
    assert figures["schema"] == "mlkit.bpe.vocab"
    assert figures["tokens"] == sum(int(line.rsplit(b" ", 1)[1]) for line in listed.stdout.splitlines())
    folder.joinpath("vocab.txt").write_bytes(listed.stdout)
    limited = ["--vocabulary", "vocab.txt", "--vocabulary-threshold", "50"]
    allowed = {
        line.rsplit(b" ", 1)[0] for line in listed.stdout.splitlines() if int(line.rsplit(b" ", 1)[1]) >= 50
    }
    pieces = set(mlkit("bpe", "encode", "-m", "codes.txt", "corpus.txt", *limited).stdout.split())
    assert all(len(piece.removesuffix(b"@@").decode()) == 1 for piece in pieces - allowed)
    table = mlkit("bpe", "inspect", "codes.txt", "ing").stdout.decode().splitlines()
    assert table[0] == "word\trank\tmerge\tsymbols"
    assert table[1].endswith("i n g</w>")
    assert json.loads(mlkit("bpe", "inspect", "codes.txt", "--json").stdout)["merges"] == 100


def test_glossaries_are_never_cut(mlkit: Run, folder: Path) -> None:
    mlkit("bpe", "learn", "corpus.txt", "-o", "codes.txt", "--type", "chars", "-s", "5")
    folder.joinpath("keep.txt").write_text("loka\n")
    encoded = mlkit(
        "bpe", "encode", "-m", "codes.txt", "--glossaries", "mi+na", "--glossaries", "@keep.txt",
        stdin=b"xminax loka\n",
    ).stdout  # fmt: skip
    assert encoded == b"x@@ mina@@ x loka\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("learn bad.txt -o x.json", 1, "bad.txt:2: invalid UTF-8 at byte 3"),
        ("learn empty.txt -o x.json", 1, "holds no words"),
        ("learn corpus.txt -o x.json --vocab-size 100", 2, "below the alphabet"),
        ("learn corpus.txt -o x.json --vocab-size 300 --merges 4", 2, "not both"),
        ("learn corpus.txt -o corpus.txt", 2, "also an input"),
        ("learn corpus.txt -o x.txt --format subword-nmt", 2, "not bytes"),
        ("learn missing.txt -o x.json", 1, "missing.txt: no such file"),
        ("learn --counts broken.tsv -o x.json", 1, "broken.tsv:2: not a word and its count"),
        ("encode -m cut.json corpus.txt", 1, "cut.json: not a whole JSON file"),
        ("encode -m empty.txt corpus.txt", 1, "empty.txt:"),
        ("encode -m m.json bad.txt -o x.json", 1, "bad.txt:2: invalid UTF-8 at byte 3"),
        ("encode -m m.json corpus.txt --marker @@", 2, "--marker @@ is not for bytes"),
        ("encode -m m.json corpus.txt --dropout 2", 2, "dropout"),
        ("decode -m m.json --ids ids.txt", 1, "ids.txt:2: id 99999 is not in the vocabulary"),
        ("decode -m m.json corpus.txt", 1, "is not part of byte-level pieces"),
        ("convert m.json codes.txt --format fastbpe", 2, "not bytes"),
        ("count corpus.txt --shard 5/4", 2, "shard"),
    ],
)
def test_faults_are_one_line(mlkit: Run, folder: Path, arguments: str, code: int, message: str) -> None:
    folder.joinpath("bad.txt").write_bytes(b"good\nab\xffc\n")
    folder.joinpath("empty.txt").write_bytes(b"")
    folder.joinpath("broken.tsv").write_bytes(b"#words chars\nnothing\n")
    folder.joinpath("ids.txt").write_bytes(b"1 2\n3 99999\n")
    mlkit("bpe", "learn", "in.txt", "-o", "m.json", "-s", "10")
    folder.joinpath("cut.json").write_bytes(folder.joinpath("m.json").read_bytes()[:500])
    done = mlkit("bpe", *arguments.split(), check=False)
    assert done.returncode == code
    assert message in done.stderr.decode()
    assert b"Traceback" not in done.stderr
    assert not folder.joinpath("x.json").exists()
