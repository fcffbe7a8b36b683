"""Stacks: better than chance, no leak through the folds, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlkit.errors import ModelError, UsageError
from mlkit.formats.table_files import read_table
from mlkit.stacking import StackSettings, load_stack, train_stack
from mlkit.tables.columns import Columns
from mlkit.tables.metrics import evaluate
from tests.trees.test_training import columns, made_table


@pytest.mark.parametrize("target", ["two", "three", "y"])
def test_a_stack_learns_and_is_read_again(tmp_path: Path, target: str) -> None:
    train, test = made_table(tmp_path / "a.csv", 600), made_table(tmp_path / "b.csv", 300, 2)
    settings = StackSettings(("forest", "boost", "adaboost", "logistic" if target != "y" else "ridge"), 3, 15)
    model = train_stack(train, columns(target), settings)
    predictions = model.predict(test)
    truth = test.numbers("y") if target == "y" else test.codes(target, model.classes).astype(float)
    found = evaluate(predictions, truth, model.classes)
    assert (found["r2"] if target == "y" else found["accuracy"]) > 0.75
    model.save(tmp_path / "m")
    again = load_stack(tmp_path / "m")
    assert (again.predict(test) == predictions).all()
    train_stack(train, columns(target), settings, threads=2).save(tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()


def test_members_that_learn_noise_by_heart_get_no_weight(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = "\n".join(
        f"{a:.5f},{b}" for a, b in zip(rng.normal(size=300), rng.integers(0, 2, 300), strict=True)
    )
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}\n")
    table = read_table(tmp_path / "t.csv")
    model = train_stack(table, Columns("y"), StackSettings(("bag",), 5, 10))
    # in its own training rows a bag is nearly always right; out of fold it is not, and the final model knows
    assert np.abs(model.predict(table)[:, 1] - 0.5).max() < 0.3


def test_unknown_members_and_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a member is one of"):
        StackSettings(("oracle",))
    (tmp_path / "m").write_bytes(b"not a model")
    with pytest.raises(ModelError):
        load_stack(tmp_path / "m")
