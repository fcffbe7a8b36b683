"""What back-off models have in common: finding contexts, lower orders, and the weights that make a model sum to one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError
from mlkit.formats.lm_words import BEGIN
from mlkit.ngram.hash_table import Tables
from mlkit.ngram.model import Grams, LanguageModel, Level

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LOWEST = -99.0
_TINY = 1e-9


class Index:
    """Where n-grams stand in their levels."""

    def __init__(self, levels: Sequence[Level], threads: int = 1) -> None:
        self.levels = levels
        self._tables = Tables.build(
            [(level.grams, np.arange(len(level), dtype=np.uint64)) for level in levels[1:]], threads
        )

    def find(self, grams: Grams) -> Ints:
        """Return the places of n-grams of one order, -1 for those that are not there."""
        if grams.shape[1] == 1:
            return grams[:, 0].astype(np.int64) - 1
        values, found = self._tables.look_up(grams)
        return np.where(found, values.astype(np.int64), -1)

    def log_prob(self, grams: Grams, missing: float = 0.0) -> Floats:
        """Return log10 p(last word | the words before it) of n-grams of one order."""
        order = grams.shape[1]
        if order > len(self.levels):
            return self.log_prob(np.ascontiguousarray(grams[:, 1:]), missing)
        places = self.find(grams)
        level = self.levels[order - 1]
        out = level.values[places].astype(np.float64) if len(level) else np.zeros(len(grams))
        rest = np.flatnonzero(places < 0)
        if len(rest):
            shorter = np.ascontiguousarray(grams[rest])
            out[rest] = self.backoff(np.ascontiguousarray(shorter[:, :-1]), missing)
            out[rest] += self.log_prob(np.ascontiguousarray(shorter[:, 1:]), missing)
        return out

    def backoff(self, contexts: Grams, missing: float = 0.0) -> Floats:
        """Return the log10 back-off weights of contexts of one length."""
        level = self.levels[contexts.shape[1] - 1]
        places = self.find(contexts)
        if not len(level):
            return np.full(len(contexts), missing)
        return np.where(places >= 0, level.contexts[places].astype(np.float64), missing)


def contexts_of(index: Index, order: int) -> Ints:
    """Return the place of the context of every n-gram of an order (from 2). Raises `DataError` for a missing one."""
    places = index.find(np.ascontiguousarray(index.levels[order - 1].grams[:, :-1]))
    if len(places) and places.min() < 0:
        raise DataError(f"a {order}-gram of the model has a context that is not in the model")
    return places


def normalise(levels: list[Level], threads: int = 1) -> None:
    """Set all back-off weights so that every context sums to one: (1 - sum p(w|h)) / (1 - sum p(w|h')) over
    seen w.

    Works in place, from short contexts to long ones, for the lower order's p may need the weights of shorter
    contexts.
    """
    index = Index(levels, threads)
    for order in range(2, len(levels) + 1):
        level, below = levels[order - 1], levels[order - 2]
        contexts = contexts_of(index, order)
        lower = index.log_prob(np.ascontiguousarray(level.grams[:, 1:]))
        left, below_left = masses(contexts, level.values, lower, len(below))
        held = np.zeros(len(below), np.bool_)
        held[contexts] = True
        below.contexts = np.where(held, weights(left, below_left), 0.0).astype(np.float32)
    if levels:
        levels[-1].contexts = np.zeros(len(levels[-1]), np.float32)


def masses(
    contexts: Ints, values: npt.NDArray[np.float32], lower: Floats, size: int
) -> tuple[Floats, Floats]:
    """Return of every context the mass that unseen words have in its own order and in the lower one."""
    own = 1.0 - np.bincount(contexts, weights=10.0 ** values.astype(np.float64), minlength=size)
    below = 1.0 - np.bincount(contexts, weights=10.0**lower, minlength=size)
    return np.maximum(own, 0.0), np.maximum(below, 0.0)


def weights(left: Floats, below_left: Floats) -> Floats:
    """Return log10(left / below_left); a context that has seen all words needs none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.log10(left) - np.log10(below_left)
    out[(below_left < _TINY) & (left < _TINY)] = 0.0
    return np.asarray(np.clip(np.nan_to_num(out, nan=0.0, neginf=LOWEST, posinf=0.0), LOWEST, 99.0))


def history_log_prob(index: Index, contexts: Grams) -> Floats:
    """Return log10 of the probability of word sequences by the chain rule; `<s>` counts as `</s>` does, as in SRILM."""
    total = np.zeros(len(contexts))
    for end in range(1, contexts.shape[1] + 1):
        piece = np.ascontiguousarray(contexts[:, :end])
        if end == 1:
            piece = np.where(piece == BEGIN, BEGIN + 1, piece).astype(np.int32)
        total += index.log_prob(piece)
    return total


def copy_levels(model: LanguageModel) -> list[Level]:
    """Return levels that may be changed."""
    return [
        Level(level.grams, level.values.astype(np.float32), level.contexts.astype(np.float32))
        for level in model.levels
    ]
