"""Entropy and distances between distributions: of words, of the columns of tables, of language models.

>>> import numpy as np
>>> from mlkit import distributions
>>> p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.25, 0.5])
>>> round(float(distributions.kl(p, q)), 6)
0.173287
"""

from mlkit.exports import on_demand

__all__, __getattr__, __dir__ = on_demand(__name__, {
    "entropy": "measures", "cross_entropy": "measures", "kl": "measures", "js_divergence": "measures",
    "total_variation": "measures", "hellinger": "measures", "psi": "measures", "column_shifts": "tables",
    "classifier_test": "tables", "compare_models": "models",
})  # fmt: skip
