"""A network: layers in a row over one flat vector of parameters, built from a plain description."""

from __future__ import annotations

import fnmatch
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mlkit.errors import UsageError, unknown
from mlkit.nets.activations import ACTIVATIONS
from mlkit.nets.base import Array, Layer, Parameter, Random
from mlkit.nets.initialisers import initialiser
from mlkit.nets.layers import BatchNorm, Dense, Dropout, InputLayer, LayerNorm, Residual, Rows
from mlkit.nets.optimisers import ParameterGroup

Description = Sequence[Any]  # such as [100, "relu", {"dropout": 0.2}]
KINDS: dict[str, Any] = {
    "dense": Dense, "batch-norm": BatchNorm, "layer-norm": LayerNorm, "dropout": Dropout, "residual": Residual,
    **ACTIVATIONS,
}  # fmt: skip
_MAIN = {"dense": "size", "dropout": "part", "leaky": "slope", "elu": "alpha", "residual": "layers"}


def parse_layers(text: str | Description) -> list[Any]:
    """Return the description that a YAML list (or ``100, relu, dropout: 0.2`` without its brackets) stands for."""
    if not isinstance(text, str):
        return list(text)
    import yaml

    stripped = text.strip()
    try:
        found = yaml.safe_load(stripped if stripped.startswith("[") else f"[{stripped}]")
    except yaml.YAMLError as error:
        raise UsageError(f"--layers {text!r}: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(found, list):
        raise UsageError(f"--layers {text!r} is no list")
    return found


def build_layers(description: Description, initialisation: str, counts: dict[str, int]) -> list[Layer]:
    """Make layers from their description; `counts` numbers them by kind. Raises `UsageError` with a suggestion."""
    layers = []
    for entry in description:
        kind, settings = _entry(entry)
        if kind not in KINDS:
            raise unknown(f"no layer is called {kind!r}", kind, KINDS)
        counts[kind] = counts.get(kind, 0) + 1
        name = str(settings.pop("name", f"{kind}{counts[kind]}"))
        allowed = [p for p in inspect.signature(KINDS[kind]).parameters if p not in ("name", "initialise")]
        allowed += ["init"] if kind == "dense" else []
        for key in settings:
            if key not in allowed:
                raise unknown(f"layer {name!r} has no setting {key!r}", key, allowed or ["none"])
        layers.append(_make(kind, name, settings, initialisation, counts))
    return layers


def _make(
    kind: str, name: str, settings: dict[str, Any], initialisation: str, counts: dict[str, int]
) -> Layer:
    try:
        if kind == "dense":
            size = settings.pop("size")
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise UsageError(f"layer {name!r}: the size is a whole number from 1 on, not {size!r}")
            return Dense(name, size, initialiser(settings.pop("init", initialisation)), **settings)
        if kind == "residual":
            return Residual(name, build_layers(settings["layers"], initialisation, counts))
        for key, value in settings.items():
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                raise UsageError(f"layer {name!r}: {key} is a number, not {value!r}")
        layer: Layer = KINDS[kind](name, **settings)
        return layer
    except KeyError as error:
        raise UsageError(f"layer {name!r} needs {error.args[0]!r}") from None


def _entry(entry: Any) -> tuple[str, dict[str, Any]]:
    """Return (kind, settings) of ``relu``, ``100``, ``{dropout: 0.2}`` or ``{dense: {size: 100, tied: dense1}}``."""
    if isinstance(entry, int) and not isinstance(entry, bool):
        return "dense", {"size": entry}
    if isinstance(entry, str):
        return entry.replace("_", "-"), {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        ((kind, value),) = entry.items()
        kind = str(kind).replace("_", "-")
        if isinstance(value, Mapping):
            return kind, {str(key): part for key, part in value.items()}
        if value is None:
            return kind, {}
        if kind in _MAIN:
            return kind, {_MAIN[kind]: value}
        if kind not in KINDS:
            raise unknown(f"no layer is called {kind!r}", kind, KINDS)
    raise UsageError(
        f"a layer is written 'relu', '100', 'dropout: 0.2' or 'dense: {{size: 100}}', not {entry!r}"
    )


class Network:
    """Layers from the input_layer to the outputs; `theta` holds all parameters, `buffers` the running statistics."""

    def __init__(
        self, input_layer: InputLayer, layers: Sequence[Layer], outputs: int, dtype: Any = np.float32
    ) -> None:
        self.input_layer, self.layers, self.outputs, self.dtype = input_layer, list(layers), outputs, dtype
        size = input_layer.declare()
        if size == 0:
            raise UsageError("the network has no input")
        for layer in self.layers:
            size = layer.declare(size)
        if size != outputs:
            raise UsageError(f"layer {self.layers[-1].name!r} has {size} outputs, {outputs} are needed")
        self._allocate()
        self._tie()

    def __iter__(self) -> Iterator[Layer]:
        """Walk over all layers, those inside blocks too."""
        waiting: list[Layer] = [self.input_layer, *self.layers]
        while waiting:
            layer = waiting.pop(0)
            yield layer
            waiting = layer.inner() + waiting

    def _parameters(self, learnt: bool) -> Iterator[tuple[Layer, Parameter, int, int]]:
        start = 0
        for layer in self:
            for parameter in layer.parameters:
                if parameter.learnt == learnt:
                    stop = start + int(np.prod(parameter.shape))
                    yield layer, parameter, start, stop
                    start = stop

    def _allocate(self) -> None:
        names = [layer.name for layer in self]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"two layers are called {name!r}")
        ends = [max((stop for *_, stop in self._parameters(learnt)), default=0) for learnt in (True, False)]
        self.theta = np.zeros(ends[0], self.dtype)
        self.gradient = np.zeros(ends[0], self.dtype)
        self.buffers = np.zeros(ends[1], self.dtype)
        for learnt, home in ((True, self.theta), (False, self.buffers)):
            for layer, parameter, start, stop in self._parameters(learnt):
                layer.values[parameter.name] = home[start:stop].reshape(parameter.shape)
                if learnt:
                    layer.gradients[parameter.name] = self.gradient[start:stop].reshape(parameter.shape)

    def _tie(self) -> None:
        by_name = {layer.name: layer for layer in self}
        for layer in self:
            if isinstance(layer, Dense) and layer.tied is not None:
                other = by_name.get(layer.tied)
                if not isinstance(other, Dense) or other.tied is not None:
                    raise UsageError(f"layer {layer.name!r}: {layer.tied!r} is no dense layer with a weight")
                layer.tie(other)

    def initialise(self, seed: int) -> None:
        """Draw the parameters; every array has its own generator, so that changing one layer leaves the others."""
        for learnt in (True, False):
            for number, (layer, parameter, _, _) in enumerate(self._parameters(learnt)):
                rng = np.random.default_rng((seed, 3, number))
                layer.values[parameter.name][...] = parameter.initialise(rng, parameter.shape)

    def forward(self, x: Array, train: bool = False, random: Random | None = None) -> Array:
        """Return the outputs of rows that came through the input_layer."""
        chance = random or (lambda: np.random.default_rng(0))
        for layer in self.layers:
            x = layer.forward(x, train, chance)
        return x

    def backward(self, d: Array) -> Array:
        """Fill `gradient` from the loss's derivative by the outputs; return that by the input of the first layer."""
        wanted = self.input_layer.learns
        for place in range(len(self.layers) - 1, -1, -1):
            d = self.layers[place].backward(d, wanted or place > 0)
        return d

    def outputs_of(self, rows: Rows, block: int = 4096) -> Array:
        """Return the outputs of rows in prediction, a block at a time."""
        parts = [
            self.forward(self.input_layer.embed(rows.take(np.arange(start, min(start + block, len(rows))))))
            for start in range(0, len(rows), block)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, self.outputs), self.dtype)

    def groups(self, rates: Mapping[str, float], frozen: Sequence[str]) -> list[ParameterGroup]:
        """Freeze layers and return what is learnt at which rate.

        `rates` and `frozen` name layers, or patterns such as ``dense*``; the pattern ``*`` means every layer but the
        output. Neighbours with equal treatment are joined.
        """
        known = [layer.name for layer in self if any(parameter.learnt for parameter in layer.parameters)]
        for pattern in (*rates, *frozen):
            if not any(_matches(name, pattern) for name in known):
                raise unknown(f"no layer that learns is called {pattern!r}", pattern, known)
        for layer in self:
            layer.frozen = any(_matches(layer.name, pattern) for pattern in frozen)
        groups: list[ParameterGroup] = []
        for layer, parameter, start, stop in self._parameters(True):
            if layer.frozen:
                continue
            found = [factor for pattern, factor in rates.items() if _matches(layer.name, pattern)]
            factor = found[-1] if found else 1.0
            last = groups[-1] if groups else None
            if last and (last.stop, last.factor, last.decays) == (start, factor, parameter.decays):
                groups[-1] = ParameterGroup(last.start, stop, factor, parameter.decays)
            else:
                groups.append(ParameterGroup(start, stop, factor, parameter.decays))
        if not groups:
            raise UsageError("every layer is frozen: there is nothing to learn")
        return groups

    def named(self) -> dict[str, Array]:
        """Return every array under ``layer.name``: what a model file holds."""
        return {
            f"{layer.name}.{parameter.name}": layer.values[parameter.name]
            for learnt in (True, False)
            for layer, parameter, _, _ in self._parameters(learnt)
        }

    def adopt(self, arrays: Mapping[str, Array]) -> list[str]:
        """Copy the arrays that fit by name and shape; return the names of those that were not there."""
        missing = []
        for name, value in self.named().items():
            if name in arrays and arrays[name].shape == value.shape:
                value[...] = arrays[name]
            else:
                missing.append(name)
        return missing


def _matches(name: str, pattern: str) -> bool:
    if pattern == "*":
        return name != "output"
    return fnmatch.fnmatchcase(name, pattern) or re.fullmatch(re.escape(pattern) + r"\d+", name) is not None
