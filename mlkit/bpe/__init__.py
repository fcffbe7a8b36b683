"""Byte pair encoding: learn, encode, decode, for every format in use.

>>> from mlkit import bpe
>>> model = bpe.load_model("tokenizer.json")      # doctest: +SKIP
>>> model.encode_pieces("the cat")                # doctest: +SKIP
['the', 'Ġcat']
"""

from __future__ import annotations

from mlkit.bpe.encode import Encoder
from mlkit.bpe.encode_options import Options
from mlkit.bpe.model import BpeModel, load_model, save_model

__all__ = ["BpeModel", "Encoder", "Options", "load_model", "save_model"]
