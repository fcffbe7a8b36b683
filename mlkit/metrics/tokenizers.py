"""Tokenizers of BLEU: none, 13a, intl, char and zh as sacreBLEU 2.6 has them, or a subword model from a file.

The rules of 13a, intl and zh look at a character and its direct neighbours only, and white space always counts as a
neighbour that is no digit and no punctuation. A word therefore has the same tokens wherever it stands (at
the ends of a line intl and zh see no neighbour at all), so each distinct word is tokenized once and looked up after.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Protocol

from mlkit.errors import UsageError

NAMES = ("13a", "none", "char", "intl", "zh")

# tokenizers of sacreBLEU that need a dictionary or a model from elsewhere
NOT_OFFERED = {
    "ja-mecab": "a MeCab dictionary",
    "ko-mecab": "a MeCab dictionary",
    "spm": "the FLORES-101 model",
    "flores101": "the FLORES-101 model",
    "flores200": "the FLORES-200 model",
    "spBLEU-1K": "the spBLEU-1K model",
}

# no space stands before (1) or after (2) the word: it is the first or the last of its line
NO_LEFT, NO_RIGHT = 1, 2


class Tokenizer(Protocol):
    """What BLEU needs of a tokenizer."""

    @property
    def name(self) -> str:
        """Return the name that the signature shows."""

    def tokenize(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the tokens of each line; equal tokens may or may not be the same object."""


def get_tokenizer(name: str) -> Tokenizer:
    """Return a new tokenizer by its sacreBLEU name. Raises `UsageError` for one that is not offered."""
    kinds: dict[str, type[Tokenizer]] = {
        "none": Whitespace, "char": Characters, "13a": Mteval13a, "intl": International, "zh": Chinese,
    }  # fmt: skip
    if name in kinds:
        return kinds[name]()
    if name in NOT_OFFERED:
        raise UsageError(
            f"the tokenizer {name!r} is not offered: it needs {NOT_OFFERED[name]}, which mlkit does not download",
            hint="give a subword model with --tokenizer-model FILE, or tokenize first and use --tokenize none",
        )
    raise UsageError(f"unknown tokenizer {name!r}", hint=f"choose from {', '.join(NAMES)}")


class Whitespace:
    """Split at white space only."""

    name = "none"

    def tokenize(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the words of each line."""
        return [line.split() for line in lines]


class Characters:
    """Make every character that is not white space a token."""

    name = "char"

    def tokenize(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the characters of each line."""
        return [list("".join(line.split())) for line in lines]


class _WordByWord:
    """Tokenize each distinct word once. Subclasses give `_tokens_of` a list of words."""

    name = ""
    edges_matter = False

    def __init__(self) -> None:
        self._known: list[dict[str, Sequence[str]]] = [{} for _ in range(4)]

    def tokenize(self, lines: Sequence[str]) -> list[list[str]]:
        """Return the tokens of each line."""
        prepared = self._prepare(lines)
        split = [line.split() for line in prepared]
        self._learn(0, set(chain.from_iterable(split)))
        tokens = self._known[0]
        if self.edges_matter:
            return self._with_edges(prepared, split)
        return [list(chain.from_iterable(map(tokens.__getitem__, words))) for words in split]

    def _with_edges(self, lines: Sequence[str], split: list[list[str]]) -> list[list[str]]:
        """Treat the first and the last word of each line by what stands, or does not stand, beside them."""
        ends: list[list[tuple[int, int]]] = []
        wanted: list[set[str]] = [set() for _ in range(4)]
        for line, words in zip(lines, split, strict=True):
            kinds: list[tuple[int, int]] = []
            if words:
                first = 0 if line[0].isspace() else NO_LEFT
                last = 0 if line[-1].isspace() else NO_RIGHT
                kinds = [(0, first | last)] if len(words) == 1 else [(0, first), (len(words) - 1, last)]
                for position, kind in kinds:
                    wanted[kind].add(words[position])
            ends.append(kinds)
        for kind in (1, 2, 3):
            self._learn(kind, wanted[kind])
        result = []
        for words, kinds in zip(split, ends, strict=True):
            parts = [self._known[0][word] for word in words]
            for position, kind in kinds:
                parts[position] = self._known[kind][words[position]]
            result.append([token for part in parts for token in part])
        return result

    def _prepare(self, lines: Sequence[str]) -> Sequence[str]:
        return lines

    def _learn(self, edge: int, words: set[str]) -> None:
        known = self._known[edge]
        unknown = words.difference(known)
        if not unknown:
            return
        rest = []
        for word in unknown:
            if word.isalnum():  # letters and digits alone are left as they are by every rule
                known[word] = (word,)
            elif not edge and word[-1] in ".," and word[:-1].isalnum():  # and this is split by every rule
                known[word] = (word[:-1], word[-1])
            else:
                rest.append(word)
        if rest:
            known.update(zip(rest, self._tokens_of(rest, edge), strict=True))

    def _tokens_of(self, words: list[str], edge: int) -> Iterable[Sequence[str]]:
        raise NotImplementedError


# [{-~[-` -&(-+:-@/] of mteval-v13a: all ASCII punctuation but ' , - .
ALONE = '{|}~[\\]^_`!"#$%&()*+:;<=>?@/'
_SPACED = {ord(character): f" {character} " for character in " " + ALONE}
SKIPPED = "<skipped>"
ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))


def western_rules(text: str, *, possessive: bool = False) -> str:
    """Apply the language-dependent rules of mteval-v13a to a text; Tercom also splits off a possessive 's."""
    import re

    text = text.translate(_SPACED)
    if possessive:
        text = text.replace("'s ", " 's ")
    text = re.sub(r"([^0-9])([.,])", r"\1 \2 ", text)
    text = re.sub(r"([.,])([^0-9])", r" \1 \2", text)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", text)


def replace_entities(text: str) -> str:
    """Replace the four XML entities that mteval knows, in its order."""
    if "&" in text:
        for entity, character in ENTITIES:
            text = text.replace(entity, character)
    return text


def join_lines(text: str) -> str:
    """Join what line ends divide, with or without a hyphen, as 13a does before anything else."""
    return text.replace(SKIPPED, "").replace("-\n", "").replace("\n", " ") if "\n" in text else text


class Mteval13a(_WordByWord):
    """The tokenizer of mteval-v13a.pl, BLEU's default."""

    name = "13a"

    def _prepare(self, lines: Sequence[str]) -> Sequence[str]:
        if any("\n" in line for line in lines):  # only strings from Python can hold line ends
            return list(map(join_lines, lines))
        return lines

    def _tokens_of(self, words: list[str], edge: int) -> Iterable[Sequence[str]]:
        text = replace_entities(" \n ".join(words).replace(SKIPPED, ""))
        return map(str.split, western_rules(f" {text} ").split("\n"))


class International(_WordByWord):
    """The tokenizer of mteval-v14.pl --international-tokenization: Unicode punctuation and symbols."""

    name = "intl"
    edges_matter = True

    def _tokens_of(self, words: list[str], edge: int) -> Iterable[Sequence[str]]:
        import re
        import unicodedata

        kinds: dict[str, list[str]] = {"N": [], "P": [], "S": []}
        for character in sorted(set().union(*words)):
            kind = unicodedata.category(character)[0]
            if kind in kinds:
                kinds[kind].append(character)
        # a class must not be empty; NUL is no number, punctuation or symbol and stands beside no rule
        number, punctuation, symbol = (re.escape("".join(kinds[kind])) for kind in "NPS")
        rules = []
        if punctuation:
            other = f"[^{number}]" if number else r"[\s\S]"
            rules += [(f"({other})([{punctuation}])", r"\1 \2 "), (f"([{punctuation}])({other})", r" \1 \2")]
        if symbol:
            rules.append((f"([{symbol}])", r" \1 "))
        compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]
        left = "" if edge & NO_LEFT else " "
        right = "" if edge & NO_RIGHT else " "
        if not edge:
            return map(str.split, _substitute(compiled, " " + " \n ".join(words) + " ").split("\n"))
        return [_substitute(compiled, left + word + right).split() for word in words]


class Chinese(_WordByWord):
    """The tokenizer `zh`: Chinese characters stand alone, the rest follows the western rules of 13a."""

    name = "zh"
    edges_matter = True

    # The ranges that sacreBLEU's comparisons really cover: two of its bounds are strings of two characters.
    RANGES = (
        (0x2001, 0x2A6D), (0x2E80, 0x2FDF), (0x2FF0, 0x303F), (0x3100, 0x312F), (0x31A0, 0x31EF),
        (0x3200, 0x4DB5), (0x4E00, 0x9FBB), (0xF900, 0xFA2D), (0xFA30, 0xFA6A), (0xFA70, 0xFAD9),
        (0xFE10, 0xFE1F), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF),
    )  # fmt: skip

    def _prepare(self, lines: Sequence[str]) -> Sequence[str]:
        codes = [ord(character) for character in set().union(*lines)]
        inside = [code for code in codes if any(low <= code <= high for low, high in self.RANGES)]
        table = {code: f" {chr(code)} " for code in inside}
        return [line.strip().translate(table) for line in lines]

    def _tokens_of(self, words: list[str], edge: int) -> Iterable[Sequence[str]]:
        if not edge:
            return map(str.split, western_rules(" " + " \n ".join(words) + " ").split("\n"))
        left = "" if edge & NO_LEFT else " "
        right = "" if edge & NO_RIGHT else " "
        return [western_rules(left + word + right).split() for word in words]


def _substitute(rules: Iterable[tuple[object, str]], text: str) -> str:
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)  # type: ignore[attr-defined]
    return text
