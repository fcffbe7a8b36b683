"""Learning-rate range tests: grow the rate over mini-batches, watch the loss, suggest a rate (Smith 2015).

Trainers take `choose` as their `find_rate`: ``train_texts(texts, settings, find_rate=choose)`` tests, then trains.

>>> from mlkit import lr_find
>>> rates = lr_find.rising_rates(1e-5, 1.0, 60)
>>> curve = lr_find.record((rate, (rate - 0.05) ** 2 * 400 + 1) for rate in rates)
>>> best = {found.rule: found.rate for found in lr_find.suggest([curve])}
>>> 0.001 < best["auto"] < 0.1
True
"""

from mlkit.lr_find.curve import Curve, record, rising_rates, smoothed
from mlkit.lr_find.rules import RULES, Suggestion, suggest
from mlkit.lr_find.search import choose, range_tests

__all__ = [
    "RULES",
    "Curve",
    "Suggestion",
    "choose",
    "range_tests",
    "record",
    "rising_rates",
    "smoothed",
    "suggest",
]
