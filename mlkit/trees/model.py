"""A trained ensemble of trees: columns, classes, trees; prediction from tables; the model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import ModelError
from mlkit.formats.model_file import load_model, save_model
from mlkit.formats.schema import Array, Schema, list_of, one_of, reading, real, record, text
from mlkit.formats.streams import PathLike
from mlkit.formats.table_files import Table
from mlkit.tables.calibration import Calibration
from mlkit.tables.links import softmax
from mlkit.trees.adaboost import weighted_median
from mlkit.trees.binning import Bins, Encoder
from mlkit.trees.ensemble import Trees
from mlkit.trees.losses import Loss, make_loss

Reals = NDArray[np.float64]
Tensors = dict[str, NDArray[Any]]
HEADER = Schema(
    {
        "start": Array("float64", ("outputs",)), "weights": Array("float64", ("weights",)),
        "edges": Array("float64", ("edges",)), "edge_counts": Array("uint16", ("columns",), high=256),
    },
    {
        "algorithm": one_of("gradient", "adaboost", "bag"), "target": text, "classes": list_of(text), "loss": text,
        "quantile": real(0, 1), "features": list_of(record), "settings": record, "metrics": record,
    },
)  # fmt: skip
FORMAT = 2  # 1: features and flags of nodes stood apart, counts had one width


@dataclass(frozen=True)
class TreeModel:
    """Trees and what is needed to use them.

    algorithm: "gradient" (start + sums of leaves through the loss), "adaboost" (weighted votes or weighted median)
    or "bag" (means). `weights` are AdaBoost's.
    """

    kind: str
    algorithm: str
    target: str
    classes: tuple[str, ...]
    encoder: Encoder
    trees: Trees
    loss: str = ""
    quantile: float = 0.5
    start: Reals = field(default_factory=lambda: np.zeros(1))
    weights: Reals = field(default_factory=lambda: np.zeros(0))
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None

    @property
    def names(self) -> list[str]:
        """Return the columns that a table must have."""
        return self.encoder.names

    @property
    def outputs(self) -> int:
        """Return how many sums the trees make."""
        return len(self.classes) if len(self.classes) > 2 else 1

    @property
    def rounds(self) -> int:
        """Return the number of rounds, each of which made one tree per output (gradient) or one tree."""
        return len(self.trees) // (self.outputs if self.algorithm == "gradient" else 1)

    def objective(self) -> Loss:
        """Return the loss of gradient boosting."""
        return make_loss(self.loss, len(self.classes), self.quantile)

    def predict(self, table: Table, threads: int = 1) -> Reals:
        """Return probabilities float64 [rows, classes], or values float64 [rows].

        Columns are matched by name; others are ignored, missing ones raise `DataError`.
        """
        return self.predict_bins(self.encoder.encode(table, threads), threads)

    def predict_bins(self, bins: Bins, threads: int = 1) -> Reals:
        """Predict from binned rows."""
        raw = self.raw_bins(bins, threads)
        predictions = self._from_raw(raw)
        return predictions if self.calibration is None else self.calibration.apply(predictions)

    def raw(self, table: Table, threads: int = 1) -> Reals:
        """Return scores float64 [rows, outputs] before the loss's link: log odds, logarithms, votes."""
        return self.raw_bins(self.encoder.encode(table, threads), threads)

    def raw_bins(self, bins: Bins, threads: int = 1) -> Reals:
        """Return scores float64 [rows, outputs] of binned rows."""
        if self.algorithm == "adaboost" and not self.classes:
            each = [self.trees.part(t, t + 1).sums(bins, 1, threads)[:, 0] for t in range(len(self.trees))]
            return weighted_median(np.stack(each, axis=1), self.weights)[:, None]
        sums = self.trees.sums(bins, self.outputs, threads)
        if self.algorithm == "gradient":
            return sums + self.start
        return sums / (len(self.trees) if self.algorithm == "bag" else self.weights.sum())

    def _from_raw(self, raw: Reals) -> Reals:
        if self.algorithm == "gradient":
            return self.objective().predict(np.ascontiguousarray(raw.T))
        if not self.classes:
            return raw[:, 0]
        if self.algorithm == "bag":
            return np.hstack([1 - raw, raw]) if len(self.classes) == 2 else raw
        if len(self.classes) == 2:  # SAMME's decision to probabilities, as scikit-learn does it
            return softmax(np.stack([-raw[:, 0], raw[:, 0]])).T
        others = len(self.classes) - 1
        decision = raw - (1 - raw) / others
        return np.ascontiguousarray(softmax(decision.T / others).T)

    def calibrated(self, calibration: Calibration | None) -> TreeModel:
        """Return the model with its probabilities mapped by a calibration."""
        return replace(self, calibration=calibration)

    # files

    def to_parts(self) -> tuple[dict[str, Any], Tensors]:
        """Return the header and arrays of the model file."""
        header: dict[str, Any] = {
            "algorithm": self.algorithm, "target": self.target, "classes": list(self.classes), "loss": self.loss,
            "quantile": self.quantile, "features": self.encoder.to_json(), "settings": dict(self.settings),
            "metrics": dict(self.metrics),
        }  # fmt: skip
        tensors = self.trees.to_tensors()
        tensors["edges"] = np.concatenate(
            [np.empty(0), *(feature.edges for feature in self.encoder.features)]
        )
        tensors["edge_counts"] = np.array([len(f.edges) for f in self.encoder.features], np.uint16)
        tensors["start"] = self.start
        tensors["weights"] = self.weights
        if self.calibration is not None:
            header["calibration"] = self.calibration.method
            tensors |= self.calibration.to_tensors()
        return header, tensors

    @staticmethod
    def from_parts(kind: str, header: Mapping[str, Any], tensors: Tensors, path: Any = None) -> TreeModel:
        """Return the model that a header and arrays describe; raises `ModelError` when they do not fit."""
        HEADER.check(header, tensors, path)
        with reading(path):
            encoder = Encoder.from_json(header["features"], tensors["edges"], tensors["edge_counts"])
            calibration = None
            if "calibration" in header:
                calibration = Calibration.from_tensors(header["calibration"], tensors)
            model = TreeModel(
                kind, header["algorithm"], header["target"], tuple(header["classes"]), encoder,
                Trees.from_tensors(tensors, path), header["loss"], float(header["quantile"]),
                np.array(tensors["start"]), np.array(tensors["weights"]), header["settings"], header["metrics"],
                calibration,
            )  # fmt: skip
        trees = model.trees
        trees.check(len(encoder.features), model.outputs, path)
        if model.algorithm not in ("gradient", "adaboost", "bag"):
            raise ModelError(f"unknown algorithm {model.algorithm!r}", path=path)
        if model.algorithm == "gradient" and len(model.start) != model.outputs:
            raise ModelError("damaged model (outputs)", path=path)
        if (trees.votes is not None) != (model.algorithm != "gradient" and model.outputs > 1):
            raise ModelError("damaged model (votes)", path=path)
        if model.algorithm == "adaboost" and len(model.weights) != len(trees):
            raise ModelError("damaged model (weights)", path=path)
        if not len(trees) or (model.algorithm == "gradient" and len(trees) % model.outputs):
            raise ModelError("damaged model (trees)", path=path)
        if model.algorithm == "gradient":
            with reading(path):
                model.objective()
        return model

    def save(self, path: PathLike) -> None:
        """Write the model: safetensors with a JSON header."""
        header, tensors = self.to_parts()
        save_model(path, self.kind, header, tensors, format_version=FORMAT)


def load_trees(path: PathLike, kind: str | tuple[str, ...] = ("bag", "boost")) -> TreeModel:
    """Read a model of trees. Raises `ModelError` for anything else."""
    header, tensors = load_model(path, kind, format_version=FORMAT)
    if header.get("base", "tree") != "tree":
        raise ModelError(f"a bag of {header['base']} models has no trees", path=path)
    return TreeModel.from_parts(header["_kind"], header, tensors, path)
