"""chrF (Popović, 2015) and chrF++ (Popović, 2017) as sacreBLEU 2.6 computes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from mlkit.errors import UsageError
from mlkit.metrics.formulas import f_score
from mlkit.metrics.metric import (
    SACREBLEU_VERSION,
    OneCall,
    References,
    Score,
    Statistics,
    signature_head,
    volume,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlkit.metrics.token_ids import Encoded

_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")

# Up to this many characters (of references and all systems) plain Python is done before numpy would have been
# imported; from the second number on compiled counting pays for the loading of kernels.
SORTED_FROM = 20_000
COMPILED_FROM = 700_000


class Chrf(OneCall):
    """Compute chrF; `word_order=2` is chrF++. References are prepared once for any number of systems.

    `beta` weighs recall; `whitespace` keeps white space in the character n-grams; `eps_smoothing` averages the F
    scores of all orders as chrF++.py, NLTK and Moses do, instead of precision and recall over the orders present.

    >>> Chrf().corpus(["the cat sat on the mat"], [["the cat sat on a mat"]]).value
    74.59485793345094
    """

    def __init__(
        self,
        *,
        char_order: int = 6,
        word_order: int = 0,
        beta: int = 2,
        lowercase: bool = False,
        whitespace: bool = False,
        eps_smoothing: bool = False,
        threads: int | None = None,
    ) -> None:
        if char_order < 0 or word_order < 0 or char_order + word_order < 1:
            raise UsageError("the n-gram orders of chrF must not be negative, and one of them at least 1")
        self.char_order = char_order
        self.word_order = word_order
        self.beta = beta
        self.lowercase = lowercase
        self.whitespace = whitespace
        self.eps_smoothing = eps_smoothing
        self.threads = threads
        self._references: list[list[str | None]] = []
        self._characters_of: list[list[str]] = []
        self._words_of: list[list[list[str]]] = []
        self._encoded: list[Encoded] | None = None  # the references as numbers, for the kernel
        self._head: dict[str, str] = {}
        self._sorted = False
        self._words: dict[str, tuple[str, ...]] = {}

    @property
    def name(self) -> str:
        """Return the name with beta and one + per word order."""
        return f"chrF{self.beta}" + "+" * self.word_order

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns of the statistics: three per order."""
        orders = [f"char{n}" for n in range(1, self.char_order + 1)]
        orders += [f"word{n}" for n in range(1, self.word_order + 1)]
        return tuple(f"{kind}_{order}" for order in orders for kind in ("hyp", "ref", "match"))

    def signature(self) -> dict[str, str]:
        """Return the signature's fields in order."""
        return {
            **self._head,
            "case": "lc" if self.lowercase else "mixed",
            "eff": "no" if self.eps_smoothing else "yes",
            "nc": str(self.char_order),
            "nw": str(self.word_order),
            "space": "yes" if self.whitespace else "no",
            "version": SACREBLEU_VERSION,
        }

    # statistics

    def prepare(self, references: References, systems: int = 1) -> None:
        """Take the references, one stream of segments per reference (None: this segment has fewer).

        `systems` tells how many systems will be scored, which decides whether compiled kernels pay.
        """
        self._head = signature_head(references)
        self._references = [
            [None if text is None else self._cased(text) for text in stream] for stream in references
        ]
        size = volume(references, systems)
        streams = [["" if text is None else text for text in stream] for stream in self._references]
        self._words_of = [self._split(lines) for lines in streams] if self.word_order else []
        self._encoded, self._characters_of = None, []
        self._sorted = size >= SORTED_FROM
        if size >= COMPILED_FROM:
            from mlkit.metrics.token_ids import encode_characters

            self._encoded = [encode_characters(lines) for lines in streams]
        elif self.char_order:
            self._characters_of = [self._characters(lines) for lines in streams]

    def statistics(self, hypotheses: Sequence[str]) -> Statistics:
        """Return per segment, for each order, n-grams of hypothesis and reference and their matches.

        Of several references that with the best F score counts.
        """
        lines = [self._cased(text) for text in hypotheses]
        characters: Any = []
        if self._encoded is not None:
            from mlkit.metrics.token_ids import encode_characters

            characters = encode_characters(lines)
        elif self.char_order:
            characters = self._characters(lines)
        words = self._split(lines) if self.word_order else []
        if len(self._references) == 1 and None not in self._references[0]:
            return self._against(characters, words, 0)
        best: Statistics = [[] for _ in lines]
        values = [-1.0] * len(lines)
        for number, stream in enumerate(self._references):
            rows = self._against(characters, words, number)
            for k, (text, row) in enumerate(zip(stream, rows, strict=True)):
                if text is None:
                    continue
                value = self._f_score(row)
                if value > values[k]:
                    best[k], values[k] = row, value
        return best

    def _cased(self, text: str) -> str:
        return text.lower() if self.lowercase else text

    def _against(self, characters: Any, words: list[list[str]], number: int) -> Statistics:
        """Return the statistics of each segment against one reference."""
        parts: list[Statistics] = []
        if self.char_order:
            parts.append(self._count_characters(characters, number))
        if self.word_order:
            others = self._words_of[number]
            if self._encoded is not None:
                from mlkit.metrics.compiled_counts import compiled_words

                parts.append(compiled_words(words, others, self.word_order))
            else:
                parts.append([_count(h, r, self.word_order) for h, r in zip(words, others, strict=True)])
        return parts[0] if len(parts) == 1 else [a + b for a, b in zip(*parts, strict=True)]

    def _count_characters(self, characters: Any, number: int) -> Statistics:
        """Count n-grams of characters by the cheapest of three ways."""
        if self._encoded is not None:
            from mlkit.metrics.compiled_counts import compiled_characters
            from mlkit.threads import thread_count

            return compiled_characters(
                characters, self._encoded[number], self.char_order, whitespace=self.whitespace,
                threads=thread_count(self.threads),
            )  # fmt: skip
        references = self._characters_of[number]
        if self._sorted:
            from mlkit.metrics.numpy_counts import shared_characters

            return shared_characters(characters, references, self.char_order)
        return [_count(h, r, self.char_order) for h, r in zip(characters, references, strict=True)]

    def _characters(self, lines: list[str]) -> list[str]:
        return lines if self.whitespace else ["".join(line.split()) for line in lines]

    def _split(self, lines: list[str]) -> list[list[str]]:
        """Return words with punctuation at their end, or else at their beginning, split off."""
        split = [line.split() for line in lines]
        known = self._words
        for word in set(chain.from_iterable(split)).difference(known):
            if len(word) > 1 and word[-1] in _PUNCTUATION:
                known[word] = (word[:-1], word[-1])
            elif len(word) > 1 and word[0] in _PUNCTUATION:
                known[word] = (word[0], word[1:])
            else:
                known[word] = (word,)
        return [[part for word in words for part in known[word]] for words in split]

    # scores

    def score(self, totals: Sequence[float]) -> Score:
        """Return chrF of a row of statistics (a segment's, or a corpus's sum)."""
        return Score(self.name, self._f_score(totals))

    segment_score = score

    def _f_score(self, row: Sequence[float]) -> float:
        value: float = f_score(row, self.beta, eps_smoothing=self.eps_smoothing)
        return value

    def scores(self, totals: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return chrF of every row of statistics, in the array's precision."""
        from mlkit.metrics.batched_scores import chrf_scores

        return chrf_scores(totals, self.beta, eps_smoothing=self.eps_smoothing)


def _count(hypothesis: Sequence[str], reference: Sequence[str], orders: int) -> list[float]:
    """Return n-grams of the hypothesis, of the reference, and matches, for each order."""
    row: list[float] = []
    for n in range(1, orders + 1):
        own = Counter(zip(*(hypothesis[k:] for k in range(n)), strict=False))
        other = Counter(zip(*(reference[k:] for k in range(n)), strict=False))
        size = max(0, len(reference) - n + 1)
        matched = sum(min(count, other[gram]) for gram, count in own.items() if gram in other)
        # n-grams of the hypothesis do not count where the reference has none of that order
        row += [max(0, len(hypothesis) - n + 1) if size else 0, size, matched]
    return row
