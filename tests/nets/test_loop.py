"""Training, encoding and model files on small tables."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.checkpoint import Checkpoints, load_checkpoint
from mlkit.errors import CheckpointError, DataError, MlkitError, Stopped, UsageError
from mlkit.formats.table_files import Table, read_table
from mlkit.nets import NetModel, NetSettings, Teacher, load_net, train_net
from mlkit.nets.features import fit_encoder, is_labelled_text, read_text, text_blocks
from mlkit.nets.optimisers import OptimiserSettings
from mlkit.nets.report import evaluate_blocks, prediction_rows
from mlkit.nets.schedules import Schedule
from mlkit.nets.train import average_models, prepare
from mlkit.range_test import Sweep
from mlkit.signals import StopSignals
from mlkit.tables.columns import Columns

ROWS = 120
SMALL = NetSettings(layers=(8, "relu"), batch=16, epochs=6, lr=0.02, seed=4)
CLASSES = Columns("y")


@pytest.fixture
def table(tmp_path: Path) -> Table:
    rng = np.random.default_rng(0)
    lines = ["a,b,colour,y,z"]
    for _ in range(ROWS):
        a, b, colour = rng.normal(), rng.normal() * 100 + 7, rng.choice(["red", "green", "blue"])
        y = "yes" if a + (colour == "red") > 0.3 else "no"
        lines.append(
            f"{a:.4f},{'' if rng.random() < 0.1 else f'{b:.3f}'},{colour},{y},{3 * a - 5 + (colour == 'blue'):.4f}"
        )
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    return read_table(tmp_path / "t.csv")


def loss_of(model: NetModel, table: Table, name: str = "log_loss") -> float:
    return float(evaluate_blocks(model, [table])[name])


def columns_without(*names: str) -> Columns:
    return Columns("y", ignore=names)


@pytest.mark.parametrize("change", [
    {}, {"rule": OptimiserSettings("nesterov"), "lr": 0.05}, {"rule": OptimiserSettings("gd"), "lr": 0.5, "epochs": 60},
        {"mixup": 0.2},
    {"label_smoothing": 0.05}, {"average": 3}, {"early_stop": 3}, {"categories": "embedding"}, {"precision": "float64"},
    {"layers": (8, "batch-norm", "gelu", {"dropout": 0.1}, {"residual": [8, "prelu"]})},
    {"schedule": Schedule("cosine")}, {"schedule": Schedule("plateau", every=1)},
    {"rule": OptimiserSettings("adam", l2=1e-3, l1=1e-4, clip=1.0)},
    {"mixup": 0.3, "categories": "embedding"}, {"batch": 119, "epochs": 40},
], ids=str)  # fmt: skip
def test_learns_and_repeats(table: Table, change: dict[str, Any]) -> None:
    made = replace(SMALL, **{"epochs": 15, **change})
    columns = columns_without("z")
    model, history = train_net(table, columns, made)
    assert loss_of(model, table) < 0.45, "the majority alone is at about 0.69"
    again, _ = train_net(table, columns, made)
    assert model.network.theta.tobytes() == again.network.theta.tobytes()
    assert len(history.losses) <= made.epochs


def test_regression_scales_the_target(table: Table) -> None:
    for loss in (None, "absolute", "huber"):
        model, _ = train_net(table, Columns("z", ignore=("y",)), replace(SMALL, epochs=40, loss=loss))
        assert loss_of(model, table, "r2") > 0.95


def test_weights_count_rows(table: Table) -> None:
    heavy, _ = train_net(table, Columns("y", ignore=("z",), class_weight="yes=20,no=1"), SMALL)
    light, _ = train_net(table, Columns("y", ignore=("z",), class_weight="yes=0.05,no=1"), SMALL)
    assert heavy.predict(table)[:, 1].mean() > light.predict(table)[:, 1].mean() + 0.2


def test_resumes_to_the_same_bytes(table: Table, tmp_path: Path) -> None:
    made = replace(
        SMALL,
        layers=(8, "batch-norm", "relu", {"dropout": 0.2}),
        average=2,
        schedule=Schedule("plateau", every=1),
    )
    whole, _ = train_net(table, CLASSES, made)
    path = tmp_path / "checkpoint"
    stop = StopSignals()
    steps = 0

    def watch(report: Any) -> None:
        nonlocal steps
        steps += 1
        if steps in (11, 30, 41):
            stop.number = signal.SIGTERM

    for _ in range(4):
        stop.number = None
        try:
            model, _ = train_net(
                table, CLASSES, made, checkpoints=Checkpoints(path, 1e9, stop), resume=True, progress=watch
            )
            break
        except Stopped:
            continue
    assert steps == 6 * 8
    whole.save(tmp_path / "a")
    model.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(CheckpointError, match="mixup"):
        train_net(
            table,
            CLASSES,
            replace(made, mixup=0.1),
            checkpoints=Checkpoints(path, 1e9, StopSignals()),
            resume=True,
        )


def test_early_stopping_keeps_the_best(table: Table) -> None:
    made = replace(SMALL, early_stop=4, lr=0.3, epochs=60)
    valid = table.take(np.arange(0, ROWS, 3)).with_column("y", ["yes", "no"] * (ROWS // 6))  # never better
    ready = prepare(table, CLASSES, made, valid=valid)
    history = ready.trainer.run()
    assert history.stopped_early
    assert len(history.losses) == history.best_epoch + 4
    assert ready.trainer.valid is not None
    assert ready.trainer.loss_of(ready.trainer.valid) == pytest.approx(min(history.valid_losses))


def test_a_loss_that_is_no_number_stops(table: Table) -> None:
    with pytest.raises(MlkitError, match=r"became (nan|inf) at step \d+ .*rate 1e\+30"):
        train_net(
            table,
            CLASSES,
            replace(SMALL, lr=1e30, rule=OptimiserSettings("sgd"), layers=(8, "relu", 8, "relu")),
        )


def test_transfer_freezes_and_replaces_the_last_layer(table: Table) -> None:
    before, _ = train_net(table, CLASSES, SMALL)
    frozen = replace(SMALL, freeze=("*",), epochs=2)
    after, _ = train_net(table, CLASSES, frozen, before=before)
    old, new = before.network.named(), after.network.named()
    assert (old["dense1.weight"] == new["dense1.weight"]).all()
    assert (old["output.weight"] != new["output.weight"]).any()
    three = table.with_column("y", ["a", "b", "c"] * (ROWS // 3))
    said: list[str] = []
    other, _ = train_net(three, CLASSES, frozen, before=before, remark=said.append)
    assert other.classes == ("a", "b", "c")
    assert "output" in said[0]
    assert (old["dense1.weight"] == other.network.named()["dense1.weight"]).all()


def test_distillation_and_averages(table: Table, tmp_path: Path) -> None:
    teacher, _ = train_net(table, columns_without("z"), replace(SMALL, epochs=30))
    tiny = replace(SMALL, layers=(3, "tanh"), epochs=20)
    student, _ = train_net(table, columns_without("z"), tiny, teacher=Teacher(teacher, 2.0, 0.9))
    assert loss_of(student, table) < 0.45
    number, _ = train_net(table, Columns("z"), SMALL)
    with pytest.raises(UsageError, match="probabilities"):
        train_net(table, CLASSES, SMALL, teacher=Teacher(number))
    one, two = (train_net(table, CLASSES, replace(SMALL, seed=seed))[0] for seed in (1, 2))
    mean = (one.network.theta.astype(float) + two.network.theta) / 2
    np.testing.assert_allclose(average_models([one, two]).network.theta, mean, rtol=1e-6)
    with pytest.raises(DataError, match="cannot be averaged"):
        average_models([one, student])


def test_encoding(table: Table) -> None:
    encoder = fit_encoder(table, ["a", "b", "colour"])
    rows = encoder.encode(table, np.float64).numbers
    b = table.numbers("b")
    np.testing.assert_allclose(rows[:, 0].mean(), 0, atol=1e-12)
    np.testing.assert_allclose(rows[:, 0].std(), 1)
    assert (rows[np.isnan(b), 1] == 0).all()
    assert (rows[:, 2] == np.isnan(b)).all()
    assert encoder.features[2].categories == ("blue", "green", "red")
    assert (rows[:, 3:].sum(axis=1) == 1).all()
    strange = table.with_column("colour", ["mauve"] * ROWS)
    assert (encoder.encode(strange).numbers[:, 3:] == 0).all(), "a category that training never saw"
    embedded = fit_encoder(table, ["colour"], how="embedding", dim=2)
    assert embedded.encode(strange).codes.max() == 0
    assert embedded.encode(table).codes.min() == 1
    with pytest.raises(UsageError, match="--categories"):
        fit_encoder(table, ["a"], how="ordinal")
    with pytest.raises(DataError, match="missing column 'b'"):
        encoder.encode(Table(table.frame.drop("b"), "t.csv"))


def test_model_files(table: Table, tmp_path: Path) -> None:
    model, _ = train_net(
        table, CLASSES, replace(SMALL, layers=(8, "batch-norm", "relu"), categories="embedding")
    )
    path = tmp_path / "m.net"
    model.save(path)
    loaded = load_net(path)
    assert (loaded.predict(table) == model.predict(table)).all()
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    data = path.read_bytes()
    for size in (0, 7, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "cut").write_bytes(data[:size])
        with pytest.raises(MlkitError):
            load_net(tmp_path / "cut")


@settings(max_examples=60, deadline=None)
@given(place=st.integers(8, 3000), byte=st.integers(0, 255))
def test_damaged_models_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "whole.net"
    if not path.exists():
        (folder / "d.csv").write_text("a,y\n" + "".join(f"{k},{k % 2}\n" for k in range(20)))
        train_net(read_table(folder / "d.csv"), CLASSES, replace(SMALL, epochs=1))[0].save(path)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = byte
    (folder / "damaged.net").write_bytes(data)
    try:
        load_net(folder / "damaged.net")
    except MlkitError:
        pass


def test_labelled_text(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    lines = [
        f"__label__{'hot' if k % 2 else 'cold'} the {'sun' if k % 2 else 'ice'} word{k % 7}"
        for k in range(80)
    ]
    path.write_text("\n".join([*lines, "no label here", "__label__hot __label__cold two labels"]) + "\n")
    assert is_labelled_text(path)
    table = read_text(path)
    assert table.rows == 81
    assert table.values("text")[-1] == "two labels"
    assert table.values("label")[-1] == "hot"
    made = NetSettings(layers=(), lr=0.1, batch=16, epochs=20, embedding_dim=6)
    model, _ = train_net(table, Columns("label", task="classification"), made, text="text")
    assert model.reads_text
    assert loss_of(model, table) < 0.2
    first = next(prediction_rows(model, [table], proba=True)).decode().splitlines()
    assert first[0] == "prediction,p_cold,p_hot"
    assert first[1].startswith("cold,0.9")
    (tmp_path / "none.txt").write_text("a b\n")
    with pytest.raises(DataError, match="no line has a __label__"):
        read_text(tmp_path / "none.txt")


def test_settings_are_checked() -> None:
    for change in (
        {"lr": -1.0},
        {"loss": "squard"},
        {"epochs": 0},
        {"precision": "float16"},
        {"average": 2, "early_stop": 2},
    ):
        with pytest.raises(UsageError):
            NetSettings(**change)


def test_weights_that_are_no_numbers_are_neither_saved_nor_returned(table: Table, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    bad: list[int] = []

    def spoil(report: Any) -> None:
        if report.done == 5:  # the step's loss was a number, what it made is not
            trainer.network.theta[0] = np.nan
            bad.append(5)

    trainer = prepare(table, CLASSES, SMALL).trainer
    with pytest.raises(MlkitError, match=r"became no numbers at step 5 \(epoch 1\), rate 0.02"):
        trainer.run(checkpoints=Checkpoints(path, 0, StopSignals()), progress=spoil)
    assert bad
    kept = prepare(table, CLASSES, SMALL).trainer
    kept.restore(*load_checkpoint(path, "net train", {}, kept.schema()))
    assert kept.steps == 4
    assert np.isfinite(kept.network.theta).all(), "the last good checkpoint is kept"
    last = prepare(table, CLASSES, replace(SMALL, epochs=1)).trainer
    with pytest.raises(MlkitError, match="became no numbers"):
        last.run(progress=lambda report: last.network.theta.fill(np.inf) if report.done == 8 else None)
    held = prepare(table, CLASSES, SMALL, valid=table).trainer
    held.loss_of = lambda data: float("nan")  # type: ignore[method-assign]
    with pytest.raises(MlkitError, match=r"held-out loss became nan at step 8 \(epoch 1\)"):
        held.run()


def test_a_continued_model_may_have_other_layers(table: Table) -> None:
    before, _ = train_net(table, CLASSES, replace(SMALL, layers=(8, "relu")))
    same, _ = train_net(table, CLASSES, replace(SMALL, layers=None, epochs=1), before=before)
    assert same.description == (8, "relu")
    said: list[str] = []
    deeper = replace(
        SMALL, layers=(8, "relu", {"dense": {"name": "new", "size": 5}}), freeze=("dense1",), epochs=1
    )
    made, _ = train_net(table, CLASSES, deeper, before=before, remark=said.append)
    weights = made.network.named()
    assert (weights["dense1.weight"] == before.network.named()["dense1.weight"]).all()
    assert weights["new.weight"].shape == (8, 5)
    assert said == ["begun anew, because they do not fit: new, output"]
    assert train_net(table, CLASSES, NetSettings(epochs=1))[0].description == (100, "relu")


def test_names_that_are_not_there_get_a_suggestion(table: Table) -> None:
    makers: dict[str, Any] = {
        "did you mean 'nesterov'": lambda: OptimiserSettings("nestorov"),
        "did you mean 'cosine'": lambda: Schedule("cosin"),
        "did you mean 'huber'": lambda: NetSettings(loss="hubber"),
        "did you mean 'float64'": lambda: NetSettings(precision="float46"),
        "did you mean 'glorot-normal'": lambda: prepare(table, CLASSES, replace(SMALL, init="glorot_normal")),
        "did you mean 'embedding'": lambda: prepare(table, CLASSES, replace(SMALL, categories="embeding")),
        "did you mean 'dropout'": lambda: prepare(table, CLASSES, replace(SMALL, layers=({"drop-out": 0.1},))),
        "did you mean 'part'": lambda: prepare(table, CLASSES, replace(SMALL, layers=({"dropout": {"prt": 1}},))),
        "did you mean 'dense1'": lambda: prepare(table, CLASSES, replace(SMALL, freeze=("dens1",))),
    }  # fmt: skip
    for hint, make in makers.items():
        with pytest.raises(UsageError) as found:
            make()
        assert hint in str(found.value.hint)


def test_several_labels_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text(
        "__label__a __label__b one\n__label__a two\nx __label__b __label__a __label__c three\nnone\n" * 2
    )
    said: list[str] = []
    table = read_text(path, remark=said.append)
    assert table.values("label") == ["a", "a", "b"] * 2
    assert table.values("text") == ["one", "two", "x three"] * 2
    assert said == ["4 lines have several labels: the first of each counts"]
    said.clear()
    assert sum(block.rows for block in text_blocks(path, block=3, remark=said.append)) == 8
    assert len(said) == 1, "once, not by block"


def test_a_rate_is_found_on_a_fresh_network_of_the_same_rows(table: Table) -> None:
    seen: list[list[float]] = []

    def find(sweep: Sweep) -> float:
        for repeat in (0, 0, 1):
            seen.append([loss for _, loss in sweep.run([0.01] * 12, repeat)])
        return 0.02

    found, history = train_net(table, CLASSES, replace(SMALL, lr=None), find_rate=find)
    given, _ = train_net(table, CLASSES, SMALL)
    assert found.network.theta.tobytes() == given.network.theta.tobytes(), "the test leaves no trace"
    assert found.settings["lr"] == 0.02
    assert seen[0] == seen[1] != seen[2]
    assert history.rates == [0.02] * SMALL.epochs


def test_a_column_that_changed_is_named(table: Table) -> None:
    model, _ = train_net(table, columns_without("z"), replace(SMALL, epochs=1))
    said: list[str] = []
    evaluate_blocks(
        model,
        [table.with_column("colour", ["mauve"] * (ROWS // 3) + ["red"] * (ROWS - ROWS // 3))],
        remark=said.append,
    )
    assert said == [], "a few strange values are nothing strange"
    changed = table.with_column("colour", ["mauve"] * ROWS)
    evaluate_blocks(model, [changed, changed], remark=said.append)
    assert list(prediction_rows(model, [changed, table], remark=said.append))
    assert said == ["column 'colour' has no value that was there in training: has it changed?"]
