"""Learning-rate range tests: grow the rate over mini-batches, watch the loss, suggest a rate (Smith 2015).

Trainers take `choose` as their `find_rate`: ``train_texts(texts, settings, find_rate=choose)`` tests, then trains.
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
