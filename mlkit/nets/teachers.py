"""Teachers of a student network: any model of mlkit with probabilities."""

from __future__ import annotations

from mlkit.errors import ModelError
from mlkit.formats.model import kind_of
from mlkit.formats.streams import PathLike
from mlkit.nets.model import load_net
from mlkit.trees.model import Predictor
from mlkit.trees.train import load_predictor


def load_teacher(path: PathLike) -> Predictor:
    """Read a model of net, boost or bag."""
    kind = kind_of(path)
    if kind == "net":
        return load_net(path)
    if kind in ("boost", "bag"):
        return load_predictor(path)
    raise ModelError("no model with probabilities (of net, boost or bag)", path=path)
