"""Byte pair encoding: learn, encode, decode, for every format in use.

>>> from mlkit import bpe
>>> from mlkit.bpe.counting import count_words
>>> from mlkit.bpe.learn import LearnOptions, learn
>>> model = learn(count_words(["corpus.txt"], "bytes"), LearnOptions(vocab_size=600))
>>> bpe.save_model(model, "tokenizer.json")
>>> bpe.LineEncoder(bpe.load_model("tokenizer.json")).encode("the value")
['the', 'Ġvalue']
"""

from __future__ import annotations

from mlkit.bpe.encode import Encoder, LineEncoder
from mlkit.bpe.encode_options import Options
from mlkit.bpe.load import load_model
from mlkit.bpe.model import BpeModel
from mlkit.bpe.save import save_model

__all__ = ["BpeModel", "Encoder", "LineEncoder", "Options", "load_model", "save_model"]
