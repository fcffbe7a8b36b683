"""The training loop: batches, steps, held-out loss, early stopping, averaging, checkpoints.

The order of the rows depends on (seed, epoch) alone and the draws of a step (dropout, mixup) on (seed, step), and all
products run on one BLAS thread: the same bytes for any number of threads, and after resuming.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.checkpoint import Checkpoints
from mlkit.errors import MlkitError, ModelError, UsageError
from mlkit.formats.schema import Array as Declared
from mlkit.formats.schema import Schema, flag, like, list_of, real_text, whole
from mlkit.nets.base import Array
from mlkit.nets.layers import Rows
from mlkit.nets.losses import Loss, Targets
from mlkit.nets.network import Network
from mlkit.nets.optimisers import Optimiser, joined
from mlkit.nets.settings import NetSettings
from mlkit.progress import Progress, Report, silent

COMMAND = "net train"


@dataclass(frozen=True)
class Examples:
    """Rows with what is to be learnt; targets as the loss takes them."""

    rows: Rows
    targets: Targets
    weights: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass
class History:
    """Mean loss of every epoch, on the rows trained on (as they were met) and on those held out."""

    losses: list[float] = field(default_factory=list)
    valid_losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    best_epoch: int = 0
    stopped_early: bool = False


class Trainer:
    """One training. `run` does it all; `step` makes one step at a given rate (for a range test)."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        settings: NetSettings,
        data: Examples,
        valid: Examples | None = None,
    ) -> None:
        self.network, self.loss, self.settings, self.data, self.valid = network, loss, settings, data, valid
        whole = settings.batch == 0 or settings.rule.name == "gd"
        self.batch = len(data) if whole else min(settings.batch, len(data))
        self.per_epoch = -(-len(data) // self.batch)
        if len(data) % self.batch == 1 and self.per_epoch > 1:
            self.per_epoch -= 1  # a last batch of one row joins the one before
        self.optimiser = Optimiser(settings.rule, len(network.theta), network.dtype)
        self.groups = network.groups(settings.rates, settings.freeze)
        if not self.optimiser.l2 and not settings.rule.l1:
            self.groups = joined(self.groups)
        self.steps = 0
        self.rate = 0.0  # of the last step
        self.drops = self.waiting = 0
        self.history = History()
        self.best: tuple[Array, Array] | None = None
        self.sums: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self.averaged = 0
        self.running = 0.0  # sum of the losses of this epoch
        self._order: tuple[int, NDArray[np.int64]] | None = None
        if not len(data):
            raise UsageError("there are no rows to train on")

    def step(self, rate: float) -> float:
        """Train on the next batch (epochs follow one another) and return its loss before the step."""
        epoch, place = divmod(self.steps, self.per_epoch)
        rows = self._batch(epoch, place)
        generator: list[np.random.Generator] = []

        def random() -> np.random.Generator:
            if not generator:
                generator.append(np.random.default_rng((self.settings.seed, 13, self.steps)))
            return generator[0]

        value = self._gradient(rows, random)
        if math.isfinite(value):
            self.optimiser.step(self.network.theta, self.network.gradient, rate, self.groups)
        self.steps += 1
        return value

    def _batch(self, epoch: int, place: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng((self.settings.seed, 5, epoch))
            self._order = (epoch, rng.permutation(len(self.data)))
        stop = len(self.data) if place == self.per_epoch - 1 else (place + 1) * self.batch
        return self._order[1][place * self.batch : stop]

    def _gradient(self, rows: NDArray[np.int64], random: Any) -> float:
        network = self.network
        network.gradient.fill(0)
        targets, weights = take(self.data.targets, rows), take(self.data.weights, rows)
        x = network.input_layer.embed(self.data.rows.take(rows))
        if not self.settings.mixup:
            value, slope = self.loss(network.forward(x, True, random), targets, weights)
            self._back(slope)
            return value
        # mixup (Zhang et al. 2018) behind the input_layer, so that embedded categories mix too
        share = float(random().beta(self.settings.mixup, self.settings.mixup))
        partner = random().permutation(len(rows))
        outputs = network.forward((share * x + (1 - share) * x[partner]).astype(x.dtype), True, random)
        first, slope = self.loss(outputs, targets, weights)
        second, other = self.loss(outputs, take(targets, partner), take(weights, partner))
        d = network.backward((share * slope + (1 - share) * other).astype(x.dtype))
        if network.input_layer.learns:
            mixed = share * d
            np.add.at(mixed, partner, (1 - share) * d)
            network.input_layer.embed_backward(mixed.astype(x.dtype))
        return share * first + (1 - share) * second

    def _back(self, slope: Array) -> None:
        d = self.network.backward(slope)
        if self.network.input_layer.learns:
            self.network.input_layer.embed_backward(d)

    def sweep(self, rates: Iterable[float]) -> Iterator[tuple[float, float]]:
        """Yield (rate, loss) of one step per rate: a range test."""
        from mlkit.threads import blas_threads

        with blas_threads(1), np.errstate(all="ignore"):
            for rate in rates:
                yield rate, self.step(rate)

    def run(
        self,
        *,
        checkpoints: Checkpoints | None = None,
        identity: dict[str, Any] | None = None,
        progress: Progress = silent,
    ) -> History:
        """Train all epochs, or until early stopping. Raises `MlkitError` when the loss is no number."""
        from mlkit.threads import blas_threads

        total = self.settings.epochs * self.per_epoch
        with blas_threads(1), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            while self.steps < total and not self.history.stopped_early:
                epoch = self.steps // self.per_epoch
                self._epoch(epoch, total, checkpoints, identity or {}, progress)
                if checkpoints is not None and checkpoints.due():
                    self._save(checkpoints, identity or {})
        self._finish()
        return self.history

    def _epoch(
        self,
        epoch: int,
        total: int,
        checkpoints: Checkpoints | None,
        identity: dict[str, Any],
        progress: Progress,
    ) -> None:
        schedule, top = self.settings.schedule, self.settings.top_rate
        rate = top
        while self.steps < (epoch + 1) * self.per_epoch:
            rate = self.rate = schedule.rate(top, self.steps, total, epoch, self.drops)
            value = self.step(rate)
            self._require(math.isfinite(value), f"the loss became {value}")
            self.running += value
            history = self.history
            progress(
                Report(
                    f"epoch {epoch + 1}", self.steps, total, "steps", loss=value, learning_rate=rate,
                    valid_loss=history.valid_losses[-1] if history.valid_losses else None,
                )
            )  # fmt: skip
            if checkpoints is not None and self.steps % self.per_epoch and checkpoints.due():
                self._save(checkpoints, identity)
        mean, self.running = self.running / self.per_epoch, 0.0
        self._end_epoch(epoch, mean, rate)

    def _require(self, fine: Any, fault: str) -> None:
        if not fine:
            raise MlkitError(
                f"{fault} at step {self.steps} (epoch {-(-self.steps // self.per_epoch)}), rate {self.rate:.3g}",
                hint="lower --lr or bound the gradient with --clip; a --checkpoint keeps the last good state",
            )

    def _require_numbers(self) -> None:
        """Refuse weights that are no numbers: a last step may have made them though the loss before it was one."""
        self._require(np.isfinite(self.network.theta).all(), "the weights became no numbers")

    def _end_epoch(self, epoch: int, loss: float, rate: float) -> None:
        history, settings = self.history, self.settings
        history.losses.append(loss)
        history.rates.append(rate)
        watched = loss
        if self.valid is not None:
            watched = self.loss_of(self.valid)
            self._require(math.isfinite(watched), f"the held-out loss became {watched}")
            history.valid_losses.append(watched)
        seen = history.valid_losses or history.losses
        if watched <= min(seen):
            history.best_epoch, self.waiting = epoch + 1, 0
            if settings.early_stop:
                self.best = (self.network.theta.copy(), self.network.buffers.copy())
        else:
            self.waiting += 1
            if settings.schedule.kind == "plateau" and self.waiting % (settings.schedule.every + 1) == 0:
                self.drops += 1
        history.stopped_early = (
            bool(settings.early_stop) and epoch + 1 - history.best_epoch >= settings.early_stop
        )
        if settings.average and epoch >= settings.epochs - settings.average:
            if self.sums is None:
                self.sums = (np.zeros(len(self.network.theta)), np.zeros(len(self.network.buffers)))
            for into, part in zip(self.sums, (self.network.theta, self.network.buffers), strict=True):
                into += part
            self.averaged += 1

    def loss_of(self, data: Examples) -> float:
        """Return the loss of rows in prediction."""
        value, _ = self.loss(self.network.outputs_of(data.rows), data.targets, data.weights)
        return value

    def _finish(self) -> None:
        network = self.network
        self._require_numbers()
        if self.sums is not None and self.averaged:
            network.theta[:], network.buffers[:] = (part / self.averaged for part in self.sums)
        elif self.best is not None:
            network.theta[:], network.buffers[:] = self.best

    # checkpoints

    def _save(self, checkpoints: Checkpoints, identity: dict[str, Any]) -> None:
        self._require_numbers()  # what is saved is good
        history = self.history
        state = {
            "steps": self.steps, "drops": self.drops, "waiting": self.waiting, "averaged": self.averaged,
            "running": self.running.hex(), "optimiser_steps": self.optimiser.steps,
            "losses": [x.hex() for x in history.losses], "rates": [x.hex() for x in history.rates],
            "valid_losses": [x.hex() for x in history.valid_losses], "best_epoch": history.best_epoch,
            "stopped_early": history.stopped_early,
        }  # fmt: skip
        arrays: dict[str, Array] = {"theta": self.network.theta, "kept": self.network.buffers}
        arrays |= {f"moment{n}": moment for n, moment in enumerate(self.optimiser.moments)}
        if self.best is not None:
            arrays |= {"best_theta": self.best[0], "best_kept": self.best[1]}
        if self.sums is not None:
            arrays |= {"sum_theta": self.sums[0], "sum_kept": self.sums[1]}
        checkpoints.save(COMMAND, identity, state, arrays)

    def schema(self) -> Schema:
        """Return what a checkpoint holds."""
        network = self.network
        arrays = {"theta": network.theta, "kept": network.buffers}
        arrays |= {f"moment{n}": moment for n, moment in enumerate(self.optimiser.moments)}
        declared = like(arrays)
        for name, array in (("theta", network.theta), ("kept", network.buffers)):
            declared[f"best_{name}"] = Declared(array.dtype.name, array.shape, optional=True)
            declared[f"sum_{name}"] = Declared("float64", array.shape, optional=True)
        numbers = list_of(real_text)
        header = {
            "steps": whole(), "drops": whole(), "waiting": whole(), "averaged": whole(), "running": real_text,
            "optimiser_steps": whole(), "losses": numbers, "rates": numbers, "valid_losses": numbers,
            "best_epoch": whole(), "stopped_early": flag,
        }  # fmt: skip
        return Schema(declared, header)

    def restore(self, state: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Go on where a checkpoint stands."""
        self.steps, self.drops, self.waiting = state["steps"], state["drops"], state["waiting"]
        self.averaged, self.optimiser.steps = state["averaged"], state["optimiser_steps"]
        self.running = float.fromhex(state["running"])
        losses, valid_losses, rates = (
            [float.fromhex(x) for x in state[name]] for name in ("losses", "valid_losses", "rates")
        )
        if state["best_epoch"] > max(len(losses), len(valid_losses)) or ("sum_theta" in arrays) != bool(
            state["averaged"]
        ):
            raise ModelError("damaged checkpoint (epochs)")
        self.history = History(losses, valid_losses, rates, state["best_epoch"], state["stopped_early"])
        self.network.theta[:], self.network.buffers[:] = arrays["theta"], arrays["kept"]
        for n, moment in enumerate(self.optimiser.moments):
            moment[:] = arrays[f"moment{n}"]
        if "best_theta" in arrays and "best_kept" in arrays:
            self.best = (np.array(arrays["best_theta"]), np.array(arrays["best_kept"]))
        if "sum_theta" in arrays and "sum_kept" in arrays:
            self.sums = (np.array(arrays["sum_theta"]), np.array(arrays["sum_kept"]))


def take(values: Any, rows: NDArray[np.int64]) -> Any:
    """Return some rows of targets or weights: an array, a pair of arrays, or None."""
    if values is None:
        return None
    if isinstance(values, tuple):
        return tuple(part[rows] for part in values)
    return values[rows]
