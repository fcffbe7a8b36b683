"""Aligned word vectors: two languages in one space, word translation, sentence vectors.

>>> from mlkit import alignment
>>> settings = alignment.AlignSettings()
>>> settings.method
'procrustes'
"""

from mlkit.exports import on_demand

__all__, __getattr__, __dir__ = on_demand(__name__, {
    "AlignSettings": "fitting", "Alignment": "fitting", "align": "fitting", "Mapping": "mapping",
})  # fmt: skip
