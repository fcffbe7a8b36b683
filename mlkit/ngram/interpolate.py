"""Mixtures of models: weights by EM on held-out text, and one model that stands for the mixture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError, UsageError
from mlkit.formats.lm_words import BEGIN, FIRST_WORD, UNKNOWN, LmVocabulary
from mlkit.formats.streams import Errors, PathLike
from mlkit.ngram.backoff import LOWEST, Floats, Index, normalise
from mlkit.ngram.model import BACKOFF, Grams, LanguageModel, Level, ModelSettings
from mlkit.ngram.query import score_text


def tune_weights(
    models: Sequence[LanguageModel],
    heldout: Sequence[PathLike],
    *,
    iterations: int = 100,
    tolerance: float = 1e-6,
    threads: int = 1,
    errors: Errors = "strict",
) -> list[float]:
    """Return the weights of the linear mixture that give held-out text the highest probability.

    Tokens that a model does not know count there as its unknown word; tokens that no model knows are left
    out, as SRILM's compute-best-mix does.
    """
    columns = []
    for model in models:
        values, unknown = [], []
        for piece in score_text(model, heldout, threads=threads, errors=errors):
            values.append(piece.values)
            unknown.append(piece.ids == UNKNOWN)
        if not values:
            raise DataError("the held-out text is empty")
        columns.append((10.0 ** np.concatenate(values), np.concatenate(unknown)))
    known = ~np.logical_and.reduce([unknown for _, unknown in columns])
    table = np.stack([values[known] for values, _ in columns], axis=1)
    table = table[table.sum(axis=1) > 0]
    if not len(table):
        raise DataError("the held-out text has no word that a model knows")
    weights = np.full(len(models), 1.0 / len(models))
    for _ in range(iterations):
        shares = table * weights
        shares /= shares.sum(axis=1, keepdims=True)
        new = shares.mean(axis=0)
        done = float(np.abs(new - weights).max()) < tolerance
        weights = new
        if done:
            break
    return [float(weight) for weight in weights]


def mix_models(
    models: Sequence[LanguageModel], weights: Sequence[float], *, threads: int = 1
) -> LanguageModel:
    """Return one back-off model with p(w|h) = sum_i weight_i p_i(w|h) for every n-gram that any of the models
    has.

    The vocabulary is the union of theirs; a model shares the mass of its unknown word among the words it does
    not know. Raises `UsageError` for models without back-off weights and for weights that are no
    distribution.
    """
    check_weights(models, weights)
    vocabulary = _union([model.vocabulary for model in models])
    orders = max(model.order for model in models)
    ids = [vocabulary.ids(model.vocabulary.words[FIRST_WORD:]) for model in models]
    forward = [np.concatenate((np.arange(FIRST_WORD, dtype=np.int32), known)) for known in ids]
    backward = []
    for mapping in forward:
        back = np.full(len(vocabulary), UNKNOWN, np.int32)
        back[mapping] = np.arange(len(mapping), dtype=np.int32)
        backward.append(back)
    indexes = [Index(model.levels, threads) for model in models]
    shares = np.asarray(weights, np.float64)
    levels: list[Level] = []
    for order in range(1, orders + 1):
        grams = np.arange(1, len(vocabulary), dtype=np.int32).reshape(-1, 1)
        if order > 1:
            held = [
                mapping[model.levels[order - 1].grams]
                for model, mapping in zip(models, forward, strict=True) if model.order >= order
            ]  # fmt: skip
            grams = _distinct(np.concatenate(held))
        total = np.zeros(len(grams))
        for index, back, share in zip(indexes, backward, shares, strict=True):
            total += share * _probabilities(index, back, grams)
        with np.errstate(divide="ignore"):
            values = np.maximum(np.log10(np.minimum(total, 1.0)), LOWEST).astype(np.float32)
        levels.append(Level(grams, values, np.zeros(len(grams), np.float32)))
    levels[0].values[BEGIN - 1] = LOWEST
    normalise(levels, threads)
    made = {"smoothing": "mixture", "weights": [float(weight) for weight in weights]}
    return LanguageModel.of_levels(vocabulary, ModelSettings(made=made), levels, threads)


def check_weights(models: Sequence[LanguageModel], weights: Sequence[float]) -> None:
    """Raise `UsageError` for models that cannot be mixed, or weights that are no distribution."""
    if len(weights) != len(models):
        raise UsageError(f"{len(weights)} weights for {len(models)} models")
    if any(not 0 <= weight <= 1 for weight in weights) or abs(sum(weights) - 1) > 1e-4:
        raise UsageError("the weights must lie in 0..1 and sum to 1")
    for model in models:
        if model.settings.kind != BACKOFF or model.settings.missing:
            raise UsageError("only back-off models that sum to one can be mixed into one model")


def _union(vocabularies: Sequence[LmVocabulary]) -> LmVocabulary:
    words: dict[str, None] = {}
    for vocabulary in vocabularies:
        words.update(dict.fromkeys(vocabulary.words[FIRST_WORD:]))
    return LmVocabulary.of([word.encode() for word in words], vocabularies[0].unknown)


def _distinct(grams: Grams) -> Grams:
    order = np.lexsort(grams.T)
    sorted_grams = grams[order]
    fresh = np.ones(len(grams), np.bool_)
    fresh[1:] = (sorted_grams[1:] != sorted_grams[:-1]).any(axis=1)
    return np.ascontiguousarray(sorted_grams[fresh])


def _probabilities(index: Index, back: npt.NDArray[np.int32], grams: Grams) -> Floats:
    """Return p of n-grams under a model; `back` are its ids of the words of the mixture."""
    own = np.ascontiguousarray(back[grams])
    out = np.asarray(10.0 ** index.log_prob(own))
    # words that the model lacks share the mass of its unknown word, and that word itself keeps a share
    foreign = int(np.count_nonzero(back[FIRST_WORD:] == UNKNOWN))
    out[own[:, -1] == UNKNOWN] /= foreign + 1
    return out


__all__ = ["check_weights", "mix_models", "tune_weights"]
