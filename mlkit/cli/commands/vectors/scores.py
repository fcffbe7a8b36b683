"""What `mlkit vectors eval` prints: one line a figure, or one JSON object a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlkit.cli.output import out

if TYPE_CHECKING:
    from mlkit.formats.streams import Errors
    from mlkit.vectors.evaluation import AnalogyScores, PairScores, Section

HEADER = ("file", "section", "measure", "value", "answered", "unknown")


def report(
    path: str,
    analogies: Sequence[str],
    similarity: Sequence[str],
    rules: Mapping[str, Any],
    method: str,
    threads: int | None,
    errors: Errors,
    *,
    json: bool,
) -> None:
    """Evaluate the vectors in `path` on question files and pair files and print the figures."""
    from mlkit.errors import UsageError
    from mlkit.threads import blas_threads, thread_count
    from mlkit.vectors.evaluation import evaluate_analogies, evaluate_pairs
    from mlkit.vectors.keyed_vectors import KeyedVectors

    if not analogies and not similarity:
        raise UsageError("nothing to evaluate: give --analogies FILE or --similarity FILE")
    vectors = KeyedVectors.load(path, errors=errors)
    settings = {"vectors": path, **rules}
    if not json:
        out.line("\t".join(HEADER))
    workers = thread_count(threads)
    # numpy's own threads wait by spinning: on a shared machine they slow each other down
    with blas_threads(1):
        for name in analogies:
            with out.progress("Analogies") as progress:
                scores = evaluate_analogies(
                    vectors, name, method=method, errors=errors, threads=workers, progress=progress, **rules
                )
            if json:
                out.json("mlkit.vectors.analogies", _analogies(name, scores), {**settings, "method": method})
            else:
                _print_analogies(name, scores)
        for name in similarity:
            pairs = evaluate_pairs(vectors, name, errors=errors, **rules)
            if json:
                out.json("mlkit.vectors.similarity", _pairs(name, pairs), settings)
            else:
                for measure in ("spearman", "pearson"):
                    value = getattr(pairs, measure)
                    out.line(f"{name}\tall\t{measure}\t{value:.6f}\t{pairs.pairs}\t{pairs.unknown}")
            if pairs.unknown:
                out.words(f"{name}: {pairs.unknown:,} of {pairs.listed:,} pairs have unknown words")


def _analogies(name: str, scores: AnalogyScores) -> dict[str, Any]:
    def facts(section: Section) -> dict[str, Any]:
        return {
            "section": section.name, "accuracy": section.accuracy, "correct": section.correct,
            "answered": section.answered, "unknown": section.unknown,
        }  # fmt: skip

    return {
        "file": name,
        "total": facts(scores.total),
        "groups": [facts(section) for section in scores.groups],
        "sections": [facts(section) for section in scores.sections],
        "skipped_lines": scores.skipped,
    }


def _print_analogies(name: str, scores: AnalogyScores) -> None:
    for section in (*scores.sections, *scores.groups, scores.total):
        figures = f"{section.accuracy:.6f}\t{section.answered}\t{section.unknown}"
        out.line(f"{name}\t{section.name}\taccuracy\t{figures}")
    if scores.total.unknown:
        out.words(f"{name}: {scores.total.unknown:,} of {scores.listed:,} questions have unknown words")


def _pairs(name: str, scores: PairScores) -> dict[str, Any]:
    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "file": name,
        "spearman": finite(scores.spearman),
        "spearman_p": finite(scores.spearman_p),
        "pearson": finite(scores.pearson),
        "pearson_p": finite(scores.pearson_p),
        "pairs": scores.pairs,
        "unknown": scores.unknown,
        "unknown_ratio": scores.unknown_ratio,
        "skipped_lines": scores.skipped,
    }
