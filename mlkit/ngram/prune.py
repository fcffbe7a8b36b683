"""Entropy pruning: leave out n-grams that change the model least (Stolcke, 1998, as in SRILM)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlkit.errors import UsageError
from mlkit.ngram.backoff import Index, contexts_of, copy_levels, history_log_prob, masses, normalise, weights
from mlkit.ngram.model import BACKOFF, LanguageModel, Level


def prune_entropy(
    model: LanguageModel, threshold: float, *, min_order: int = 2, threads: int = 1
) -> LanguageModel:
    """Return the model without the n-grams whose loss raises the perplexity by less than the share
    `threshold`.

    Orders from `min_order` on are pruned, the highest first; an n-gram that is the context of a kept one is
    kept. The back-off weights are made anew. Raises `UsageError` for models without back-off weights.
    """
    if model.settings.kind != BACKOFF or model.settings.missing:
        raise UsageError("entropy pruning needs a back-off model that sums to one")
    if not threshold >= 0:
        raise UsageError(f"the threshold must be 0 or more, not {threshold}")
    levels = copy_levels(model)
    index = Index(levels, threads)
    needed = np.zeros(len(levels[-1]), np.bool_)
    kept: list[Level] = []
    for order in range(len(levels), 1, -1):
        level = levels[order - 1]
        contexts = contexts_of(index, order)
        keep = np.ones(len(level), np.bool_)
        if order >= max(min_order, 2) and len(level):
            keep = needed | (_perplexity_change(index, order, contexts) >= threshold)
        needed = np.zeros(len(levels[order - 2]), np.bool_)
        needed[contexts[keep]] = True
        kept.insert(
            0, Level(np.ascontiguousarray(level.grams[keep]), level.values[keep], level.contexts[keep])
        )
    result = [levels[0], *kept]
    normalise(result, threads)
    made = {**model.settings.made, "pruned": threshold}
    return LanguageModel.of_levels(
        model.vocabulary, replace(model.settings, closed=False, made=made), result, threads
    )


def _perplexity_change(index: Index, order: int, contexts: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Return by what share the perplexity rises when each n-gram of an order is left out, one at a time."""
    level, below = index.levels[order - 1], index.levels[order - 2]
    own = level.values.astype(np.float64)
    lower = index.log_prob(np.ascontiguousarray(level.grams[:, 1:]))
    left, below_left = masses(contexts, level.values, lower, len(below))
    history = history_log_prob(index, below.grams)[contexts]
    old = weights(left, below_left)[contexts]
    left, below_left = left[contexts], below_left[contexts]
    new = weights(left + 10.0**own, below_left + 10.0**lower)
    change = 10.0**own * (lower + new - own) + left * (new - old)
    return np.asarray(np.expm1(-(10.0**history) * change * np.log(10.0)))
