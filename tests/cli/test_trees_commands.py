"""`mlkit bag`, `boost`, `stack`, `table`, `impute`, `resample`, `reweight` through the real binary."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Run, command_environment
from tests.trees.test_training import made_table

IGNORE = "--ignore=y,three,count,w"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made_table(tmp_path / "train.csv", 400)
    made_table(tmp_path / "test.csv", 120, 2)
    return tmp_path


def test_boost_from_table_to_predictions(mlkit: Run, folder: Path) -> None:
    mlkit("boost", "train", "train.csv", "--target", "two", IGNORE, "-n", 20, "-o", "m")
    first = (folder / "m").read_bytes()
    mlkit("boost", "train", "train.csv", "--target", "two", IGNORE, "-n", 20, "-o", "m", "--threads", 2)
    assert (folder / "m").read_bytes() == first
    lines = mlkit("boost", "predict", "m", "test.csv", "--proba", "--id", "c").stdout.decode().splitlines()
    assert lines[0] == "c,prediction,p_no,p_yes"
    assert len(lines) == 121
    piped = mlkit("boost", "predict", "m", "--proba", "--id", "c", stdin=(folder / "test.csv").read_bytes())
    assert piped.stdout.decode().splitlines() == lines
    found = json.loads(mlkit("boost", "eval", "m", "test.csv", "--json").stdout)
    assert found["schema"] == "mlkit.eval"
    assert found["accuracy"] > 0.75
    assert mlkit("boost", "predict", "m", "test.csv", "--raw").stdout.startswith(b"raw\n")
    assert mlkit("boost", "predict", "m", "test.csv", "--leaf").stdout.count(b"tree") == 20


def test_the_views_of_a_model(mlkit: Run, folder: Path) -> None:
    mlkit("boost", "train", "train.csv", "--target", "two", IGNORE, "-n", 5, "-o", "m")
    table = mlkit("boost", "importance", "m", "--plot", "i.svg").stdout.decode().splitlines()
    assert table[0] == "column\tgain"
    assert b"<svg" in (folder / "i.svg").read_bytes()
    assert mlkit("boost", "importance", "m", "test.csv", "--by", "permutation").stdout
    assert b"[gain" in mlkit("boost", "inspect", "m", "--tree", 1).stdout
    mlkit("boost", "inspect", "m", "--svg", "t.svg")
    assert (folder / "t.svg").read_text().rstrip().endswith("</svg>")
    mlkit("boost", "calibrate", "m", "test.csv", "--method", "isotonic", "-o", "c")
    assert mlkit("boost", "eval", "c", "test.csv").stdout.startswith(b"metric\tvalue\n")
    assert mlkit("boost", "export", "m").stdout.startswith(b"tree\nversion=v4\n")
    assert json.loads(mlkit("boost", "export", "m", "--format", "json").stdout)["target"] == "two"
    refused = mlkit("boost", "export", "c", check=False)
    assert (refused.returncode, refused.stderr.count(b"\n")) == (2, 1)


def test_adaboost_bag_and_stack(mlkit: Run, folder: Path) -> None:
    mlkit("boost", "train", "train.csv", "--target", "two", IGNORE, "-a", "adaboost", "-n", 10, "-o", "a")
    mlkit("bag", "train", "train.csv", "--target", "two", IGNORE, "-n", 10, "--features", "sqrt", "--oob", "-o", "b",
          "--oob-predictions", "oob.csv")  # fmt: skip
    assert (folder / "oob.csv").read_text().startswith("p_no,p_yes\n")
    mlkit("bag", "train", "train.csv", "--target", "two", IGNORE, "-n", 5, "--base", "logistic", "-o", "l")
    mlkit(
        "stack",
        "train",
        "train.csv",
        "--target",
        "two",
        IGNORE,
        "-n",
        5,
        "--models",
        "bag,logistic",
        "-o",
        "s",
    )
    for kind, model in (("boost", "a"), ("bag", "b"), ("bag", "l"), ("stack", "s")):
        found = json.loads(mlkit(kind, "eval", model, "test.csv", "--json").stdout)
        assert found["accuracy"] > 0.6
    refused = mlkit("boost", "predict", "b", "test.csv", check=False)
    assert refused.returncode == 1
    assert refused.stderr == b"mlkit boost predict: b: a model of kind 'bag', expected 'boost'\n"


@pytest.mark.parametrize("command", ["boost", "bag", "stack"])
def test_cv_gives_mean_and_spread(mlkit: Run, folder: Path, command: str) -> None:
    more = ["--models", "boost"] if command == "stack" else []
    shown = mlkit(
        command, "cv", "train.csv", "--target", "two", IGNORE, "-n", 3, "-k", 3, *more
    ).stdout.decode()
    assert shown.startswith("metric\tmean\tspread\naccuracy\t0.")


def test_init_model_and_early_stop(mlkit: Run, folder: Path) -> None:
    mlkit("boost", "train", "train.csv", "--target", "y", "--ignore=two,three,count,w", "-n", 4, "-o", "m")
    mlkit("boost", "train", "train.csv", "--target", "y", "--ignore=two,three,count,w", "-n", 3, "--init-model", "m",
          "-o", "n")  # fmt: skip
    assert b"tree6" in mlkit("boost", "predict", "n", "test.csv", "--leaf").stdout
    done = mlkit("boost", "train", "train.csv", "--target", "two", IGNORE, "--early-stop", 3, "--valid", "test.csv",
                 "-l", 0.5, "-o", "e")  # fmt: skip
    assert b"valid loss" in done.stderr


def test_a_stopped_job_resumes_to_the_same_bytes(mlkit: Run, folder: Path) -> None:
    call = [
        "boost",
        "train",
        "train.csv",
        "--target",
        "two",
        IGNORE,
        "-n",
        "4000",
        "--leaves",
        "8",
        "--threads",
        "1",
    ]
    mlkit(*call, "-o", "whole")
    saving = [*call, "-o", "m", "--checkpoint", "c", "--checkpoint-every", "0"]
    child = subprocess.Popen(
        [sys.executable, "-m", "mlkit", *saving],
        cwd=folder,
        env=command_environment(),
        stderr=subprocess.PIPE,
    )
    while not (folder / "c").exists() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    _, words = child.communicate(timeout=60)
    assert child.returncode == 143, words
    assert not (folder / "m").exists()
    mlkit(*saving, "--resume", "--checkpoint-every", "600")
    assert (folder / "m").read_bytes() == (folder / "whole").read_bytes()
    other = mlkit(*saving, "--resume", "--l2", "3", check=False)
    assert other.returncode == 1
    assert b"l2" in other.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,y\n1,u\n2\n", "t.csv:3: 1 field, expected 2"),
        ("a,y\n1,u\n2,u\n", "t.csv: column 'y': the target has one value, 'u'"),
        ("a,a,y\n1,2,u\n", "t.csv:1: columns 1 and 2 are both named 'a'"),
        ("a,y\n1,u\ninf,v\n", "t.csv:3: column 'a': an infinite number"),
        (
            "a,y\n,u\n,v\n",
            "t.csv: no column can be learnt from: column 'a' holds nothing but missing values and is left out",
        ),
        ("a,y\n", "t.csv: the table holds no rows"),
        ("", "t.csv: the table is empty"),
    ],
)
@pytest.mark.parametrize("command", ["boost", "bag"])
def test_bad_tables_give_one_line_and_no_model(
    mlkit: Run, tmp_path: Path, command: str, content: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text(content)
    done = mlkit(command, "train", "t.csv", "--target", "y", "-o", "m", check=False)
    assert done.returncode == 1
    assert done.stderr.decode() == f"mlkit {command} train: {message}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv"]


def test_predict_needs_the_columns_by_name(mlkit: Run, folder: Path) -> None:
    mlkit("boost", "train", "train.csv", "--target", "two", IGNORE, "-n", 2, "-o", "m")
    done = mlkit("boost", "predict", "m", "-o", "p", stdin=b"c,x\nk1,2\n", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"mlkit boost predict: <stdin>: missing column 'z'\n")
    assert not (folder / "p").exists()
    done = mlkit("boost", "predict", "m", stdin=b"c,x,z\nk1,2,1\nk1,two,1\n", check=False)
    assert done.stderr == b"mlkit boost predict: <stdin>:3: column 'x': 'two' is not a number\n"


def test_table_tools(mlkit: Run, folder: Path) -> None:
    assert mlkit("table", "info", "train.csv").stdout.decode().splitlines()[1].startswith("x\tnumber\t")
    assert json.loads(mlkit("table", "info", "train.csv", "--json").stdout)["rows"] == 400
    mlkit("impute", "train.csv", "-s", "median", "-o", "full.csv")
    assert b"\n," not in (folder / "full.csv").read_bytes()
    mlkit("resample", "split", "train.csv", "--stratify", "two", "-o", "a.csv", "--test-output", "b.csv")
    assert (folder / "b.csv").read_bytes().count(b"\n") in (80, 81, 82)
    balanced = mlkit("resample", "over", "a.csv", "--target", "two").stdout.decode()
    assert balanced.count(",yes,") == balanced.count(",no,")
    smaller = mlkit("resample", "under", "a.csv", "--target", "two").stdout.decode()
    assert smaller.count(",yes,") == smaller.count(",no,")
    mlkit(
        "reweight",
        "covariate",
        "a.csv",
        "--toward",
        "test.csv",
        "--ignore",
        "y,two,three,count,w",
        "-o",
        "w.csv",
    )
    mlkit("boost", "train", "w.csv", "--target", "two", IGNORE, "--weight", "weight", "-n", 5, "-o", "m")
    mlkit(
        "reweight",
        "label",
        "a.csv",
        "--toward",
        "test.csv",
        "--model",
        "m",
        "--valid",
        "b.csv",
        "-o",
        "v.csv",
    )
    assert (folder / "v.csv").read_text().splitlines()[0].endswith(",weight")


def test_options_that_would_be_passed_over_are_refused(mlkit: Run, folder: Path) -> None:
    call = ("boost", "train", "train.csv", "--target", "two", IGNORE, "-o", "m")
    done = mlkit(*call, "-a", "adaboost", "--early-stop", 3, "--checkpoint", "c", check=False)
    assert done.returncode == 2
    assert b"--early-stop, --checkpoint: not for AdaBoost" in done.stderr
    assert b"--resume needs --checkpoint" in mlkit(*call, "--resume", check=False).stderr
    assert not (folder / "m").exists()


def test_a_model_reads_its_own_words_for_missing(mlkit: Run, folder: Path) -> None:
    lines = [f"{'none' if k % 5 == 0 else k % 7},{'uv'[k % 7 > 3]}" for k in range(90)]
    (folder / "t.csv").write_text("\n".join(["a,y", *lines]) + "\n")
    for kind, more in (("boost", ["-n", 3]), ("bag", ["-n", 3]), ("net", ["-n", 1]), ("stack", ["-n", 2])):
        mlkit(kind, "train", "t.csv", "--target", "y", "--na", "none", *more, "-o", "m")
        said = mlkit(kind, "predict", "m", "t.csv").stdout
        assert said == mlkit(kind, "predict", "m", "t.csv", "--na", "none").stdout
        assert b"positive\tv\n" in mlkit(kind, "eval", "m", "t.csv").stdout


def test_many_classes_have_no_matrix_on_the_screen(mlkit: Run, folder: Path) -> None:
    (folder / "t.csv").write_text("\n".join(["a,y", *(f"{k % 40},k{k % 40}" for k in range(160))]) + "\n")
    mlkit("bag", "train", "t.csv", "--target", "y", "-n", 2, "-o", "m")
    done = mlkit("bag", "eval", "m", "t.csv")
    assert b"predicted" not in done.stdout
    assert b"40 classes is in the output of --json" in done.stderr
    assert len(json.loads(mlkit("bag", "eval", "m", "t.csv", "--json").stdout)["confusion"]) == 40
    (folder / "u.csv").write_text('a,y\n"x\ty",1\n"x\ty",2\n')
    assert mlkit("table", "info", "u.csv").stdout.splitlines()[1] == b"a\tcategory\t0\t1\t\t\t\tx\\ty\t2"


def test_tables_that_hardly_overlap_are_said(mlkit: Run, folder: Path) -> None:
    for name, start in (("old.csv", 0), ("new.csv", 1000)):
        (folder / name).write_text("\n".join(["id,a", *(f"{start + k},{k % 7}" for k in range(60))]) + "\n")
    assert b"hardly overlap" in mlkit("reweight", "covariate", "old.csv", "--toward", "new.csv").stderr
    fine = mlkit("reweight", "covariate", "old.csv", "--toward", "new.csv", "--ignore", "id").stderr
    assert b"hardly overlap" not in fine
