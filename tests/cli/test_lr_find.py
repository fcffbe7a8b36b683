"""`mlkit lr-find` through the binary."""

from __future__ import annotations

import json
from pathlib import Path

from mlkit.lr_find import RULES
from tests.conftest import Run

BOWL = "awk 'BEGIN { x = log({lr}); print \"loss\", (x + 3) ^ 2 / 50 + {lr} }'"


def test_any_command(mlkit: Run, tmp_path: Path) -> None:
    done = mlkit(
        "lr-find", "--command", BOWL, "--start", "1e-5", "--steps", 40, "--curve", "c.tsv", "--plot", "c.svg"
    )
    lines = done.stdout.decode().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["rule", *RULES]
    assert (tmp_path / "c.svg").read_text().startswith("<svg")
    again = mlkit("lr-find", "c.tsv")
    assert again.stdout == done.stdout, "a saved curve gives the same suggestions"


def test_saved_repeats_give_the_same_spread(mlkit: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "a,b,y\n" + "".join(f"{k % 17},{k % 5},{k % 17 * 2 + k % 5}\n" for k in range(200))
    )
    call = ("lr-find", "net", "t.csv", "--target", "y", "--batch", 20, "--repeats", 3)
    shown = mlkit(*call, "--curve", "c.tsv").stdout
    lines = (tmp_path / "c.tsv").read_text().splitlines()
    assert lines[0] == "rate\tloss\tsmoothed\trepeat\tsteps"
    assert {line.split("\t")[3] for line in lines[1:]} == {"1", "2", "3"}
    assert {line.split("\t")[4] for line in lines[1:]} == {"100"}, "a test that diverged was planned longer"
    assert mlkit("lr-find", "c.tsv").stdout == shown
    assert mlkit("lr-find", stdin=(tmp_path / "c.tsv").read_bytes()).stdout == shown
    lines[5] = "x\ty\tz\t1\t100"
    done = mlkit("lr-find", "-", stdin="\n".join(lines).encode(), check=False)
    assert done.returncode == 1
    assert ":6: expected 'rate<TAB>loss'" in done.stderr.decode()


def test_one_source(mlkit: Run, tmp_path: Path) -> None:
    done = mlkit("lr-find", "curve.tsv", "--command", BOWL, check=False)
    assert done.returncode == 2
    assert "two sources" in done.stderr.decode()
    done = mlkit("lr-find", "fasttext", "predict", "x", check=False)
    assert done.returncode == 2
    assert "no trainer; there is supervised, skipgram, cbow" in done.stderr.decode()
    done = mlkit("lr-find", "boost", "cv", "x.csv", "--target", "y", check=False)
    assert "mlkit boost cv is no trainer; there is train" in done.stderr.decode()


def test_the_bare_number(mlkit: Run) -> None:
    points = "".join(f"{10 ** (-5 + k / 10)}\t{abs(k - 30) / 10 + 0.5}\n" for k in range(45))
    done = mlkit("lr-find", "-", "--print", "steep", stdin=points.encode())
    assert 1e-5 < float(done.stdout) < 1


def test_json_has_every_rule(mlkit: Run) -> None:
    record = json.loads(mlkit("lr-find", "--command", BOWL, "--steps", 30, "--repeats", 2, "--json").stdout)
    assert record["schema"] == "mlkit.lr-find"
    assert set(record["suggestions"]) == set(RULES)
    assert record["points"][0] == record["points"][1]
    assert record["settings"]["steps"] == 30


def test_too_few_points_end_with_a_reason(mlkit: Run) -> None:
    done = mlkit("lr-find", "-", stdin=b"1e-4\t2.3\n1e-3\t1.9\n", check=False)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("mlkit lr-find: 2 points are too few to judge, 20 are needed\n")
    assert mlkit("lr-find", "-", stdin=b"", check=False).returncode == 1
    assert mlkit("lr-find", "-", "--print", "best", check=False).returncode == 2
    assert mlkit("lr-find", "--command", "true", check=False).returncode == 2


def test_our_own_trainers(mlkit: Run, tmp_path: Path) -> None:
    words = ["sun", "ice", "rain", "wind", "tree", "leaf", "stone", "river"]
    text = "".join(" ".join(words[(line * k) % 8] for k in range(1, 9)) + "\n" for line in range(200))
    (tmp_path / "corpus.txt").write_text(text)
    (tmp_path / "labelled.txt").write_text(
        "".join(f"__label__{line % 3} {words[line % 3]} {words[line % 7]}\n" for line in range(300))
    )
    (tmp_path / "t.csv").write_text(
        "a,b,y\n" + "".join(f"{k % 17},{k % 5},{k % 17 * 2 + k % 5}\n" for k in range(200))
    )
    tests = {
        ("train-w2v", "corpus.txt", "--dim", 10, "--min-count", 1): 2,
        ("train-glove", "corpus.txt", "--dim", 10, "--min-count", 1, "--end", 1): 1,
        ("fasttext", "supervised", "--input", "labelled.txt", "--dim", 10, "--bucket", 0): 2,
        ("fasttext", "skipgram", "--input", "corpus.txt", "--dim", 10, "--bucket", 100): 1,
        ("boost", "t.csv", "--target", "y", "--leaves", 4): 1,
        ("net", "train", "t.csv", "--target", "y", "--layers", "5, relu"): 2,
    }
    for arguments, repeats in tests.items():
        record = json.loads(
            mlkit("lr-find", *arguments, "--json", "--repeats", repeats, "--steps", 60).stdout
        )
        assert len(record["points"]) == repeats
        assert set(record["suggestions"]) == set(RULES)
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"corpus.txt", "labelled.txt", "t.csv"}, "a range test writes nothing"
    done = mlkit("lr-find", "net", "t.csv", "--target", "y", "--layrs", "5", check=False)
    assert done.returncode == 2
    assert "--layers" in done.stderr.decode()
