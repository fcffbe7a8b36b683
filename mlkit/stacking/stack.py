"""Stacked generalisation (Wolpert 1992) of the models of `mlkit.trees`.

Every member predicts each row by a model that has not seen it (k folds); a logistic or ridge regression on those
predictions is the final model. For later predictions the members are trained again, on all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.formats.model_file import load_model, save_model
from mlkit.formats.schema import Array, Schema, list_of, reading, record, text
from mlkit.formats.streams import PathLike
from mlkit.formats.table_files import Table
from mlkit.linear.model import Design, LinearModel, fit_weights
from mlkit.linear.train import train_linear
from mlkit.progress import Progress, Report, silent
from mlkit.tables.columns import (
    Columns,  # fmt: skip
    read_parts,
)
from mlkit.tables.target import even_weights, settle, words_among_numbers
from mlkit.tables.validation import fold_places
from mlkit.trees import (
    AdaBoostSettings,
    ForestSettings,
    GradientSettings,
    TreeModel,
    train_adaboost,
    train_bag,
    train_gradient,
)
from mlkit.trees.model import FORMAT

Reals = NDArray[np.float64]
Member = TreeModel | LinearModel
HEADER = Schema(
    {"final": Array("float64", ("inputs", "outputs"))},
    {"target": text, "classes": list_of(text), "members": list_of(record, 1), "settings": record},
)
MEMBERS = ("bag", "forest", "extra", "boost", "adaboost", "logistic", "ridge")


@dataclass(frozen=True)
class StackSettings:
    """Settings of a stack: its members by name, folds, rounds of the members that have any, the final penalty."""

    models: tuple[str, ...] = ("bag", "boost", "logistic")
    folds: int = 5
    rounds: int = 100
    l2: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        for name in self.models:
            if name not in MEMBERS:
                raise UsageError(f"a member is one of {', '.join(MEMBERS)}, not {name!r}")
        if not self.models:
            raise UsageError("a stack needs at least one member")


@dataclass(frozen=True)
class StackModel:
    """Members, and the weights of the final model on their predictions: float64 [inputs + 1, outputs]."""

    target: str
    classes: tuple[str, ...]
    members: tuple[Member, ...]
    final: Reals
    settings: Mapping[str, Any]

    @property
    def names(self) -> list[str]:
        """Return the columns that a table must have."""
        return list(dict.fromkeys(name for member in self.members for name in member.names))

    def predict(self, table: Table, threads: int = 1) -> Reals:
        """Return probabilities float64 [rows, classes], or values float64 [rows]."""
        table.require(self.names)
        inputs = [member_inputs(member, table, self.classes, threads) for member in self.members]
        return self._final_model().predict_matrix(with_intercept(inputs))

    def _final_model(self) -> LinearModel:
        return LinearModel(self.target, self.classes, Design((), ()), self.final[None], "stack")

    def save(self, path: PathLike) -> None:
        """Write the model: one safetensors file with all members."""
        header: dict[str, Any] = {
            "target": self.target, "classes": list(self.classes), "settings": dict(self.settings), "members": [],
        }  # fmt: skip
        tensors: dict[str, NDArray[Any]] = {"final": self.final}
        for number, member in enumerate(self.members):
            part, arrays = member.to_parts()
            header["members"].append({"kind": member.kind, **part})
            tensors |= {f"{number}.{name}": array for name, array in arrays.items()}
        save_model(path, "stack", header, tensors, format_version=FORMAT)


def load_stack(path: PathLike) -> StackModel:
    """Read a stack. Raises `ModelError` for anything else."""
    header, tensors = load_model(path, "stack", format_version=FORMAT)
    members: list[Member] = []
    HEADER.check(header, tensors, path)
    with reading(path):
        for number, part in enumerate(header["members"]):
            prefix = f"{number}."
            arrays = {
                name[len(prefix) :]: array for name, array in tensors.items() if name.startswith(prefix)
            }
            made = LinearModel if part.get("base") == "linear" else TreeModel
            members.append(made.from_parts(part["kind"], part, arrays, path))
        classes = tuple(header["classes"])
        final = np.array(tensors["final"], np.float64)
        per_member = 1 if len(classes) < 3 else len(classes)
        if final.ndim != 2 or final.shape[0] != per_member * len(members) + 1:
            raise ValueError("final")
        return StackModel(header["target"], classes, tuple(members), final, header["settings"])


def member_inputs(member: Member, table: Table, classes: tuple[str, ...], threads: int) -> Reals:
    """Return what a member contributes: probabilities (of two classes the second's), or its value; [rows, k]."""
    predictions = member.predict(table, threads)
    if not classes:
        return predictions[:, None]
    aligned = np.zeros((len(predictions), len(classes)))
    for column, name in enumerate(member.classes):  # a fold may lack a rare class
        aligned[:, classes.index(name)] = predictions[:, column]
    return aligned[:, 1:] if len(classes) == 2 else aligned


def with_intercept(inputs: list[Reals]) -> Reals:
    """Return the members' inputs side by side with a last column of ones."""
    return np.hstack([*inputs, np.ones((len(inputs[0]), 1))])


def train_stack(
    table: Table,
    columns: Columns,
    settings: StackSettings,
    *,
    threads: int = 1,
    progress: Progress = silent,
    remark: Callable[[str], None] = lambda text: None,
) -> StackModel:
    """Train the members on all rows, and the final model on their out-of-fold predictions."""
    target, weights, names = read_parts(table, columns)
    settle(table, target, names)
    for said in words_among_numbers(table, names, columns.categorical):
        remark(said)
    # folds must not guess the task again
    fixed = replace(columns, target=target.name, task=target.task)
    places = fold_places(target.values, settings.folds, settings.seed, stratified=bool(target.classes))
    outputs = 1 if len(target.classes) < 3 else len(target.classes)
    inputs = np.empty((table.rows, outputs * len(settings.models)))
    total = len(settings.models) * (settings.folds + 1)
    members: list[Member] = []
    done = 0
    for number, name in enumerate(settings.models):
        fit = member_trainer(name, fixed, settings, bool(target.classes), threads)
        for fold in range(settings.folds):
            model = fit(table.take(places != fold))
            part = member_inputs(model, table.take(places == fold), target.classes, threads)
            inputs[places == fold, number * outputs : (number + 1) * outputs] = part
            done += 1
            progress(Report("stacking", done, total, "models"))
        members.append(fit(table))
        done += 1
        progress(Report("stacking", done, total, "models"))
    final = fit_weights(
        with_intercept([inputs]), target.values, len(target.classes), even_weights(weights), settings.l2
    )
    described = {
        "models": list(settings.models),
        "folds": settings.folds,
        "rounds": settings.rounds,
        "l2": settings.l2,
    }
    return StackModel(
        target.name,
        target.classes,
        tuple(members),
        final,
        described | {"seed": settings.seed, **table.own_marks},
    )


def member_trainer(
    name: str, columns: Columns, settings: StackSettings, classes: bool, threads: int
) -> Callable[[Table], Member]:
    """Return the function that trains a member by its name."""
    rounds, seed = settings.rounds, settings.seed
    if name == "boost":
        return lambda table: train_gradient(
            table, columns, GradientSettings(rounds=rounds, seed=seed), threads=threads
        )
    if name == "adaboost":
        depth = 1 if classes else 3
        ada = AdaBoostSettings(rounds=rounds, max_depth=depth, seed=seed)
        return lambda table: train_adaboost(table, columns, ada, threads=threads)
    if name in ("logistic", "ridge"):
        return lambda table: train_linear(table, columns)
    few = "sqrt" if classes else "third"
    forest = ForestSettings(
        rounds=rounds, features="all" if name == "bag" else few, extra=name == "extra", seed=seed
    )
    return lambda table: train_bag(table, columns, forest, threads=threads)
