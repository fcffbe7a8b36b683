"""Byte pair encoding: learn, encode, decode, for every format in use.

>>> from mlkit import bpe
>>> model = bpe.load_model("tokenizer.json")      # doctest: +SKIP
>>> bpe.LineEncoder(model).encode("the cat")      # doctest: +SKIP
['the', 'Ġcat']
"""

from __future__ import annotations

from mlkit.bpe.encode import Encoder, LineEncoder
from mlkit.bpe.encode_options import Options
from mlkit.bpe.load import load_model
from mlkit.bpe.model import BpeModel
from mlkit.bpe.save import save_model

__all__ = ["BpeModel", "Encoder", "LineEncoder", "Options", "load_model", "save_model"]
