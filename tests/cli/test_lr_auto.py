"""``--lr auto``: every trainer runs the range test that `mlkit lr-find` shows, and trains with what it found."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mlkit.cli.learning_rate import Choice
from mlkit.errors import Stopped
from mlkit.range_test import Sweep
from mlkit.signals import StopSignals
from tests.conftest import Run

WORDS = ["sun", "ice", "rain", "wind", "tree", "leaf", "stone", "river"]
W2V = ("train-w2v", "corpus.txt", "--dim", 10, "--min-count", 1, "--threads", 1, "--epochs", 2)
GLOVE = ("train-glove", "corpus.txt", "--dim", 10, "--min-count", 1, "--epochs", 3)
FASTTEXT = ("--dim", 10, "--bucket", 100, "--thread", 1, "--no-vec")
TRAINERS = {
    "w2v": (W2V, "model"),
    "w2v from stdin": ((W2V[0], "-", *W2V[2:]), "model"),
    "cbow": ((*W2V, "--model", "cbow", "--loss", "hs"), "model"),
    "glove": (GLOVE, "model"),
    "glove from stdin": ((GLOVE[0], "-", *GLOVE[2:]), "model"),
    "supervised": (("fasttext", "supervised", "--input", "labelled.txt", *FASTTEXT), "model.bin"),
    "skipgram": (("fasttext", "skipgram", "--input", "corpus.txt", *FASTTEXT), "model.bin"),
    "cbow of fasttext": (("fasttext", "cbow", "--input", "-", *FASTTEXT), "model.bin"),
    "net": (("net", "train", "table.csv", "--target", "y", "--layers", "5, relu", "--batch", 20), "model"),
    "boost": (("boost", "train", "table.csv", "--target", "y", "--leaves", 4, "--rows", 0.5), "model"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus.txt").write_text(
        "".join(" ".join(WORDS[(line * k) % 8] for k in range(1, 9)) + "\n" for line in range(1500))
    )
    (tmp_path / "labelled.txt").write_text(
        "".join(f"__label__{line % 3} {WORDS[line % 3]} {WORDS[line % 7]}\n" for line in range(600))
    )
    (tmp_path / "table.csv").write_text(
        "a,b,y\n" + "".join(f"{k % 17},{k % 5},{k % 17 * 2 + k % 5}\n" for k in range(300))
    )
    return tmp_path


@pytest.mark.parametrize("name", TRAINERS)
def test_auto_is_what_lr_find_prints(name: str, mlkit: Run, folder: Path) -> None:
    call, made = TRAINERS[name]
    text = (folder / "corpus.txt").read_bytes()
    auto = mlkit(*call, "-o", "model", "--lr", "auto", stdin=text).stderr.decode()
    first = (folder / made).read_bytes()
    (folder / made).unlink()
    rate = mlkit("lr-find", *call, "--print", "auto", stdin=text).stdout.decode().strip()
    assert not (folder / made).exists(), "a range test writes no model"
    assert f"learning rate {float(rate):.3g}, by the rule 'auto' of a range test of" in auto
    mlkit(*call, "-o", "model", "--lr", rate, stdin=text)
    assert (folder / made).read_bytes() == first, "the same rate gives the same bytes"


@pytest.mark.parametrize("name", ["w2v", "glove", "supervised", "net", "boost"])
def test_a_resumed_run_does_not_search_again(name: str, mlkit: Run, folder: Path) -> None:
    call, made = TRAINERS[name]
    saving: Sequence[object] = (*call, "--lr", "auto", "--checkpoint", "saved", "--checkpoint-every", 0)
    mlkit(*saving, "-o", "model")
    whole = (folder / made).read_bytes()
    told = mlkit(*saving, "-o", "model", "--resume").stderr.decode()
    assert "that of the checkpoint" in told
    assert "range test" not in told
    assert (folder / made).read_bytes() == whole
    other = mlkit(*call, "--lr", 0.0123, "--checkpoint", "saved", "-o", "model", "--resume", check=False)
    assert other.returncode == 1, "another rate than the checkpoint's is refused"


def test_folds_search_a_rate_each(mlkit: Run, folder: Path) -> None:
    for call in (
        ("boost", "cv", "table.csv", "--rounds", 5),
        ("net", "cv", "table.csv", "--epochs", 2, "--batch", 20),
    ):
        done = mlkit(*call, "--target", "y", "--folds", 2, "--lr", "auto", "--json")
        assert done.stderr.decode().count("by the rule 'auto'") == 2
        assert len(json.loads(done.stdout)["folds"]) == 2


def test_a_rate_is_a_number_or_auto(mlkit: Run, folder: Path) -> None:
    for call in (W2V, GLOVE, TRAINERS["skipgram"][0], TRAINERS["net"][0], TRAINERS["boost"][0]):
        for wrong in ("fast", "-1", "nan", "0"):
            done = mlkit(*call, "-o", "x", "--lr", wrong, check=False)
            assert done.returncode == 2
            assert f"'{wrong}' is neither a number above 0 nor 'auto'" in done.stderr.decode()
    ada = mlkit(*TRAINERS["boost"][0], "-o", "x", "--lr", "auto", "-a", "adaboost", check=False)
    assert ada.returncode == 2
    assert "computes the weight of every tree" in ada.stderr.decode()
    both = mlkit(
        *TRAINERS["supervised"][0],
        "-o",
        "x",
        "--lr",
        "auto",
        "--autotune-validation",
        "labelled.txt",
        check=False,
    )
    assert both.returncode == 2
    assert "leave --lr out" in both.stderr.decode()


def test_a_file_or_the_environment_may_say_auto(mlkit: Run, folder: Path) -> None:
    (folder / "w2v.yaml").write_text("lr: auto\n")
    (folder / "boost.yaml").write_text("learning-rate: auto\n")
    (folder / "short.yaml").write_text("lr: 0.2\n")
    assert "by the rule" in mlkit(*W2V, "-o", "a", "--config", "w2v.yaml").stderr.decode()
    assert "by the rule" in mlkit(*W2V, "-o", "b", env={"MLKIT_TRAIN_W2V_LR": "auto"}).stderr.decode()
    boost = TRAINERS["boost"][0]
    assert "by the rule" in mlkit(*boost, "-o", "c", "--config", "boost.yaml").stderr.decode()
    shown = mlkit(*boost, "-o", "c", "--config", "short.yaml", "--print-config").stdout.decode()
    assert "learning-rate: 0.2" in shown


def test_a_test_that_says_nothing_asks_for_a_rate(mlkit: Run, folder: Path) -> None:
    (folder / "few.csv").write_text("a,y\n" + "".join(f"{k},{k * k}\n" for k in range(30)))
    done = mlkit("boost", "train", "few.csv", "--target", "y", "-o", "x", "--lr", "auto", check=False)
    assert done.returncode == 1
    assert "no rate found" in done.stderr.decode()
    assert "--lr" in done.stderr.decode().splitlines()[-1]
    assert not (folder / "x").exists()


def test_a_stop_signal_ends_the_test() -> None:
    stop = StopSignals()
    find = Choice("auto").finder(None, stop)
    assert find is not None
    seen = 0

    def points(rates: Sequence[float], repeat: int) -> Iterator[tuple[float, float]]:
        nonlocal seen
        for rate in rates:
            seen += 1
            if seen == 3:
                stop.number = signal.SIGTERM
            yield rate, 1.0

    with pytest.raises(Stopped, match="nothing to save"):
        find(Sweep(points, 1e-3, 1.0))
    assert seen == 3
    assert Choice(0.1).finder() is None
    assert Choice(None).settings == {}
    assert Choice(0.1, setting="learning_rate").settings == {"learning_rate": 0.1}
