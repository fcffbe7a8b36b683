"""TER (Snover et al., 2006) as sacreBLEU 2.6 computes it, Tercom's shifts and beam included.

Short segments are worked out with bit-parallel edit distance on Python integers, which needs no library at all; when
the estimated work is large, or segments are so long that the beam may matter, compiled kernels take over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlkit.metrics.metric import SACREBLEU_VERSION, OneCall, References, Score, Statistics, signature_head
from mlkit.metrics.ter_shifts import Edits, edits_to, edits_within_beam
from mlkit.metrics.ter_tokenizer import TercomTokenizer

if TYPE_CHECKING:
    import numpy.typing as npt

# Estimated pure-Python seconds from which it pays to load compiled kernels.
COMPILED_FROM = 0.2
# Segments with more words than this on both sides are likely to need the beam.
LONG = 60


@dataclass(frozen=True)
class SegmentEdits:
    """The edits of one segment towards its best reference."""

    edits: Edits
    reference: int
    hypothesis_words: Sequence[str]
    reference_words: Sequence[str]
    average_length: float


class Ter(OneCall):
    """Compute the translation edit rate; references are prepared once for any number of systems.

    `normalized` tokenizes as Tercom does, `no_punct` removes punctuation; with `asian_support` both treat
    Chinese and Japanese characters too (alone it does nothing). Case counts only if `case_sensitive`.

    >>> Ter().corpus(["on the mat sat the cat"], [["the cat sat on the mat"]]).value
    33.33333333333333
    """

    name = "TER"
    columns = ("edits", "ref_len")

    def __init__(
        self,
        *,
        normalized: bool = False,
        no_punct: bool = False,
        asian_support: bool = False,
        case_sensitive: bool = False,
        threads: int | None = None,
    ) -> None:
        self.normalized = normalized
        self.no_punct = no_punct
        self.asian_support = asian_support
        self.case_sensitive = case_sensitive
        self.threads = threads
        self.tokenizer = TercomTokenizer(
            normalized=normalized,
            no_punct=no_punct,
            asian_support=asian_support,
            case_sensitive=case_sensitive,
        )
        self._references: list[list[list[str]]] = []
        self._numbers: list[list[int]] = []
        self._head: dict[str, str] = {}
        self._systems = 1

    def signature(self) -> dict[str, str]:
        """Return the signature's fields in order."""
        return {
            **self._head,
            "case": "mixed" if self.case_sensitive else "lc",
            "tok": "tercom",
            "norm": "yes" if self.normalized else "no",
            "punct": "no" if self.no_punct else "yes",
            "asian": "yes" if self.asian_support else "no",
            "version": SACREBLEU_VERSION,
        }

    @property
    def several_references(self) -> bool:
        """Say whether a segment may have more than one reference."""
        return any(len(references) > 1 for references in self._references)

    # statistics

    def prepare(self, references: References, systems: int = 1) -> None:
        """Tokenize the references, one stream of segments per reference (None: this segment has fewer).

        `systems` tells how many systems will be scored, which decides whether compiled kernels pay.
        """
        self._systems = systems
        self._head = signature_head(references)
        self._references = [[] for _ in references[0]]
        self._numbers = [[] for _ in references[0]]
        for number, stream in enumerate(references):
            words = self.tokenizer.tokenize(["" if text is None else text.rstrip() for text in stream])
            if self.normalized or self.no_punct:
                # sacreBLEU does this to references twice, and the rules change "friend's ," the second time
                words = self.tokenizer.tokenize([" ".join(tokens) for tokens in words])
            for segment, (text, tokens) in enumerate(zip(stream, words, strict=True)):
                if text is not None:
                    self._references[segment].append(tokens)
                    self._numbers[segment].append(number)

    def statistics(self, hypotheses: Sequence[str]) -> Statistics:
        """Return per segment the fewest edits to a reference and the mean length of its references."""
        return [[part.edits.total, part.average_length] for part in self.edits(hypotheses)]

    def edits(self, hypotheses: Sequence[str]) -> list[SegmentEdits]:
        """Return what the edits of each segment are: the path, the shifts and the counts."""
        words = self.tokenizer.tokenize([text.rstrip() for text in hypotheses])
        pairs = [(h, r) for h, references in zip(words, self._references, strict=True) for r in references]
        found = iter(_edits_of_pairs(pairs, self._systems, self.threads))
        result = []
        for hypothesis, references, numbers in zip(words, self._references, self._numbers, strict=True):
            candidates = [next(found) for _ in references]
            best = min(range(len(candidates)), key=lambda k: candidates[k].total)
            average = sum(map(len, references)) / len(references)
            result.append(
                SegmentEdits(candidates[best], numbers[best], hypothesis, references[best], average)
            )
        return result

    # scores

    def score(self, totals: Sequence[float]) -> Score:
        """Return TER of a row of statistics (a segment's, or a corpus's sum)."""
        edits, length = totals[0], totals[1]
        if length > 0:
            value = edits / length
        else:
            value = 1.0 if edits > 0 else 0.0
        return Score(self.name, 100 * value, {"edits": int(edits), "reference_length": length})

    segment_score = score

    def scores(self, totals: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return TER of every row of statistics, in the array's precision."""
        from mlkit.metrics.batched_scores import ter_scores

        return ter_scores(totals)


def _edits_of_pairs(
    pairs: Sequence[tuple[list[str], list[str]]], systems: int, threads: int | None
) -> list[Edits]:
    """Return the edits of each (hypothesis, reference), by the cheaper of the two ways."""
    sizes = [(len(h), len(r)) for h, r in pairs if h != r]
    estimate = sum(_seconds(*size) for size in sizes)
    estimate += sum(_beam_seconds(*size) for size in sizes if min(size) > LONG)
    if systems * estimate >= COMPILED_FROM:
        return _compiled_edits(pairs, threads)
    edits = [edits_to(h, r) for h, r in pairs]
    beamed = [k for k, found in enumerate(edits) if found is None]
    chosen = [pairs[k] for k in beamed]
    if systems * sum(_beam_seconds(len(h), len(r)) for h, r in chosen) < COMPILED_FROM:
        by_hand = [edits_within_beam(h, r) for h, r in chosen]
    else:
        by_hand = list(_compiled_edits(chosen, threads))
    for k, found in zip(beamed, by_hand, strict=True):
        edits[k] = found
    return [found for found in edits if found is not None]


def _compiled_edits(pairs: Sequence[tuple[list[str], list[str]]], threads: int | None) -> list[Edits]:
    from mlkit.metrics.compiled_counts import beamed_edits
    from mlkit.threads import thread_count

    return beamed_edits(pairs, thread_count(threads))


def _seconds(hypothesis: int, reference: int) -> float:
    """Estimate the seconds that pure Python needs for a segment of so many words."""
    return 1e-6 * (10 + hypothesis * reference * 0.25)


def _beam_seconds(hypothesis: int, reference: int) -> float:
    """Estimate the seconds of pure Python within the beam."""
    candidates = min(1000, hypothesis * reference / 40)
    return 1e-7 * candidates * hypothesis * min(reference, 50)
