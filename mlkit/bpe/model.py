"""A BPE model in memory, whatever file it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Literal

from mlkit.bpe.alphabet import alphabet_order, byte_characters
from mlkit.formats.sentencepiece import SentencePieceModel

Kind = Literal["bytes", "chars", "metaspace"]
Pair = tuple[str, str]
Format = Literal["hf", "gpt2", "subword-nmt", "fastbpe"]

SUFFIX = "</w>"
SPACE = "▁"


@dataclass(frozen=True)
class BpeModel:
    """Merges and a vocabulary, spelled as their files spell them.

    `kind`: bytes (GPT-2's alphabet and pre-tokenizer), chars (words between spaces, `suffix` at their end) or
    metaspace (words begin with ▁). `ranks`: the rank of each merge where several share one (sentencepiece), else
    None. `closing`: the suffix is a symbol of its own (subword-nmt 0.1). `foreign`: a tokenizer.json whose pipeline
    the `tokenizers` library has to run. `sentencepiece`: the model file, whose normalizer prepares lines; with
    `whole_lines` its pieces reach over spaces, or it is a unigram model (no merges). `counts`: how often each merge
    occurred in training, if known.
    """

    kind: Kind
    merges: list[Pair]
    vocabulary: dict[str, int]
    specials: dict[str, int] = field(default_factory=dict)
    unknown: str | None = None
    suffix: str = ""
    closing: bool = False
    ranks: list[int] | None = None
    fuse_unknown: bool = False
    byte_fallback: bool = False
    sentencepiece: SentencePieceModel | None = None
    whole_lines: bool = False
    foreign: str = ""
    counts: list[int] | None = None
    source: str = ""
    has_ids: bool = True

    @cached_property
    def tokens(self) -> dict[int, str]:
        """Token of every id."""
        return {number: token for token, number in self.vocabulary.items()}

    @cached_property
    def size(self) -> int:
        """Highest id + 1."""
        return max(self.vocabulary.values(), default=-1) + 1

    @cached_property
    def merge_ids(self) -> tuple[list[int], list[int], list[int]]:
        """Ids of the left symbols of all merges, of the right ones, and of what they make."""
        return merge_ids_of(self.merges, self.vocabulary)

    @property
    def lossless(self) -> bool:
        """Whether a BOM and a \\r before a newline are text to the model."""
        return self.by_bytes or self.sentencepiece is not None

    @cached_property
    def by_bytes(self) -> bool:
        """Whether the pieces are bytes in GPT-2's alphabet, so that every byte of a text arrives."""
        return self.kind == "bytes" and (not self.foreign or '"ByteLevel"' in self.foreign)

    @property
    def default_marker(self) -> str:
        """What shows in pieces where words begin or go on."""
        return {"bytes": "Ġ", "chars": "@@", "metaspace": SPACE}[self.kind]


def merge_ids_of(
    pairs: Sequence[Pair], vocabulary: Mapping[str, int]
) -> tuple[list[int], list[int], list[int]]:
    """Return the ids of the left and right symbols of all merges, and of what they make. Raises KeyError."""
    number = vocabulary.__getitem__
    left, right = ([number(pair[side]) for pair in pairs] for side in (0, 1))
    return left, right, list(map(number, map("".join, pairs)))


def vocabulary_of(
    kind: Kind, pairs: Sequence[Pair], suffix: str, specials: Sequence[str] = ()
) -> dict[str, int]:
    """Number the tokens of merges without a vocabulary: specials, characters in order, the others as they come."""
    if kind == "bytes":
        first = [byte_characters()[byte] for byte in alphabet_order()]
        special = list(specials)
    else:
        special = list(specials) or ["<unk>"]
        symbols = set(chain.from_iterable(pairs))
        made = set(map("".join, pairs))
        base = symbols - made
        plain = {symbol.removesuffix(suffix) if suffix and symbol != suffix else symbol for symbol in base}
        final = {symbol for symbol in base if suffix and symbol.endswith(suffix) and symbol != suffix}
        first = [*sorted(plain), *sorted(final)]
    tokens = dict.fromkeys(chain(special, first, map("".join, pairs)))
    return dict(zip(tokens, range(len(tokens)), strict=True))


def describe(model: BpeModel) -> str:
    """Return the model in a few words, as JSON-able text."""
    return json.dumps({"kind": model.kind, "merges": len(model.merges), "vocabulary": len(model.vocabulary)})
