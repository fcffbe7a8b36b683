"""Learning-rate range tests: grow the rate over mini-batches, watch the loss, suggest a rate (Smith 2015)."""

from mlkit.lr_find.curve import Curve, record, rising_rates, smoothed
from mlkit.lr_find.rules import RULES, Suggestion, suggest

__all__ = ["RULES", "Curve", "Suggestion", "record", "rising_rates", "smoothed", "suggest"]
