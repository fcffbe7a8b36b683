"""A subword model as BLEU's tokenizer: the model's file names itself in the signature."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from mlkit.formats.streams import PathLike, read_bytes


class Subwords:
    """Tokenize by a function that cuts a line into pieces; `name` is what the signature shows."""

    def __init__(self, encode: Callable[[str], list[str]], name: str) -> None:
        self.name = name
        self._encode = encode

    def tokenize(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each line."""
        return [self._encode(line) for line in lines]


def model_name(path: PathLike) -> str:
    """Return a name that stands for the model's content: equal scores need equal models."""
    return f"subword-{hashlib.sha256(read_bytes(path)).hexdigest()[:8]}"
