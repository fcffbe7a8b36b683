"""BLEU, TER and chrF that agree with sacreBLEU 2.6, and the statistical tests on them.

>>> from mlkit.metrics import Bleu
>>> Bleu().corpus(["the cat sat on the mat"], [["the cat sat on a mat"]]).value
53.7284965911771
"""

from __future__ import annotations

import importlib
from typing import Any

_WHERE = {
    "Bleu": "bleu", "Ter": "ter", "Chrf": "chrf", "Score": "metric", "Metric": "metric", "check_segments": "metric",
    "signature_text": "metric", "confidence": "significance", "paired_bootstrap": "significance",
    "paired_randomization": "significance", "Subwords": "subwords",
}  # fmt: skip

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"mlkit.metrics.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'mlkit.metrics' has no attribute {name!r}")
