"""Smoothing methods: what each subtracts from counts, per order, from the counts of counts.

Sources: Chen and Goodman, An Empirical Study of Smoothing Techniques for Language Modeling (1999); Witten and
Bell (1991); Katz (1987); Brants et al., Large Language Models in Machine Translation (2007) for stupid
back-off. Modified Kneser-Ney follows lmplz (Heafield et al. 2013), Good-Turing follows SRILM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mlkit.errors import UsageError
from mlkit.ngram import kernels_estimate as kernels

Floats = npt.NDArray[np.float64]

METHODS = (
    "modified-kneser-ney", "kneser-ney", "absolute", "witten-bell", "good-turing", "katz", "jelinek-mercer",
    "stupid-backoff", "laplace", "mle",
)  # fmt: skip
KNESER_NEY = ("modified-kneser-ney", "kneser-ney")
COUNT_MODELS = ("laplace", "mle")
_DEFAULT_BACKOFF = ("good-turing", "katz", "stupid-backoff")
_GOOD_TURING_MAX = 7
COUNTS_OF_COUNTS = 16
FALLBACK = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class Smoothing:
    """A method with its settings.

    interpolated: None is the method's usual form. alpha: what laplace adds to every count. discounts: per
    order, instead of the estimated ones. weights: of jelinek-mercer, per order and size of context (see
    `jelinek_mercer_scales`).
    """

    method: str = "modified-kneser-ney"
    interpolated: bool | None = None
    alpha: float = 1.0
    backoff: float = 0.4
    discounts: Mapping[int, Sequence[float]] = field(default_factory=dict)
    weights: npt.NDArray[np.float64] | None = None
    interpolate_unigrams: bool = True

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"no smoothing {self.method!r}; there are {', '.join(METHODS)}")
        if not 0 <= self.alpha < float("inf"):
            raise UsageError(f"--alpha must be 0 or more, not {self.alpha}")
        if not 0 < self.backoff <= 1:
            raise UsageError(f"--backoff-factor must be above 0 and at most 1, not {self.backoff}")
        for order, values in self.discounts.items():
            if order < 1 or not values or any(not 0 <= d <= i + 1 for i, d in enumerate(values)):
                raise UsageError(f"--discount {order}: the discount of count i must lie in 0..i")

    @property
    def kneser_ney(self) -> bool:
        """Whether lower orders count distinct left neighbours."""
        return self.method in KNESER_NEY

    @property
    def count_model(self) -> bool:
        """Whether the model keeps counts (additive smoothing)."""
        return self.method in COUNT_MODELS

    @property
    def backs_off(self) -> bool:
        """Whether seen n-grams keep their own estimate and only unseen ones take the lower order's."""
        return self.method in _DEFAULT_BACKOFF if self.interpolated is None else not self.interpolated

    @property
    def mode(self) -> int:
        """What `estimate_contexts` computes."""
        if self.count_model:
            return kernels.COUNTS
        return kernels.RELATIVE if self.method == "stupid-backoff" else kernels.SMOOTHED


@dataclass(frozen=True)
class LevelSettings:
    """What one order subtracts: see `kernels_estimate.estimate_contexts`."""

    discounts: Floats
    types: float
    scales: Floats


def counts_of_counts(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return how many entries have count 0, 1, ... 15; larger and fractional ones are left out."""
    small = counts[counts < COUNTS_OF_COUNTS]
    whole = small.astype(np.int64)
    return np.bincount(whole[whole == small], minlength=COUNTS_OF_COUNTS)[:COUNTS_OF_COUNTS].astype(np.int64)


def settings_of(
    smoothing: Smoothing, order: int, level: int, found: npt.NDArray[np.int64], warnings: list[str]
) -> LevelSettings:
    """Return the settings of one order, given the numbers of n-grams with count 1, 2, ... there."""
    discounts, types, scales = np.zeros(1), 0.0, np.ones(1)
    if level in smoothing.discounts:
        discounts = np.array([0.0, *smoothing.discounts[level]])
    elif smoothing.method == "modified-kneser-ney":
        discounts = _modified_kneser_ney(level, found, warnings)
    elif smoothing.method in ("kneser-ney", "absolute"):
        discounts = _one_discount(level, found, warnings)
    elif smoothing.method in ("good-turing", "katz"):
        discounts = _good_turing(level, found, warnings)
    elif smoothing.method == "witten-bell":
        types = 1.0
    elif smoothing.method == "jelinek-mercer":
        if smoothing.weights is None:
            scales = np.array([0.5 if level > 1 else 0.9])
        else:
            scales = np.ascontiguousarray(smoothing.weights[level - 1])
    return LevelSettings(discounts, types, scales)


def _modified_kneser_ney(level: int, found: npt.NDArray[np.int64], warnings: list[str]) -> Floats:
    t = found.astype(np.float64)
    for i in (1, 2, 3):
        if t[i] == 0:
            warnings.append(
                f"no {level}-gram has the adjusted count {i}; the default discounts 0.5, 1, 1.5 are used for"
                f" this order (the corpus is small, or not natural text)"
            )
            return np.array([0.0, *FALLBACK])
    y = t[1] / (t[1] + 2 * t[2])
    values = [i - (i + 1) * y * t[i + 1] / t[i] for i in (1, 2, 3)]
    if any(not 0 <= value <= i + 1 for i, value in enumerate(values)):
        warnings.append(
            f"the discounts of {level}-grams come out of range ({', '.join(f'{v:.4g}' for v in values)});"
            " the default discounts 0.5, 1, 1.5 are used for this order"
        )
        return np.array([0.0, *FALLBACK])
    return np.array([0.0, *values])


def _one_discount(level: int, found: npt.NDArray[np.int64], warnings: list[str]) -> Floats:
    if found[1] == 0 or found[2] == 0:
        warnings.append(
            f"no {level}-gram has the count 1 or 2; the default discount 0.5 is used for this order"
        )
        return np.array([0.0, 0.5])
    return np.array([0.0, found[1] / (found[1] + 2.0 * found[2])])


def _good_turing(level: int, found: npt.NDArray[np.int64], warnings: list[str]) -> Floats:
    """Discount counts up to 7 (1-grams: 1) as Katz does; stop below where the counts of counts are no use."""
    largest = _GOOD_TURING_MAX if level > 1 else 1
    n = found.astype(np.float64)
    while largest > 0:
        if n[1] > 0 and np.all(n[1 : largest + 2] > 0):
            common = (largest + 1) * n[largest + 1] / n[1]
            r = np.arange(1, largest + 1)
            ratio = ((r + 1) * n[2 : largest + 2] / (r * n[1 : largest + 1]) - common) / (1 - common)
            if common < 1 and np.all((ratio > 0) & (ratio <= 1)):
                return np.concatenate((np.zeros(1), r * (1 - ratio), np.zeros(1)))
        largest -= 1
    warnings.append(
        f"Good-Turing has no discounts for {level}-grams; counts of this order are not discounted"
    )
    return np.zeros(1)
