"""From a table to a network: the public functions behind `mlkit net train`, `cv` and `distill`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.checkpoint import Checkpoints, load_checkpoint
from mlkit.errors import DataError, UsageError
from mlkit.formats.table_files import Table
from mlkit.nets.features import Encoder, fit_encoder
from mlkit.nets.loop import COMMAND, Examples, History, Trainer
from mlkit.nets.losses import (
    CLASSIFICATION,
    REGRESSION,
    Absolute,
    CrossEntropy,
    Distillation,
    Huber,
    Loss,
    OneLogit,
    Squared,
)
from mlkit.nets.model import NetModel, make_network, output_count, take_weights
from mlkit.nets.network import Network
from mlkit.nets.settings import LAYERS, NetSettings
from mlkit.progress import Progress, silent
from mlkit.range_test import FindRate, Point, Sweep
from mlkit.tables.columns import Columns
from mlkit.tables.predictor import Predictor
from mlkit.tables.target import (  # fmt: skip
    Target,
    class_weighted,
    column_named,
    input_columns,
    mean_and_spread,
    read_target,
    read_weights,
    target_values,
    words_among_numbers,
)
from mlkit.tables.validation import hold_out

Reals = NDArray[np.float64]
Remark = Callable[[str], None]
RATES = (1e-6, 10.0)  # between which a range test looks


@dataclass(frozen=True)
class Teacher:
    """Whom a student learns from: a model with probabilities, a temperature, and the weight of the soft targets."""

    model: Predictor
    temperature: float = 4.0
    alpha: float = 0.7


@dataclass(frozen=True)
class Prepared:
    """A network before training, and the examples; `renewed` are the layers that a continued model does not give.

    fresh: makes another trainer on the same examples.
    """

    trainer: Trainer
    renewed: list[str]
    target: Target
    encoder: Encoder
    scale: tuple[float, float]
    description: tuple[Any, ...]
    fresh: Callable[[NetSettings], tuple[Trainer, list[str]]]

    def sweep(self, settings: NetSettings, rates: Sequence[float], repeat: int = 0) -> Iterator[Point]:
        """Yield (rate, loss) while training a fresh network, one batch per rate: a range test."""
        trainer, _ = self.fresh(replace(settings, seed=settings.seed + repeat))
        return trainer.sweep(rates)


def prepare(
    table: Table,
    columns: Columns,
    settings: NetSettings,
    *,
    text: str | None = None,
    valid: Table | None = None,
    valid_part: float = 0.1,
    before: NetModel | None = None,
    teacher: Teacher | None = None,
    remark: Remark = lambda text: None,
) -> Prepared:
    """Read the table and build the network; see `train_net`."""
    target = _target(table, columns, settings, teacher)
    weights = read_weights(table, columns.weight)
    names = input_columns(table, target.name, columns.weight, columns.ignore)
    held = None
    if settings.early_stop and valid is None:
        held = hold_out(target.values, valid_part, settings.seed, stratified=bool(target.classes))
    kept = table if held is None else table.take(~held)
    if before is not None:
        encoder = before.encoder
    else:
        for words in words_among_numbers(kept, names, {*columns.categorical, text or ""}):
            remark(words)
        encoder = fit_encoder(
            kept, names, categorical=columns.categorical, text=text, how=settings.categories,
            dim=settings.embedding_dim, min_count=settings.min_count,
        )  # fmt: skip
        for name in sorted(set(names) - set(encoder.names)):
            remark(f"column {name!r} is empty and left out")
    values = target.values if held is None else target.values[~held]
    mean, deviation = (0.0, 1.0) if target.classes else mean_and_spread(values)
    scale = mean, deviation or 1.0
    description = settings.layers if settings.layers is not None else LAYERS
    if settings.layers is None and before is not None:
        description = before.description
    dtype = np.dtype(settings.precision)

    def examples(part: Table, truth: Reals, own: Reals | None) -> Examples:
        rows = encoder.encode(part, dtype)
        if not target.classes:
            return Examples(rows, ((truth - scale[0]) / scale[1]).astype(dtype)[:, None], own)
        places = truth.astype(np.int64)
        if teacher is None:
            return Examples(rows, places, own)
        return Examples(rows, (places, teacher.model.predict(part)), own)

    if held is None:
        data = examples(table, target.values, weights)
        holder = None
        if valid is not None:
            holder = examples(
                valid, target_values(valid, target.name, target.classes), read_weights(valid, columns.weight)
            )
    else:
        of = [None if weights is None else weights[chosen] for chosen in (~held, held)]
        data = examples(kept, values, of[0])
        holder = examples(table.take(held), target.values[held], of[1])
    loss = _loss(target, settings, columns.class_weight, teacher)

    def fresh(own: NetSettings) -> tuple[Trainer, list[str]]:
        network = make_network(encoder, description, output_count(target.classes), own.init, own.precision)
        network.initialise(own.seed)
        renewed = [] if before is None else take_weights(network, before, target.classes)
        return Trainer(network, loss, own, data, holder), renewed

    return Prepared(*fresh(settings), target, encoder, scale, tuple(description), fresh)


def train_net(
    table: Table,
    columns: Columns,
    settings: NetSettings,
    *,
    text: str | None = None,
    valid: Table | None = None,
    valid_part: float = 0.1,
    before: NetModel | None = None,
    teacher: Teacher | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    find_rate: FindRate | None = None,
    progress: Progress = silent,
    remark: Remark = lambda text: None,
) -> tuple[NetModel, History]:
    """Train a network on a table and return it with its learning curve.

    text: a column of words, which enters as the mean of their vectors. valid: held-out rows (without them, early_stop
    holds `valid_part` of the rows out). before: a model whose columns, layers (unless the settings have some) and
    fitting weights are taken; its last layer is new when the classes differ. teacher: distillation. find_rate: chooses
    the learning rate (see `mlkit.range_test`). Raises `DataError`, `UsageError`, and `MlkitError` when the loss
    becomes no number.
    """
    ready = prepare(
        table, columns, settings, text=text, valid=valid, valid_part=valid_part, before=before, teacher=teacher,
        remark=remark,
    )  # fmt: skip
    if ready.renewed and before is not None:
        remark(f"begun anew, because they do not fit: {', '.join(ready.renewed)}")
    trainer = ready.trainer
    if find_rate is not None:
        settings = replace(settings, lr=find_rate(Sweep(partial(ready.sweep, settings), *RATES)))
        trainer, _ = ready.fresh(settings)
    identity = {**_plain(asdict(settings)), "rows": len(trainer.data), "input": _fingerprint(trainer)}
    if resume and checkpoints is not None and checkpoints.path is not None and checkpoints.path.exists():
        trainer.restore(*load_checkpoint(checkpoints.path, COMMAND, identity, trainer.schema()))
    history = trainer.run(checkpoints=checkpoints, identity=identity, progress=progress)
    metrics: dict[str, Any] = {"epochs": len(history.losses), "loss": history.losses[-1]}
    if history.valid_losses:
        best = history.best_epoch if settings.early_stop else len(history.losses)
        metrics |= {"best_epoch": history.best_epoch, "valid_loss": history.valid_losses[best - 1]}
    model = NetModel(
        ready.target.name, ready.target.classes, ready.encoder, trainer.network, ready.description, ready.scale,
        {**_plain(asdict(settings)), **table.own_marks}, metrics,
    )  # fmt: skip
    return model, history


def _target(table: Table, columns: Columns, settings: NetSettings, teacher: Teacher | None) -> Target:
    name = column_named(table, columns.target)
    if teacher is not None:
        classes = teacher.model.classes
        if not classes:
            raise UsageError("distillation needs a teacher with probabilities; this one predicts a number")
        return Target(name, tuple(classes), target_values(table, name, classes))
    task = columns.task
    if settings.loss is not None:
        task = "classification" if settings.loss in CLASSIFICATION else "regression"
    return read_target(table, name, task)


def _loss(target: Target, settings: NetSettings, class_weight: str | None, teacher: Teacher | None) -> Loss:
    if not target.classes:
        if class_weight is not None:
            class_weighted(target, None, class_weight)  # says that there are no classes
        losses = {"squared": Squared(), "absolute": Absolute(), "huber": Huber(settings.huber_delta)}
        return losses[settings.loss or REGRESSION[0]]
    factors = None
    if class_weight is not None:
        of_row = class_weighted(target, None, class_weight)
        assert of_row is not None
        factors = np.ones(len(target.classes))
        factors[target.values.astype(np.int64)] = of_row
    loss: Loss
    hard = CrossEntropy(settings.label_smoothing, factors)
    loss = hard if teacher is None else Distillation(teacher.temperature, teacher.alpha, hard)
    return OneLogit(loss) if len(target.classes) == 2 else loss


def average_models(models: list[NetModel]) -> NetModel:
    """Return the network of the mean weights of `models`, which must have the same layers and columns."""
    first = models[0]
    for other in models[1:]:
        if any(
            getattr(other, name) != getattr(first, name) for name in ("classes", "description", "encoder")
        ):
            raise DataError("models of other columns, classes or layers cannot be averaged")
    network: Network = first.network
    for name in ("theta", "buffers"):
        mean = np.mean([getattr(model.network, name).astype(np.float64) for model in models], axis=0)
        getattr(network, name)[:] = mean
    return first


def _fingerprint(trainer: Trainer) -> int:
    """Return a checksum of the inputs and the network's beginning."""
    rows = trainer.data.rows
    mark = zlib.crc32(np.ascontiguousarray(rows.numbers).view(np.uint8).reshape(-1).data)
    mark = zlib.crc32(np.ascontiguousarray(rows.codes).view(np.uint8).reshape(-1).data, mark)
    if rows.words is not None:
        mark = zlib.crc32(rows.words.view(np.uint8).data, mark)
    targets = trainer.data.targets
    for part in targets if isinstance(targets, tuple) else (targets,):
        mark = zlib.crc32(np.ascontiguousarray(part).view(np.uint8).reshape(-1).data, mark)
    return zlib.crc32(trainer.network.theta.view(np.uint8).data, mark)


def _plain(value: Any) -> Any:
    """Return settings as JSON holds them."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
