"""Score systems with metrics: corpus, segments, groups of segments, statistical tests."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import Errors, PathLike, decode_lines, display_name, read_bytes
from mlkit.metrics.metric import Metric, References, Score, Statistics, check_segments, total, with_test
from mlkit.progress import Progress, Report, silent

if TYPE_CHECKING:
    from mlkit.metrics.significance import TestResult

# lines that end in " ." from which on a hypothesis looks tokenized already
TOKENIZED_LINES = 100


@dataclass(frozen=True)
class Test:
    """The statistical test to run: "confidence", "bootstrap" or "randomization", its size and its seed."""

    __test__ = False

    kind: str
    samples: int
    seed: int


@dataclass
class Result:
    """All systems' scores by metric, in the order of the systems, with the signature that belongs to them."""

    metric: Metric
    signature: dict[str, str]
    scores: list[Score]
    tests: list[TestResult] = field(default_factory=list)


def evaluate(
    metrics: Sequence[Metric],
    references: References,
    systems: Mapping[str, Sequence[str]],
    test: Test | None = None,
    progress: Progress = silent,
) -> list[Result]:
    """Score every system with every metric, and run the test. Raises `DataError` for other line counts."""
    if test is not None and (len(systems) == 1) != (test.kind == "confidence"):
        raise UsageError(
            "paired tests compare several systems: give more than one hypothesis file"
            if len(systems) == 1
            else "a confidence interval is for one system; use --paired-bs or --paired-ar for several"
        )
    results = []
    for metric in metrics:
        # a test needs numpy anyway, as several systems do
        with _collector_at_rest():
            metric.prepare(references, len(systems) + (test is not None))
            rows = []
            for done, hypotheses in enumerate(systems.values()):
                progress(Report(metric.name, done, len(systems), "systems"))
                rows.append(metric.statistics(hypotheses))
        result = Result(metric, metric.signature(), [metric.score(total(found)) for found in rows])
        if test is not None:
            _run_test(result, rows, test)
        results.append(result)
    return results


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Stop the cycle collector: millions of lists of words hold no cycles, and walking them doubles the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _run_test(result: Result, rows: list[Statistics], test: Test) -> None:
    from mlkit.metrics.significance import confidence, paired_bootstrap, paired_randomization

    signature, samples, seed = result.signature, test.samples, test.seed
    if test.kind == "randomization":
        result.tests = paired_randomization(result.metric, rows, samples, seed)
        result.signature = with_test(signature, trials=samples, seed=seed)
        return
    result.signature = with_test(signature, resamples=samples, seed=seed)
    if test.kind == "bootstrap":
        result.tests = paired_bootstrap(result.metric, rows, samples, seed)
    else:
        mean, interval = confidence(result.metric, rows[0], samples, seed)
        score = result.scores[0]
        result.scores = [Score(score.name, score.value, score.details, score.verbose, mean, interval)]


def evaluate_segments(
    metrics: Sequence[Metric], references: References, hypotheses: Sequence[str]
) -> list[tuple[Metric, Statistics, list[Score]]]:
    """Return for every metric the statistics and the score of each segment."""
    found = []
    for metric in metrics:
        metric.prepare(references)
        rows = metric.statistics(hypotheses)
        found.append((metric, rows, [metric.segment_score(row) for row in rows]))
    return found


def evaluate_groups(
    metrics: Sequence[Metric],
    references: References,
    systems: Mapping[str, Sequence[str]],
    labels: Sequence[str],
) -> dict[str, list[list[Score]]]:
    """Return scores[label][system][metric]; labels (one per segment) keep the order of their first line."""
    members: dict[str, list[int]] = {}
    for segment, label in enumerate(labels):
        members.setdefault(label, []).append(segment)
    scores: dict[str, list[list[Score]]] = {label: [[] for _ in systems] for label in members}
    for metric in metrics:
        metric.prepare(references, len(systems))
        for number, hypotheses in enumerate(systems.values()):
            rows = metric.statistics(hypotheses)
            for label, segments in members.items():
                scores[label][number].append(metric.score(total([rows[k] for k in segments])))
    return scores


def stripped_lines(path: PathLike, errors: Errors = "strict") -> list[str]:
    """Return the lines of a file without white space at their ends, as sacreBLEU takes them.

    Raises `DataError` for invalid UTF-8, with file, line and byte.
    """
    content = read_bytes(path)
    try:
        lines = content.decode("utf-8", "replace" if errors == "replace" else "strict").split("\n")
    except UnicodeDecodeError:
        decoded = decode_lines(io.BytesIO(content), display_name(path), errors)
        return [line.rstrip() for line in decoded]
    lines[0] = lines[0].removeprefix("\ufeff")
    if not lines[-1]:
        lines.pop()
    return list(map(str.rstrip, lines))


def check_systems(references: References, names: Sequence[str], systems: Mapping[str, Sequence[str]]) -> None:
    """Refuse line counts that differ, naming both counts and the first line without a partner."""
    for system, hypotheses in systems.items():
        check_segments(references, hypotheses, names, "<stdin>" if system == "-" else system)


def split_references(lines: Sequence[str], path: str, count: int | None) -> list[list[str | None]]:
    """Return the reference streams of lines with tab-separated references.

    With a `count` every line has as many, and an empty one is an empty reference; with None each line has any
    number from 1 on, and an empty one is none. Raises `DataError` with the line.
    """
    rows: list[list[str | None]] = []
    for number, line in enumerate(lines, 1):
        if count is not None:
            cells = line.split("\t", count - 1)
            if len(cells) != count:
                raise DataError(
                    f"expected {count} tab-separated references, found {len(cells)}", path=path, line=number,
                    hint="--variable-refs takes any number of references per line",
                )  # fmt: skip
            rows.append([*cells[:-1], cells[-1].rstrip()])
        else:
            present: list[str | None] = [cell.rstrip() or None for cell in line.split("\t")]
            if not any(present):
                raise DataError("no reference in this line", path=path, line=number)
            rows.append(present)
    width = max(map(len, rows), default=1)
    return [[row[k] if k < len(row) else None for row in rows] for k in range(width)]


def split_systems(lines: Sequence[str], path: str) -> dict[str, list[str]]:
    """Return the systems of lines with one tab-separated hypothesis per system."""
    rows = [line.split("\t") for line in lines]
    width = len(rows[0]) if rows else 1
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise DataError(
                f"expected {width} tab-separated hypotheses as in line 1, found {len(row)}",
                path=path,
                line=number,
            )
    return {f"System {k + 1}": [row[k].rstrip() for row in rows] for k in range(width)}


def looks_tokenized(hypotheses: Sequence[str]) -> bool:
    """Say whether many lines end in a period that stands alone: BLEU expects detokenized text."""
    return sum(line.endswith(" .") for line in hypotheses) >= TOKENIZED_LINES
