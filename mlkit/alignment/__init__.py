"""Aligned word vectors: two languages in one space, word translation, sentence vectors."""

from mlkit.alignment.fitting import Alignment, AlignSettings, align
from mlkit.alignment.mapping import Mapping

__all__ = ["AlignSettings", "Alignment", "Mapping", "align"]
