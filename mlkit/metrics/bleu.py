"""BLEU (Papineni et al., 2002) as sacreBLEU 2.6 computes it: same statistics, same floating-point operations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from mlkit.errors import UsageError
from mlkit.metrics.formulas import LOG_ZERO, brevity_penalty
from mlkit.metrics.metric import (
    SACREBLEU_VERSION,
    OneCall,
    References,
    Score,
    Statistics,
    signature_head,
    volume,
)
from mlkit.metrics.tokenizers import Mteval13a, Tokenizer, Whitespace, get_tokenizer, join_lines

if TYPE_CHECKING:
    import numpy.typing as npt

SMOOTHING = ("exp", "floor", "add-k", "none")
_DEFAULT_VALUE = {"floor": 0.1, "add-k": 1}
# math.log(0) stands for this in all BLEU tools that follow mteval

# From so many characters on (of references and all systems) it pays to load the kernel that tokenizes as well.
LINES_FROM = 700_000
# For the other tokenizers: from so many tokens on sorting pays for the import of numpy, compiled counting for kernels.
SORTED_FROM = 400_000
COMPILED_FROM = 4_000_000

Tokens = Sequence[str]


class Bleu(OneCall):
    """Compute BLEU against references that are prepared once for any number of systems.

    `tokenize` names a tokenizer (`tokenizers.NAMES`) or is one; `smooth_value` is used by floor (0.1) and add-k (1).
    `effective_order` leaves out the orders for which the hypothesis has no n-gram; sentence scores always do.
    `threads` (None: as `thread_count` chooses) are for large inputs and change nothing else.

    >>> bleu = Bleu()
    >>> bleu.corpus(["the cat sat on the mat"], [["the cat sat on a mat"]]).value
    53.7284965911771
    """

    name = "BLEU"

    def __init__(
        self,
        *,
        tokenize: str | Tokenizer = "13a",
        smooth_method: str = "exp",
        smooth_value: float | None = None,
        lowercase: bool = False,
        max_order: int = 4,
        effective_order: bool = False,
        threads: int | None = None,
    ) -> None:
        if smooth_method not in SMOOTHING:
            raise UsageError(
                f"unknown smoothing {smooth_method!r}", hint=f"choose from {', '.join(SMOOTHING)}"
            )
        if max_order < 1:
            raise UsageError("the maximum n-gram order must be at least 1")
        self.tokenizer = get_tokenizer(tokenize) if isinstance(tokenize, str) else tokenize
        self.smooth_method = smooth_method
        self.smooth_value = _DEFAULT_VALUE.get(smooth_method, 0) if smooth_value is None else smooth_value
        self.lowercase = lowercase
        self.max_order = max_order
        self.effective_order = effective_order
        self.threads = threads
        self._lines: list[list[str | None]] | None = None  # the references as text, for the kernel
        self._references: list[list[Tokens]] = []
        self._head: dict[str, str] = {}
        self._systems = 1
        self._encoded: tuple[Any, list[Any]] | None = None  # the references as numbers, for several systems

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns of the statistics."""
        orders = range(1, self.max_order + 1)
        return ("hyp_len", "ref_len", *(f"match{n}" for n in orders), *(f"total{n}" for n in orders))

    def signature(self) -> dict[str, str]:
        """Return the signature's fields in order."""
        smooth = self.smooth_method
        if smooth in _DEFAULT_VALUE:
            smooth += f"[{self.smooth_value:.2f}]"
        return {
            **self._head,
            "case": "lc" if self.lowercase else "mixed",
            "eff": "yes" if self.effective_order else "no",
            "tok": self.tokenizer.name,
            "smooth": smooth,
            "version": SACREBLEU_VERSION,
        }

    # statistics

    def prepare(self, references: References, systems: int = 1) -> None:
        """Tokenize the references, one stream of segments per reference (None: this segment has fewer).

        `systems` tells how many systems will be scored, which decides whether compiled kernels pay.
        """
        self._systems = systems
        self._encoded = None
        self._head = signature_head(references)
        self._lines = None
        if isinstance(self.tokenizer, Mteval13a | Whitespace) and volume(references, systems) >= LINES_FROM:
            self._lines = [self._prepared(stream) for stream in references]
            return
        streams: list[list[Tokens | None]] = []
        for stream in references:
            present = iter(self._tokens([text for text in stream if text is not None]))
            streams.append([None if text is None else next(present) for text in stream])
        self._references = [
            [tokens for tokens in segment if tokens is not None] for segment in zip(*streams, strict=True)
        ]

    def statistics(self, hypotheses: Sequence[str]) -> Statistics:
        """Return per segment: hypothesis length, closest reference length, matches by order, n-grams by order."""
        if self._lines is not None:
            return self._line_statistics(hypotheses, self._lines)
        tokens = self._tokens(hypotheses)
        longest = max(map(len, tokens), default=0)
        grams = [[max(0, length - n) for n in range(self.max_order)] for length in range(longest + 1)]
        rows: Statistics = []
        for hypothesis, references, correct in zip(
            tokens, self._references, self._count(tokens), strict=True
        ):
            length = len(hypothesis)
            closest = len(references[0]) if len(references) == 1 else _closest_length(length, references)
            rows.append([length, closest, *correct, *grams[length]])
        return rows

    def _line_statistics(self, hypotheses: Sequence[str], references: list[list[str | None]]) -> Statistics:
        from mlkit.metrics.compiled_counts import line_statistics
        from mlkit.threads import thread_count

        western = isinstance(self.tokenizer, Mteval13a)
        own = [line or "" for line in self._prepared(hypotheses)]
        threads = thread_count(self.threads)
        rows = line_statistics(own, references, self.max_order, western=western, threads=threads)
        found: Statistics = rows.tolist()
        return found

    def _prepared(self, lines: Sequence[str | None]) -> list[str | None]:
        """Return lines without line ends, of one case if that is wanted."""
        if self.lowercase:
            lines = [line and line.lower() for line in lines]
        if any(line and "\n" in line for line in lines):
            western = isinstance(self.tokenizer, Mteval13a)
            return [line and (join_lines(line) if western else line.replace("\n", " ")) for line in lines]
        return list(lines)

    def _count(self, tokens: list[list[str]]) -> Iterable[Sequence[int]]:
        """Return the matches of each segment by order, by the cheapest of three ways."""
        work = sum(map(len, tokens)) + sum(len(r) for refs in self._references for r in refs)
        if self._systems == 1 and work < SORTED_FROM:
            orders = range(1, self.max_order + 1)
            return (_matches(h, refs, orders) for h, refs in zip(tokens, self._references, strict=True))
        if work * self._systems < COMPILED_FROM:
            return self._sorted_matches(tokens)
        from mlkit.metrics.compiled_counts import matches

        return matches(tokens, self._references, self.max_order)

    def _sorted_matches(self, tokens: list[list[str]]) -> list[list[int]]:
        from mlkit.metrics.numpy_counts import shared_grams
        from mlkit.metrics.token_ids import encode_words, vocabulary

        if self._encoded is None:
            numbers = vocabulary()
            streams = zip_longest(*self._references, fillvalue=())
            self._encoded = numbers, [encode_words(list(stream), numbers) for stream in streams]
        numbers, references = self._encoded
        found: list[list[int]] = shared_grams(
            [encode_words(tokens, numbers), *references], self.max_order
        ).tolist()
        return found

    def _tokens(self, lines: Sequence[str]) -> list[list[str]]:
        if self.lowercase:
            lines = [line.lower() for line in lines]
        return self.tokenizer.tokenize([line.rstrip() for line in lines])

    # scores

    def score(self, totals: Sequence[float], *, effective_order: bool | None = None) -> Score:
        """Return BLEU of a row of statistics (a segment's, or a corpus's sum)."""
        effective = self.effective_order if effective_order is None else effective_order
        orders = self.max_order
        hypothesis_length, reference_length = int(totals[0]), int(totals[1])
        correct, grams = list(totals[2 : 2 + orders]), list(totals[2 + orders :])
        penalty = brevity_penalty(hypothesis_length, reference_length)
        precisions = [0.0] * orders
        value = 0.0
        if any(correct):
            used = self._smooth(correct, grams, precisions, effective)
            value = penalty * math.exp(sum(map(_log, precisions[:used])) / used)
        ratio = hypothesis_length / reference_length if reference_length else 0
        verbose = (
            f"{'/'.join(f'{p:.1f}' for p in precisions)} (BP = {penalty:.3f} ratio = {ratio:.3f} "
            f"hyp_len = {hypothesis_length} ref_len = {reference_length})"
        )
        details = {
            "precisions": precisions, "brevity_penalty": penalty, "ratio": ratio, "counts": correct, "totals": grams,
            "hypothesis_length": hypothesis_length, "reference_length": reference_length,
        }  # fmt: skip
        return Score(self.name, value, details, verbose)

    def segment_score(self, row: Sequence[float]) -> Score:
        """Return BLEU of one segment, with effective order as sacreBLEU's command line has it."""
        return self.score(row, effective_order=True)

    def _smooth(
        self, correct: list[float], grams: list[float], precisions: list[float], effective: bool
    ) -> int:
        """Fill in the smoothed precisions (Chen and Cherry, 2014); return how many orders count.

        add-k changes `correct` and `grams`, as the sums that sacreBLEU reports are changed.
        """
        used, divisor, value = self.max_order, 1.0, self.smooth_value
        for n in range(self.max_order):
            if self.smooth_method == "add-k" and n > 0:
                correct[n] += value
                grams[n] += value
            if grams[n] == 0:
                break
            if effective:
                used = n + 1
            if correct[n] != 0:
                precisions[n] = 100.0 * correct[n] / grams[n]
            elif self.smooth_method == "exp":
                divisor *= 2
                precisions[n] = 100.0 / (divisor * grams[n])
            elif self.smooth_method == "floor":
                precisions[n] = 100.0 * value / grams[n]
        return used

    def scores(self, totals: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return BLEU of every row of a float32 or int64 array of statistics.

        The arithmetic is sacreBLEU's on numpy 2: single precision up to the logarithm for float32, and integers
        that cut off a fractional add-k for int64.
        """
        from mlkit.metrics.batched_scores import bleu_scores

        return bleu_scores(
            totals,
            self.max_order,
            self.smooth_method,
            self.smooth_value,
            effective_order=self.effective_order,
        )


def _log(value: float) -> float:
    return math.log(value) if value != 0.0 else LOG_ZERO


def _closest_length(length: int, references: Sequence[Tokens]) -> int:
    """Return the reference length closest to `length`, the shorter of two; -1 without references."""
    best = -1
    for reference in references:
        other = len(reference)
        if best < 0 or (abs(other - length), other) < (abs(best - length), best):
            best = other
    return best


def _matches(hypothesis: Tokens, references: Sequence[Tokens], orders: Iterable[int]) -> list[int]:
    """Count the n-grams of the hypothesis that are in a reference, clipped by the reference that has most."""
    correct: list[int] = []
    shifted: list[Tokens] = []
    shifted_references: list[list[Tokens]] = [[] for _ in references]
    for n in orders:
        if n > 1 and not correct[-1]:  # without a match of order n - 1 there is none of order n
            correct.append(0)
            continue
        shifted.append(hypothesis[n - 1 :])
        distinct = set(zip(*shifted) if n > 1 else hypothesis)  # noqa: B905
        common: set[Any] = set()
        for reference, parts in zip(references, shifted_references, strict=True):
            parts.append(reference[n - 1 :])
            found = distinct.intersection(zip(*parts) if n > 1 else reference)  # noqa: B905
            common = common | found if common else found
        count = len(common)
        if count and len(distinct) < len(hypothesis) - n + 1:
            count += _repeats(hypothesis, references, n, common)
        correct.append(count)
    return correct


def _repeats(hypothesis: Tokens, references: Sequence[Tokens], n: int, common: set[Any]) -> int:
    """Return how many matches the repeated n-grams of the hypothesis add to their first ones."""
    own = _grams(hypothesis, n)
    others = None
    extra = 0
    for gram in common:
        count = own.count(gram)
        if count > 1:
            if others is None:
                others = [_grams(reference, n) for reference in references]
            extra += min(count, max(grams.count(gram) for grams in others)) - 1
    return extra


def _grams(tokens: Tokens, n: int) -> Sequence[Any]:
    return tokens if n == 1 else list(zip(*(tokens[k:] for k in range(n))))  # noqa: B905
