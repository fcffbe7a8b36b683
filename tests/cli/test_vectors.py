"""`mlkit vectors` through the real binary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mlkit.formats.vectors import load_vectors, save_vectors
from tests.conftest import Run

WORDS = ["king", "queen", "man", "woman", "red", "green", "blue", "big", "bigger", "biggest", "bad", "worst"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Hold vectors.txt with a plain geometry: a queen is a king who is a woman."""
    table = {
        "king": (3, 1, 0), "queen": (3, -1, 0), "man": (1, 1, 0), "woman": (1, -1, 0), "red": (0, 0.1, 1),
        "green": (0, 0, 1), "blue": (0.1, 0, 1), "big": (-1, 1, 1), "bigger": (-1, 1, 2), "biggest": (-1, 1, 3),
        "bad": (-1, -1, 1), "worst": (-1, -1, 3),
    }  # fmt: skip
    save_vectors(tmp_path / "vectors.txt", WORDS, np.array([table[word] for word in WORDS], np.float32))
    (tmp_path / "questions.txt").write_text(
        ": family\nman king woman queen\nman king woman zebra\n: gram1\nbig biggest bad worst\n"
    )
    (tmp_path / "pairs.txt").write_text(
        "king\tqueen\t8\r\nred\tgreen\t9\r\nking\tred\t1\r\nred\tzebra\t4\r\n"
    )
    return tmp_path


def rows(output: bytes) -> list[list[str]]:
    return [line.split("\t") for line in output.decode().splitlines()]


def test_nn(mlkit: Run, folder: Path) -> None:
    found = rows(mlkit("vectors", "nn", "vectors.txt", "red", "queen", "-k", 2).stdout)
    assert found[0] == ["query", "word", "score"]
    assert [row[:2] for row in found[1:]] == [
        ["red", "green"],
        ["red", "blue"],
        ["queen", "woman"],
        ["queen", "king"],
    ]
    assert found[1][2] == f"{1 / 1.01**0.5:.6f}"


@pytest.mark.parametrize("arguments", [["king - man + woman"], ["king", "-", "man", "+", "woman"]])
def test_sums(mlkit: Run, folder: Path, arguments: list[str]) -> None:
    found = rows(mlkit("vectors", "nn", "vectors.txt", *arguments, "-k1").stdout)
    assert found[1][:2] == ["king - man + woman", "queen"]


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_queries_on_stdin(mlkit: Run, folder: Path, arguments: list[str]) -> None:
    done = mlkit(
        "vectors", "nn", "vectors.txt", *arguments, "-k", 1, "--oov", "skip", "--json",
        stdin=b"red\n\nzebra\nking - man + woman\n",
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["query"] for record in found] == ["red", "king - man + woman"]
    assert found[0]["schema"] == "mlkit.vectors.nn"
    assert found[0]["settings"] == {"vectors": "vectors.txt", "nearest": 1, "restrict_vocab": None}
    assert found[0]["neighbours"] == [{"word": "green", "score": 0.995037}]
    assert done.stderr == b"1 unknown words left out with their queries: zebra\n"


def test_vectors_on_stdin(mlkit: Run, folder: Path) -> None:
    content = (folder / "vectors.txt").read_bytes()
    assert rows(mlkit("vectors", "nn", "-", "red", "-k1", stdin=content).stdout)[1][:2] == ["red", "green"]
    done = mlkit("vectors", "nn", "-", stdin=content, check=False)
    assert done.returncode == 2
    assert b"come from stdin" in done.stderr


@pytest.mark.parametrize("method", ["add", "mul"])
def test_analogy(mlkit: Run, folder: Path, method: str) -> None:
    asked = ("vectors", "analogy", "vectors.txt", "man", "king", "woman", "-k1", "--method", method)
    assert rows(mlkit(*asked).stdout)[1][:2] == ["man king woman", "queen"]
    many = mlkit(
        "vectors", "analogy", "vectors.txt", "-k1", stdin=b"man king woman\nbig biggest bad\n"
    ).stdout
    assert [row[1] for row in rows(many)[1:]] == ["queen", "worst"]


def test_faults(mlkit: Run, folder: Path) -> None:
    cases = [
        (("nn", "vectors.txt", "zebra"), 1, b"mlkit vectors nn: no vector for 'zebra'\n"),
        (("nn", "vectors.txt", "two words"), 2, b"is not a query"),
        (("analogy", "vectors.txt", "man", "king"), 2, b"not an analogy"),
        (("eval", "vectors.txt"), 2, b"nothing to evaluate"),
        (("info", "questions.txt"), 1, b"questions.txt:1: "),
        (("info", "missing.txt"), 1, b"missing.txt"),
        (("convert", "vectors.txt", "vectors.txt"), 2, b"also an input"),
        (("convert", "vectors.txt", "few.txt", "--words", "questions.txt"), 1, b"has a vector"),
        (("plot", "vectors.txt", "red", "-o", "words.pdf"), 2, b".svg"),
    ]
    for arguments, code, message in cases:
        done = mlkit("vectors", *arguments, check=False)
        assert done.returncode == code, done.stderr
        assert message in done.stderr
        assert b"Traceback" not in done.stderr
    done = mlkit("vectors", "nn", "vectors.txt", stdin=b"red\ntwo words\n", check=False)
    assert (done.returncode, b"<stdin>:2:" in done.stderr) == (1, True)


def test_eval(mlkit: Run, folder: Path) -> None:
    done = mlkit(
        "vectors", "eval", "vectors.txt", "--analogies", "questions.txt", "--similarity", "pairs.txt",
        "--similarity", "pairs.txt",
    )  # fmt: skip
    found = rows(done.stdout)
    assert found[0] == ["file", "section", "measure", "value", "answered", "unknown"]
    assert [row[1:] for row in found[1:6]] == [
        ["family", "accuracy", "1.000000", "1", "1"],
        ["gram1", "accuracy", "1.000000", "1", "0"],
        ["semantic", "accuracy", "1.000000", "1", "1"],
        ["syntactic", "accuracy", "1.000000", "1", "0"],
        ["total", "accuracy", "1.000000", "2", "1"],
    ]
    assert [row[1:4] for row in found[6:8]] == [
        ["all", "spearman", "1.000000"],
        ["all", "pearson", found[7][3]],
    ]
    assert len(found) == 10
    assert b"questions.txt: 1 of 3 questions have unknown words" in done.stderr
    assert mlkit("vectors", "eval", "vectors.txt", "--analogies", "questions.txt", "-q").stderr == b""


def test_eval_json(mlkit: Run, folder: Path) -> None:
    done = mlkit(
        "vectors", "eval", "vectors.txt", "--analogies", "questions.txt", "--similarity", "pairs.txt", "--json",
        "--count-unknown", "--restrict-vocab", 4,
    )  # fmt: skip
    analogies, similarity = map(json.loads, done.stdout.splitlines())
    assert analogies["schema"] == "mlkit.vectors.analogies"
    assert analogies["total"] == {
        "section": "total", "accuracy": 1 / 3, "correct": 1, "answered": 3, "unknown": 2,
    }  # fmt: skip
    assert similarity["schema"] == "mlkit.vectors.similarity"
    assert (similarity["pairs"], similarity["unknown"], similarity["unknown_ratio"]) == (4, 3, 0.75)
    assert similarity["settings"]["restrict_vocab"] == 4


@pytest.mark.parametrize("name", ["v.bin", "v.vec.gz", "v.glove.txt", "v.safetensors", "v.txt"])
def test_convert(mlkit: Run, folder: Path, name: str) -> None:
    done = mlkit("vectors", "convert", "vectors.txt", name)
    assert done.stderr == b"12 vectors of 3 numbers\n"
    mlkit("vectors", "convert", name, "again.txt")
    assert (folder / "again.txt").read_bytes() == (folder / "vectors.txt").read_bytes()


def test_convert_chooses_and_scales(mlkit: Run, folder: Path) -> None:
    (folder / "list.txt").write_text("green\nking\nzebra\n")
    done = mlkit(
        "vectors", "convert", "vectors.txt", "-", "--words", "list.txt", "--normalize", "--format", "glove"
    )
    assert done.stdout == b"king 0.94868326 0.31622776 0.0\ngreen 0.0 0.0 1.0\n"
    mlkit("vectors", "convert", "vectors.txt", "v.bin", "--limit", 3, "--from", "text")
    assert load_vectors(folder / "v.bin")[0] == WORDS[:3]


def test_info(mlkit: Run, folder: Path) -> None:
    found = dict(rows(mlkit("vectors", "info", "vectors.txt").stdout))
    assert (found["format"], found["header"], found["words"], found["dimension"]) == (
        "text",
        "yes",
        "12",
        "3",
    )
    record = json.loads(mlkit("vectors", "info", "vectors.txt", "--json").stdout)
    assert (record["words"], record["first_words"]) == (12, WORDS[:5])


def test_plot(mlkit: Run, folder: Path) -> None:
    text = mlkit("vectors", "plot", "vectors.txt", *WORDS).stdout.decode()
    assert all(word in text for word in ("king", "queen", "red"))
    mlkit("vectors", "plot", "vectors.txt", "-k1", "-o", "words.svg", stdin=b"king\nred\n")
    picture = (folder / "words.svg").read_text()
    assert "<svg" in picture
    assert all(f">{word}<" in picture for word in ("king", "red", "green"))


def test_small_questions_import_no_numba(mlkit: Run, folder: Path) -> None:
    done = mlkit("vectors", "nn", "vectors.txt", "king", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert b"numba" not in done.stderr
    assert b"numpy" in done.stderr
