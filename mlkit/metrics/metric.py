"""What all metrics share: the result, the signature, the checks of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from mlkit.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

# the version whose scores, statistics and signatures are reproduced
SACREBLEU_VERSION = "2.6.0"

_SHORT = {
    "nrefs": "#", "seed": "rs", "case": "c", "eff": "e", "smooth": "s", "space": "s", "norm": "nr", "punct": "pn",
    "asian": "as", "version": "v",
}  # fmt: skip

Statistics = list[list[float]]
# one reference stream per reference; None where a segment has fewer references than others
References = Sequence[Sequence[str | None]]


@dataclass(frozen=True)
class Score:
    """A metric's value, the figures behind it, and, after resampling, its mean and 95 % interval."""

    name: str
    value: float
    details: Mapping[str, Any] = field(default_factory=dict)
    verbose: str = ""
    mean: float | None = None
    interval: float | None = None

    def format(self, width: int = 1, signature: str = "", *, score_only: bool = False) -> str:
        """Return the score as sacreBLEU prints it: ``BLEU|nrefs:1|... = 36.6 67.5/42.1/... (BP = ...)``."""
        shown = f"{self.value:.{width}f}"
        if self.mean is not None and self.mean > 0:
            shown += f" (μ = {self.mean:.{width}f} ± {self.interval:.{width}f})"
        if score_only:
            return shown
        name = f"{self.name}|{signature}" if signature else self.name
        return f"{name} = {shown}" + (f" {self.verbose}" if self.verbose else "")


class Metric(Protocol):
    """BLEU, TER and chrF as the statistical tests and the command line see them."""

    @property
    def name(self) -> str:
        """Return the name with its variant: BLEU, TER, chrF2++."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns of the statistics."""

    def prepare(self, references: References, systems: int = 1) -> None:
        """Take the references, one stream of segments per reference, for so many systems."""

    def statistics(self, hypotheses: Sequence[str]) -> Statistics:
        """Return one row of statistics per segment."""

    def score(self, totals: Sequence[float]) -> Score:
        """Return the score of one row of statistics, or of the sum of several."""

    def segment_score(self, row: Sequence[float]) -> Score:
        """Return the score of one segment."""

    def scores(self, totals: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the score of every row, in the arithmetic of the array's type (float32 or float64, int64)."""

    def signature(self) -> dict[str, str]:
        """Return what a reader must know to compare the score, in order."""


class OneCall:
    """A metric's score in one call: of a corpus, or of a sentence."""

    def corpus(self: Metric, hypotheses: Sequence[str], references: References) -> Score:
        """Return the score of a corpus; `references` is a list of reference streams."""
        check_segments(references, hypotheses)
        self.prepare(references)
        return self.score(total(self.statistics(hypotheses)))

    def sentence(self: Metric, hypothesis: str, references: Sequence[str]) -> Score:
        """Return the score of one sentence."""
        self.prepare([[text] for text in references])
        return self.segment_score(self.statistics([hypothesis])[0])


def signature_text(signature: Mapping[str, str], *, short: bool = False) -> str:
    """Return a signature as ``nrefs:1|case:mixed|...``."""
    fields = dict(signature)
    if short:
        fields = {_SHORT.get(key, key): value for key, value in signature.items()}
        if fields.get("tok") == "tercom":  # BLEU's field keeps its name
            fields = {"t" if key == "tok" else key: value for key, value in fields.items()}
    return "|".join(f"{key}:{value}" for key, value in fields.items())


def with_test(
    signature: Mapping[str, str], *, resamples: int | None = None, trials: int | None = None, seed: int = 0
) -> dict[str, str]:
    """Add a statistical test's settings to a signature, after ``nrefs``."""
    added = {"bs": resamples, "ar": trials}
    tests = {key: str(value) for key, value in added.items() if value is not None}
    rest = {key: value for key, value in signature.items() if key != "nrefs"}
    return {"nrefs": signature["nrefs"], **tests, "seed": str(seed), **rest}


def signature_head(references: References) -> dict[str, str]:
    """Return ``nrefs`` of a signature: the number of references, ``var`` when it varies."""
    if not any(None in stream for stream in references):
        return {"nrefs": str(len(references))}
    counts = {sum(text is not None for text in segment) for segment in zip(*references, strict=True)}
    return {"nrefs": str(counts.pop()) if len(counts) == 1 else "var"}


def volume(references: References, systems: int) -> int:
    """Estimate how many characters the references and so many systems have, all alike."""
    size = sum(len(text) for stream in references for text in stream if text is not None)
    return size + size * systems // max(1, len(references))


def total(rows: Sequence[Sequence[float]]) -> list[float]:
    """Return the column sums, added in the order of the rows."""
    sums: list[float] = [0] * len(rows[0]) if rows else []
    for begin in range(0, len(rows), 1000):  # a few rows at a time stay in the cache
        sums = list(map(sum, zip(*rows[begin : begin + 1000], strict=True), sums))
    if any(isinstance(found, float) for found in sums):  # sum() may add up floats in its own way
        return list(map(sum, zip(*rows, strict=True)))
    return sums


def check_segments(
    references: References,
    hypotheses: Sequence[str],
    names: Sequence[str] | None = None,
    system: str = "hypotheses",
) -> None:
    """Refuse what would give a wrong score: other line counts, transposed references, no lines at all.

    Raises `DataError` that names both counts and the first line without a partner.
    """
    if not references:
        raise DataError("no references are given")
    if any(isinstance(stream, str) for stream in references):
        raise DataError(
            "the references are one list of strings", hint="give a list of reference streams: [references]"
        )
    count = len(hypotheses)
    from_files = names is not None
    names = names or [f"reference {number}" for number in range(1, len(references) + 1)]
    if all(len(stream) == count for stream in references):
        if count == 0:
            raise DataError(f"no segments: {system} and {names[0]} are empty")
        return
    widths = {len(stream) for stream in references}
    if len(references) == count and len(widths) == 1 and not from_files:
        width = widths.pop()
        raise DataError(
            f"the references are transposed: {count} lists of {width} strings for {count} segments",
            hint=f"give {width} lists of {count} strings, one list per reference",
        )
    for name, stream in zip(names, references, strict=True):
        if len(stream) != count:
            raise _other_length(system, count, name, len(stream))


def _other_length(system: str, count: int, reference: str, other: int) -> DataError:
    first = min(count, other) + 1
    longer, shorter = (system, reference) if count > other else (reference, system)
    hint = None
    large, small = max(count, other), min(count, other)
    if small == 0:
        hint = f"{shorter} is empty"
    elif large % small == 0:
        hint = f"{longer} has exactly {large // small} times as many lines: is it the right file, in the right order?"
    lines = "line" if count == 1 else "lines"
    return DataError(
        f"{system} has {count} {lines}, {reference} has {other}; "
        f"line {first} of {longer} is the first without a partner",
        hint=hint,
    )
