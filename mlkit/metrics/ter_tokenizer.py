"""Tercom's tokenizer, with the quirks of sacreBLEU's version of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from mlkit.metrics.tokenizers import replace_entities, western_rules

_PUNCTUATION = '.,?:;!"()'
# What asian support splits when it normalizes. 3200-3F22 is the tool's own range (its text says 3200-32FF). Its
# rules for kana are anchored at the start of a line that begins with a space, so they never apply.
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x31C0, 0x31EF), (0x2E80, 0x2EFF), (0x3300, 0x33FF), (0xF900, 0xFAFF),
    (0xFE30, 0xFE4F), (0x3200, 0x3F22),
)  # fmt: skip
_ASIAN_PUNCTUATION = (
    (0x3001, 0x3002),
    (0x3008, 0x3011),
    (0x3014, 0x301F),
    (0xFF61, 0xFF65),
    (0x30FB, 0x30FB),
)
_FULL_WIDTH = "．，？：；！＂（）"


class TercomTokenizer:
    """Lowercase, normalize, remove punctuation as asked, then split at white space."""

    def __init__(
        self, *, normalized: bool, no_punct: bool, asian_support: bool, case_sensitive: bool
    ) -> None:
        self.normalized = normalized
        self.no_punct = no_punct
        self.asian_support = asian_support
        self.case_sensitive = case_sensitive
        self._known: dict[str, list[str]] = {}

    def tokenize(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the words of each line."""
        if not self.case_sensitive:
            lines = [line.lower() for line in lines]
        if not (self.normalized or self.no_punct):
            return [line.split() for line in lines]
        if self.normalized and any(
            "\n" in line for line in lines
        ):  # only strings from Python can hold line ends
            lines = [line.replace("\n-", "") for line in lines]
        split = [line.split() for line in lines]
        # the rules treat a word alike wherever it stands: each distinct one is worked out once
        unknown = list(set(chain.from_iterable(split)).difference(self._known))
        text = self._rewrite(" \n ".join(unknown))
        self._known.update(zip(unknown, map(str.split, text.split("\n")), strict=False))
        known = self._known
        return [[token for word in words for token in known[word]] for words in split]

    def _rewrite(self, text: str) -> str:
        if self.normalized:
            text = western_rules(f" {replace_entities(text)} ", possessive=True)
            if self.asian_support:
                text = text.translate({code: f" {chr(code)} " for code in _codes(text, _IDEOGRAPHS)})
                text = text.translate({code: f" {chr(code)} " for code in self._asian_punctuation(text)})
        if self.no_punct:
            text = text.translate(dict.fromkeys(map(ord, _PUNCTUATION)))
            if self.asian_support:
                text = text.translate(dict.fromkeys(self._asian_punctuation(text)))
        return text

    @staticmethod
    def _asian_punctuation(text: str) -> set[int]:
        return _codes(text, _ASIAN_PUNCTUATION) | set(map(ord, _FULL_WIDTH))


def _codes(text: str, ranges: Sequence[tuple[int, int]]) -> set[int]:
    """Return the code points of `text` that lie in one of the ranges."""
    return {code for code in map(ord, set(text)) if any(low <= code <= high for low, high in ranges)}
