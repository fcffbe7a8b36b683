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


def test_the_bare_number(mlkit: Run) -> None:
    points = "".join(f"{10 ** (-5 + k / 10)}\t{abs(k - 30) / 10 + 0.5}\n" for k in range(45))
    done = mlkit("lr-find", "-", "--print", "steep", stdin=points.encode())
    assert 1e-5 < float(done.stdout) < 1


def test_json_has_every_rule(mlkit: Run) -> None:
    record = json.loads(mlkit("lr-find", "--command", BOWL, "--steps", 30, "--repeats", 2, "--json").stdout)
    assert record["schema"] == "mlkit.lr-find/1"
    assert set(record["suggestions"]) == set(RULES)
    assert record["points"][0] == record["points"][1]


def test_too_few_points_end_with_a_reason(mlkit: Run) -> None:
    done = mlkit("lr-find", "-", stdin=b"1e-4\t2.3\n1e-3\t1.9\n", check=False)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("mlkit lr-find: 2 points are too few to judge, 20 are needed\n")
    assert mlkit("lr-find", "-", stdin=b"", check=False).returncode == 1
    assert mlkit("lr-find", "-", "--print", "best", check=False).returncode == 2
    assert mlkit("lr-find", "--command", "true", check=False).returncode == 2
