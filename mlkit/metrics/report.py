"""Results as text: sacreBLEU's lines and JSON, aligned, TSV, LaTeX and Markdown tables, Tercom's reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mlkit.metrics.metric import Score, signature_text

if TYPE_CHECKING:
    from mlkit.metrics.evaluation import Result
    from mlkit.metrics.ter import SegmentEdits
    from mlkit.metrics.ter_shifts import Edits, Shift

Row = Sequence[str]


# sacreBLEU's own formats


def score_lines(results: Sequence[Result], width: int, *, score_only: bool, short: bool) -> list[str]:
    """Return one line per metric for one system, as sacreBLEU's ``-f text``: aligned at the equals sign."""
    lines = [
        result.scores[0].format(width, signature_text(result.signature, short=short), score_only=score_only)
        for result in _by_name(results)
    ]
    if score_only or len(lines) == 1:
        return lines
    widest = max(line.index(" = ") for line in lines)
    return [" " * (widest - line.index(" = ")) + line for line in lines]


def single_json(results: Sequence[Result], width: int) -> str:
    """Return one system's scores as sacreBLEU's ``-f json`` does, rounded to `width`."""
    texts = []
    for result in _by_name(results):
        score = result.scores[0]
        record: dict[str, Any] = {
            "name": score.name,
            "score": float(f"{score.value:.{width}f}"),
            "signature": signature_text(result.signature),
        }
        if score.mean is not None and score.mean > 0:
            mean, interval = f"{score.mean:.{width}f}", f"{score.interval:.{width}f}"
            record["confidence_mean"], record["confidence_var"] = float(mean), float(interval)
            record["confidence"] = f"μ = {mean} ± {interval}"
        if score.verbose:
            record["verbose_score"] = score.verbose
        texts.append(json.dumps({**record, **result.signature}, indent=1, ensure_ascii=False))
    return texts[0] if len(texts) == 1 else "[\n" + ",\n".join(texts) + "\n]"


def systems_json(names: Sequence[str], results: Sequence[Result], width: int) -> str:
    """Return several systems' scores, or a paired test's results, as sacreBLEU's ``-f json`` does."""
    rows: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        row: dict[str, Any] = {"system": name}
        for result in _by_name(results):
            if result.tests:
                found = result.tests[number]
                row[result.metric.name] = {
                    "score": found.score, "p_value": found.p_value, "mean": found.mean, "ci": found.interval,
                }  # fmt: skip
            else:
                row[result.metric.name] = f"{result.scores[number].value:.{width}f}"
        rows.append(row)
    return json.dumps(rows, indent=4)


def _by_name(results: Sequence[Result]) -> list[Result]:
    """Return the results in the order in which sacreBLEU prints them: BLEU, chrF, TER."""
    return sorted(results, key=lambda result: result.metric.name.upper())


# tables


def result_table(names: Sequence[str], results: Sequence[Result], width: int | None) -> list[Row]:
    """Return header and rows of all systems; with a `width` for people, without one all digits for programs."""
    header = ["system"]
    tested = [kind for kind in ("mean", "interval", "p_value") if _any_test(results, kind)]
    for result in results:
        name = result.metric.name
        header.append(name)
        header += [f"{name}_{kind}" for kind in tested]
    rows: list[Row] = [header]
    for number, system in enumerate(names):
        row = [system]
        for result in results:
            row.append(_number(result.scores[number].value, width))
            for kind in tested:
                value = _test_value(result, number, kind)
                row.append("" if value is None else _number(value, None if kind == "p_value" else width))
        rows.append(row)
    return rows


def readable_table(names: Sequence[str], results: Sequence[Result], width: int, plus_minus: str) -> list[Row]:
    """Return header and rows with mean, interval and p-value beside the score, as papers print them."""
    rows: list[Row] = [["System", *(result.metric.name for result in results)]]
    for number, system in enumerate(names):
        row = [system]
        for result in results:
            text = f"{result.scores[number].value:.{width}f}"
            mean, interval, p_value = (
                _test_value(result, number, kind) for kind in ("mean", "interval", "p_value")
            )
            if mean is not None:
                text += f" ({mean:.{width}f} {plus_minus} {interval:.{width}f})"
            if p_value is not None:
                text += f" (p = {p_value:.4f}){'*' if p_value <= 0.05 else ''}"
            row.append(text)
        rows.append(row)
    return rows


def group_table(
    names: Sequence[str], groups: dict[str, list[list[Score]]], counts: dict[str, int], width: int | None
) -> list[Row]:
    """Return header and rows of scores per group."""
    first = next(iter(groups.values()))[0]
    several = len(names) > 1
    rows: list[Row] = [
        ["label", "segments", *(["system"] if several else []), *(score.name for score in first)]
    ]
    for label, systems in groups.items():
        for name, scores in zip(names, systems, strict=True):
            values = [_number(score.value, width) for score in scores]
            rows.append([label, str(counts[label]), *([name] if several else []), *values])
    return rows


def aligned(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a table for a terminal: first column left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
        ]
        yield "  ".join(cells).rstrip()


def markdown(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    safe = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    yield "| " + " | ".join(safe[0]) + " |"
    yield "|---|" + "---:|" * (len(rows[0]) - 1)
    for row in safe[1:]:
        yield "| " + " | ".join(row) + " |"


def latex(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a LaTeX table in the style of booktabs."""
    yield "\\begin{tabular}{l" + "r" * (len(rows[0]) - 1) + "}"
    yield "\\toprule"
    for number, row in enumerate(rows):
        yield " & ".join(map(_latex_text, row)) + " \\\\"
        if number == 0:
            yield "\\midrule"
    yield "\\bottomrule"
    yield "\\end{tabular}"


def _latex_text(text: str) -> str:
    for character in "_%&#":
        text = text.replace(character, f"\\{character}")
    return text.replace("±", "$\\pm$").replace("μ", "$\\mu$")


def _any_test(results: Sequence[Result], kind: str) -> bool:
    return any(
        _test_value(result, number, kind) is not None
        for result in results
        for number in range(len(result.scores))
    )


def _test_value(result: Result, number: int, kind: str) -> float | None:
    source: Any = result.tests[number] if result.tests else result.scores[number]
    value: float | None = getattr(source, kind, None)
    return value


def _number(value: float, width: int | None) -> str:
    return repr(value) if width is None else f"{value:.{width}f}"


# TER's edits


EDIT_COLUMNS = (
    "segment", "insertions", "deletions", "substitutions", "shifts", "shifted_words", "edits", "ref_len", "TER",
)  # fmt: skip


def edit_counts(edits: Edits) -> list[int]:
    """Return insertions, deletions, substitutions, shifts, shifted words and the sum of edits."""
    path = edits.path
    counts = [path.count("I"), path.count("D"), path.count("S")]
    return [*counts, len(edits.shifts), edits.shifted_words, edits.total]


def edit_totals(parts: Sequence[SegmentEdits]) -> list[float]:
    """Return the sums of `edit_counts` and of the reference lengths."""
    rows = [[*edit_counts(part.edits), part.average_length] for part in parts]
    return list(map(sum, zip(*rows, strict=True)))


def alignment_record(number: int, part: SegmentEdits, score: Score) -> dict[str, Any]:
    """Return a segment's shifts and path for programs."""
    return {
        "segment": number,
        "TER": score.value,
        "edits": part.edits.total,
        "reference": part.reference + 1,
        "reference_words": list(part.reference_words),
        "hypothesis_words": list(part.hypothesis_words),
        "shifts": [
            {"start": shift.start, "length": shift.length, "to": _place(len(part.hypothesis_words), shift)}
            for shift in part.edits.shifts
        ],
        "path": part.edits.path,
    }


def alignment_block(number: int, part: SegmentEdits, score: Score, *, several: bool) -> Iterator[str]:
    """Yield a segment's alignment: reference, shifted hypothesis, edits and numbers of shifts in columns.

    The rows are those of Tercom's .pra files: I is a hypothesis word too many, D a missing one, S a wrong one;
    stars stand for no word.
    """
    words = after_shifts(part.hypothesis_words, part.edits.shifts)
    reference = iter(part.reference_words)
    hypothesis = iter(words)
    columns: list[tuple[str, str, str, str]] = []
    for edit in part.edits.path:
        wanted = "" if edit == "I" else next(reference)
        word, shift = ("", 0) if edit == "D" else next(hypothesis)
        stars = "*" * max(len(wanted), len(word))
        columns.append((wanted or stars, word or stars, edit.strip(), str(shift or "")))
    chosen = f", reference {part.reference + 1}" if several else ""
    length = f"{part.average_length:g}"
    edits = f"{part.edits.total} edit{'s' * (part.edits.total != 1)}"
    yield f"Segment {number}: TER {score.value:.2f} ({edits} / {length} words{chosen})"
    widths = [max(map(len, column)) for column in columns]
    for row, title in enumerate(("REF", "HYP", "EVAL", "SHFT")):
        cells = (column[row].ljust(width) for column, width in zip(columns, widths, strict=True))
        yield f"{title + ':':<6}{' '.join(cells)}".rstrip()
    current = list(part.hypothesis_words)
    for count, move in enumerate(part.edits.shifts, 1):
        block = " ".join(current[move.start : move.start + move.length])
        moved = _apply(current, move)
        yield f"Shift {count}: [{block}] from {move.start + 1} to {_place(len(current), move) + 1}"
        current = moved
    yield ""


def after_shifts(words: Sequence[str], shifts: Iterable[Shift]) -> list[tuple[str, int]]:
    """Return the words in their last order, each with the number of the last shift that moved it (0: none)."""
    current = [(word, 0) for word in words]
    for count, shift in enumerate(shifts, 1):
        stop = shift.start + shift.length
        current[shift.start : stop] = [(word, count) for word, _ in current[shift.start : stop]]
        current = _apply(current, shift)
    return current


def _apply(words: list[Any], shift: Shift) -> list[Any]:
    block = words[shift.start : shift.start + shift.length]
    rest = words[: shift.start] + words[shift.start + shift.length :]
    place = _place(len(words), shift)
    return rest[:place] + block + rest[place:]


def _place(count: int, shift: Shift) -> int:
    """Return where the moved block begins after the shift."""
    if shift.target < shift.start:
        return shift.target
    if shift.target > shift.start + shift.length:
        return shift.target - shift.length
    return min(shift.target, count - shift.length)
