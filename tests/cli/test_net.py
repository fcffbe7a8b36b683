"""`mlkit net` through the binary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run

TRAIN = ("net", "train", "t.csv", "--target", "y", "--epochs", 12, "--lr", 0.02, "--batch", 20)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = ["a,colour,y"]
    for _ in range(150):
        a, colour = rng.normal(), rng.choice(["red", "green"])
        lines.append(f"{a:.3f},{colour},{'yes' if a + (colour == 'red') > 0.4 else 'no'}")
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_train_eval_predict(mlkit: Run, table: Path, tmp_path: Path) -> None:
    mlkit(*TRAIN, "-o", "m.net", "--plot", "curve.svg", "--threads", 1)
    assert (tmp_path / "curve.svg").read_text().startswith("<svg")
    mlkit(*TRAIN, "-o", "again.net", "--threads", 2)
    assert (tmp_path / "m.net").read_bytes() == (tmp_path / "again.net").read_bytes(), "any number of threads"
    found = json.loads(mlkit("net", "eval", "m.net", "t.csv", "--json").stdout)
    assert found["schema"] == "mlkit.eval"
    assert found["accuracy"] > 0.9
    lines = mlkit("net", "predict", "m.net", "--proba", stdin=table.read_bytes()).stdout.decode().splitlines()
    assert lines[0] == "prediction,p_no,p_yes"
    assert len(lines) == 151
    mlkit("net", "average", "m.net", "again.net", "-o", "mean.net")
    assert (
        json.loads(mlkit("net", "eval", "mean.net", "t.csv", "--json").stdout)["accuracy"]
        == found["accuracy"]
    )


def test_a_yaml_file_describes_the_network(mlkit: Run, table: Path, tmp_path: Path) -> None:
    config = tmp_path / "net.yaml"
    config.write_text(
        "target: y\nlayers:\n  - dense: {size: 8, init: he}\n  - relu\n  - dropout: 0.1\n  - residual: [8, gelu]\n"
        "optimiser: adamw\nschedule: one-cycle\nlr: 0.02\nbatch: 20\nepochs: 12\nrates: {output: 2}\n"
    )
    mlkit("net", "train", "t.csv", "--config", "net.yaml", "-o", "m.net", "--epochs", 9)
    printed = mlkit(
        "net", "train", "t.csv", "--config", "net.yaml", "-o", "m2.net", "--epochs", 9, "--print-config"
    )
    (tmp_path / "again.yaml").write_bytes(printed.stdout)
    mlkit("net", "train", "--config", "again.yaml", check=True)
    assert (tmp_path / "m.net").read_bytes() == (tmp_path / "m2.net").read_bytes()
    config.write_text("target: y\nlayer: [8]\n")
    done = mlkit("net", "train", "t.csv", "--config", "net.yaml", "-o", "x", check=False)
    assert done.returncode == 2
    assert "did you mean 'layers'" in done.stderr.decode()


def test_bad_calls_end_with_one_line(mlkit: Run, table: Path, tmp_path: Path) -> None:
    def fails(code: int, *arguments: object) -> str:
        done = mlkit(*arguments, check=False)
        assert done.returncode == code, done.stderr
        assert not (tmp_path / "x.net").exists()
        return done.stderr.decode()

    assert "no layer is called 'rellu'" in fails(2, *TRAIN, "-o", "x.net", "--layers", "5, rellu")
    assert "cannot share the weight" in fails(
        2, *TRAIN, "-o", "x.net", "--layers", "5, 6, dense: {size: 9, tied: dense1}"
    )
    assert "--target" in fails(2, "net", "train", "t.csv", "-o", "x.net")
    assert "a number above 0 nor 'auto'" in fails(2, *TRAIN, "-o", "x.net", "--lr", "fast")
    assert "at step" in fails(
        1, *TRAIN, "-o", "x.net", "--lr", "1e30", "--optimiser", "sgd", "--layers", "9, relu, 9, relu"
    )
    mlkit(*TRAIN, "-o", "m.net", "--epochs", 1)
    (tmp_path / "other.csv").write_text("a,y\n1,yes\n")
    assert "missing column 'colour'" in fails(1, "net", "predict", "m.net", "other.csv")
    assert "not a model file" in fails(1, "net", "eval", "t.csv", "t.csv")


def test_lr_auto_and_lr_find(mlkit: Run, table: Path) -> None:
    rate = float(mlkit("lr-find", "net", "t.csv", "--target", "y", "--batch", 20, "--print", "auto").stdout)
    done = mlkit(
        "net", "train", "t.csv", "--target", "y", "--batch", 20, "--lr", "auto", "-o", "m.net", "--epochs", 2
    )
    assert f"learning rate {rate:.3g}, by the rule 'auto'" in done.stderr.decode()


def test_distil_and_folds(mlkit: Run, table: Path) -> None:
    mlkit("boost", "train", "t.csv", "--target", "y", "-o", "teacher.model", "--rounds", 30, "--min-leaf", 5)
    mlkit("net", "distill", "--teacher", "teacher.model", "t.csv", "--target", "y", "--layers", "4, tanh", "--lr", 0.05,
          "--batch", 20, "-o", "student.net")  # fmt: skip
    assert json.loads(mlkit("net", "eval", "student.net", "t.csv", "--json").stdout)["accuracy"] > 0.85
    folds = json.loads(
        mlkit("net", "cv", "t.csv", "--target", "y", "--lr", 0.03, "--folds", 3, "--json").stdout
    )
    assert len(folds["folds"]) == 3


def test_no_input_is_overwritten(mlkit: Run, table: Path) -> None:
    mlkit(*TRAIN, "-o", "m.net")
    for call in (
        ("net", "distill", "--teacher", "m.net", "t.csv", "--target", "y"),
        (*TRAIN, "--init", "m.net"),
    ):
        done = mlkit(*call, "-o", "m.net", check=False)
        assert done.returncode == 2
        assert b"m.net" in done.stderr


def test_labelled_text(mlkit: Run, tmp_path: Path) -> None:
    lines = [f"__label__{'hot' if k % 2 else 'cold'} {'sun' if k % 2 else 'ice'} w{k % 5}" for k in range(60)]
    (tmp_path / "t.txt").write_text("\n".join(lines) + "\n")
    mlkit("net", "train", "t.txt", "-o", "m.net", "--layers", "[]", "--lr", 0.1, "--batch", 10)
    assert json.loads(mlkit("net", "eval", "m.net", "t.txt", "--json").stdout)["accuracy"] == 1
    mlkit(
        "fasttext",
        "supervised",
        "--input",
        "t.txt",
        "--output",
        "f",
        "--dim",
        8,
        "--bucket",
        0,
        "--epoch",
        60,
    )
    mlkit(
        "net",
        "distill",
        "--teacher",
        "f.bin",
        "t.txt",
        "-o",
        "s.net",
        "--layers",
        "[]",
        "--lr",
        0.1,
        "--batch",
        10,
    )
    assert json.loads(mlkit("net", "eval", "s.net", "t.txt", "--json").stdout)["accuracy"] == 1
    assert mlkit("net", "predict", "m.net", stdin=b"ice ice\nthe sun\n").stdout == b"prediction\ncold\nhot\n"
