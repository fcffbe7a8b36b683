"""A trained network: columns, classes, layers; prediction from tables; the model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import ModelError
from mlkit.formats.model_file import Tensors, load_model, save_model
from mlkit.formats.schema import Schema, list_of, one_of, reading, real, record, text
from mlkit.formats.streams import PathLike
from mlkit.formats.table_files import Table
from mlkit.nets.activations import softmax
from mlkit.nets.features import Encoder
from mlkit.nets.layers import Dense
from mlkit.nets.losses import two_logits
from mlkit.nets.network import Network, build_layers
from mlkit.threads import blas_threads

Reals = NDArray[np.float64]
KIND = "net"
HEADER = Schema(
    header={
        "target": text, "classes": list_of(text), "features": list_of(record),
        "layers": list_of(lambda layer: isinstance(layer, (int, str, dict))),
        "scale": list_of(real(), 2, 2), "settings": record, "metrics": record, "dtype": one_of("float32", "float64"),
    }
)  # fmt: skip


@dataclass(frozen=True)
class NetModel:
    """A network and what is needed to use it; `scale` turns outputs into values (regression: mean, deviation)."""

    target: str
    classes: tuple[str, ...]
    encoder: Encoder
    network: Network
    description: tuple[Any, ...]
    scale: tuple[float, float] = (0.0, 1.0)
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Return the columns that a table must have."""
        return self.encoder.names

    @property
    def reads_text(self) -> bool:
        """Say whether the model was trained on ``__label__`` text."""
        return self.names == ["text"] and self.target == "label"

    def outputs(self, table: Table) -> Reals:
        """Return the network's outputs float64 [rows, outputs]: logits, or values before they are scaled."""
        rows = self.encoder.encode(table, self.network.dtype)
        with blas_threads(1), np.errstate(over="ignore"):
            found = self.network.outputs_of(rows).astype(np.float64)
        return two_logits(found) if len(self.classes) == 2 else found

    def predict(self, table: Table, threads: int = 1) -> Reals:
        """Return probabilities float64 [rows, classes], or values float64 [rows].

        Columns are matched by name; others are ignored, missing ones raise `DataError`.
        """
        outputs = self.outputs(table)
        if self.classes:
            return softmax(outputs)
        return outputs[:, 0] * self.scale[1] + self.scale[0]

    def save(self, path: PathLike) -> None:
        """Write the model: safetensors with a JSON header."""
        header = {
            "target": self.target, "classes": list(self.classes), "features": self.encoder.to_json(),
            "layers": list(self.description), "scale": list(self.scale), "settings": dict(self.settings),
            "metrics": dict(self.metrics), "dtype": np.dtype(self.network.dtype).name,
        }  # fmt: skip
        save_model(path, KIND, header, self.network.named())


def make_network(
    encoder: Encoder, description: tuple[Any, ...] | list[Any], outputs: int, init: str, dtype: str
) -> Network:
    """Return the network of these layers, followed by a dense layer called ``output``."""
    layers = build_layers(description, init, {})
    layers += build_layers([{"dense": {"name": "output", "size": outputs}}], init, {})
    return Network(encoder.input_layer(), layers, outputs, np.float64 if dtype == "float64" else np.float32)


def load_net(path: PathLike) -> NetModel:
    """Read a model of `mlkit net`. Raises `ModelError` for anything else."""
    header, tensors = load_model(path, KIND)
    return from_parts(header, tensors, path)


def from_parts(header: Mapping[str, Any], tensors: Tensors, path: Any = None) -> NetModel:
    """Return the model that a header and arrays describe; raises `ModelError` when they do not fit."""
    HEADER.check(header, tensors, path)
    with reading(path):
        encoder = Encoder.from_json(header["features"])
        classes = tuple(header["classes"])
        description = tuple(header["layers"])
        network = make_network(encoder, description, output_count(classes), "glorot-uniform", header["dtype"])
        mean, deviation = (float(x) for x in header["scale"])
        model = NetModel(
            str(header["target"]), classes, encoder, network, description, (mean, deviation),
            header["settings"], header["metrics"],
        )  # fmt: skip
    missing = network.adopt(tensors)
    if missing:
        raise ModelError(f"damaged model (array {missing[0]!r} does not fit its layer)", path=path)
    return model


def output_count(classes: Sequence[str]) -> int:
    """Return how many outputs a network has: one for a number or two classes, else one per class."""
    return len(classes) if len(classes) > 2 else 1


def take_weights(network: Network, before: NetModel, classes: Sequence[str]) -> list[str]:
    """Copy the weights of a model where name and shape agree; return the layers that begin anew.

    The output is one of them when the classes differ.
    """
    same = tuple(classes) == before.classes
    arrays = before.network.named()
    missing = network.adopt({name: a for name, a in arrays.items() if same or not name.startswith("output.")})
    tied = [layer.name for layer in network if isinstance(layer, Dense) and layer.tied]
    return sorted({name.rsplit(".", 1)[0] for name in missing} - set(tied))
