"""What `bleu`, `ter`, `chrf` and `score` do after their options are known: read, evaluate, print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mlkit.cli.commands.metrics.options import Evaluation, Format
from mlkit.cli.output import out
from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import display_name, read_lines
from mlkit.metrics import evaluation as room
from mlkit.metrics.metric import Metric, References, Score, signature_text

if TYPE_CHECKING:
    from mlkit.metrics.ter import SegmentEdits, Ter

Systems = dict[str, list[str]]


def run(chosen: Evaluation, metrics: Sequence[Metric], *, warn_tokenized: bool = False) -> None:
    """Score the systems with the metrics and print what the options ask for."""
    test = _test(chosen)
    references, systems = read(chosen)
    for name, hypotheses in systems.items():
        if warn_tokenized and room.looks_tokenized(hypotheses):
            out.warn(
                f"{display_name(name)}: many lines end in ' .': BLEU wants detokenized text (--force if it is)"
            )
    if chosen.by is not None:
        _print_groups(chosen, metrics, references, systems)
    elif chosen.sentence_level:
        if len(systems) > 1:
            raise UsageError("--sentence-level is for one system")
        _print_segments(chosen, metrics, references, next(iter(systems.values())))
    else:
        if chosen.paired_bs or chosen.paired_ar:
            first, *others = systems
            systems = {f"Baseline: {first}": systems[first], **{name: systems[name] for name in others}}
        with out.progress("Scoring") as report:
            results = room.evaluate(metrics, references, systems, test, report)
        _print_corpus(chosen, list(systems), results)


def _test(chosen: Evaluation) -> room.Test | None:
    if chosen.confidence + chosen.paired_bs + chosen.paired_ar > 1:
        raise UsageError("choose one of --confidence, --paired-bs and --paired-ar")
    if (chosen.confidence or chosen.paired_bs or chosen.paired_ar) and (chosen.sentence_level or chosen.by):
        raise UsageError("statistical tests are for whole corpora, not for --sentence-level or --by")
    if chosen.confidence:
        return room.Test("confidence", chosen.confidence_n, chosen.seed)
    if chosen.paired_bs:
        return room.Test("bootstrap", chosen.paired_bs_n, chosen.seed)
    return room.Test("randomization", chosen.paired_ar_n, chosen.seed) if chosen.paired_ar else None


# reading


def read(chosen: Evaluation) -> tuple[References, Systems]:
    """Return the reference streams, and the systems by name; all line counts agree."""
    if chosen.errors == "skip":
        raise UsageError("--errors skip would move lines away from their references; use replace")
    if (chosen.references + chosen.inputs).count("-") > 1:
        raise UsageError("only one input can be stdin")
    if (chosen.num_refs > 1 or chosen.variable_refs) and len(chosen.references) > 1:
        raise UsageError("tab-separated references come in one file")
    references: References
    if chosen.num_refs > 1 or chosen.variable_refs:
        path = chosen.references[0]
        count = None if chosen.variable_refs else chosen.num_refs
        references = room.split_references(_lines(path, chosen, strip=False), display_name(path), count)
        names = [display_name(path)] * len(references)
    else:
        references = [_lines(path, chosen) for path in chosen.references]
        names = [display_name(path) for path in chosen.references]
    systems = _systems(chosen)
    room.check_systems(references, names, systems)
    return references, systems


def _systems(chosen: Evaluation) -> Systems:
    if chosen.tabs:
        if len(chosen.inputs) > 1:
            raise UsageError("--tabs takes one input with all systems")
        path = chosen.inputs[0]
        return room.split_systems(_lines(path, chosen), display_name(path))
    systems: Systems = {}
    for path in chosen.inputs:
        if path in systems:
            if (chosen.paired_bs or chosen.paired_ar) and path == chosen.inputs[0]:
                out.words(f"{path} is the baseline, given once more: ignored")
                continue
            raise UsageError(f"{path} is given twice")
        systems[path] = _lines(path, chosen)
    return systems


def _lines(path: str, chosen: Evaluation, *, strip: bool = True) -> list[str]:
    if not strip:
        return list(read_lines(path, chosen.errors.value))
    return room.stripped_lines(path, chosen.errors.value)


# printing


def _print_corpus(chosen: Evaluation, names: list[str], results: Sequence[room.Result]) -> None:
    from mlkit.metrics import report

    width = 1 if chosen.width is None else chosen.width
    if chosen.json:
        for number, name in enumerate(names):
            scores = {result.metric.name: _record(result, number) for result in results}
            out.json("mlkit.score", {"system": display_name(name), "scores": scores})
    elif chosen.format == Format.tsv:
        header, *rows = report.result_table(names, results, chosen.width)
        out.table(header, rows)
    elif chosen.format == Format.json:
        several = len(names) > 1
        out.line(
            report.systems_json(names, results, width) if several else report.single_json(results, width)
        )
    elif chosen.format in (None, Format.text) and len(names) == 1:
        for line in report.score_lines(results, width, score_only=chosen.score_only, short=chosen.short):
            out.line(line)
    elif chosen.score_only:
        for number in range(len(names)):
            out.line("\t".join(f"{result.scores[number].value:.{width}f}" for result in results))
    else:
        for line in _layout(chosen, report.readable_table(names, results, width, "±")):
            out.line(line)
        if chosen.format in (None, Format.text):
            _print_legend(chosen, results)


def _print_legend(chosen: Evaluation, results: Sequence[room.Result]) -> None:
    out.line("")
    if chosen.paired_bs or chosen.paired_ar:
        if chosen.paired_bs:
            out.line(f"Paired bootstrap, {chosen.paired_bs_n} resamples: score (mean ± 95 % interval) (p).")
        else:
            out.line(f"Paired approximate randomization, {chosen.paired_ar_n} trials: score (p).")
        out.line("p: how likely a difference to the baseline at least as large is by chance; * p <= 0.05.")
    for result in results:
        out.line(f"{result.metric.name}|{signature_text(result.signature, short=chosen.short)}")


def _layout(chosen: Evaluation, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    from mlkit.metrics import report

    if chosen.format == Format.latex:
        return report.latex(rows)
    return report.markdown(rows) if chosen.format == Format.markdown else report.aligned(rows)


def _record(result: room.Result, number: int) -> dict[str, Any]:
    score = result.scores[number]
    record: dict[str, Any] = {
        "score": score.value,
        **score.details,
        "signature": signature_text(result.signature),
    }
    if score.mean is not None:
        record |= {"mean": score.mean, "interval": score.interval}
    if result.tests:
        found = result.tests[number]
        record |= {"p_value": found.p_value, "mean": found.mean, "interval": found.interval}
    return record


def _print_segments(
    chosen: Evaluation, metrics: Sequence[Metric], references: References, hypotheses: Sequence[str]
) -> None:
    found = room.evaluate_segments(metrics, references, hypotheses)
    width = 1 if chosen.width is None else chosen.width
    if chosen.format in (Format.latex, Format.markdown):
        raise UsageError("--sentence-level prints TSV, --format text or JSON lines")
    if chosen.json or chosen.format == Format.json:
        for number in range(len(hypotheses)):
            record = {
                metric.name: {"score": values[number].value, "statistics": rows[number]}
                for metric, rows, values in found
            }
            out.json("mlkit.score.segment", {"segment": number + 1, "scores": record})
    elif chosen.score_only or chosen.format == Format.text:
        for number in range(len(hypotheses)):
            for metric, _, scores in found:
                signature = signature_text(_segment_signature(metric), short=chosen.short)
                out.line(scores[number].format(width, signature, score_only=chosen.score_only))
    else:
        prefix = len(metrics) > 1
        header = ["segment"]
        for metric, _, _ in found:
            header += [metric.name, *(f"{metric.name}_{name}" if prefix else name for name in metric.columns)]
        rows = (
            [
                number + 1,
                *(cell for _, rows, scores in found for cell in _cells(chosen, scores[number], rows[number])),
            ]
            for number in range(len(hypotheses))
        )
        out.table(header, rows)


def _cells(chosen: Evaluation, score: Score, row: Sequence[float]) -> list[object]:
    return [score.value if chosen.width is None else f"{score.value:.{chosen.width}f}", *row]


def _segment_signature(metric: Metric) -> dict[str, str]:
    """Return the signature of segment scores: BLEU's always have effective order."""
    signature = metric.signature()
    return {**signature, "eff": "yes"} if metric.name == "BLEU" else signature


def _print_groups(
    chosen: Evaluation, metrics: Sequence[Metric], references: References, systems: Systems
) -> None:
    from mlkit.metrics import report

    assert chosen.by is not None
    labels = _lines(chosen.by, chosen)
    count = len(next(iter(systems.values())))
    if len(labels) != count:
        raise DataError(
            f"{len(labels)} labels for {count} segments",
            path=display_name(chosen.by),
            line=min(len(labels), count) + 1,
        )
    groups = room.evaluate_groups(metrics, references, systems, labels)
    counts = {label: labels.count(label) for label in groups}
    if chosen.json or chosen.format == Format.json:
        for label, scores in groups.items():
            for system, values in zip(systems, scores, strict=True):
                figures = {score.name: {"score": score.value, **score.details} for score in values}
                result = {"label": label, "segments": counts[label], "system": display_name(system)}
                out.json("mlkit.score.group", {**result, "scores": figures})
        return
    header, *rows = report.group_table(list(systems), groups, counts, chosen.width)
    if chosen.format not in (None, Format.tsv):
        for line in _layout(chosen, [header, *rows]):
            out.line(line)
    else:
        out.table(header, rows)


# TER's edits


def run_edits(chosen: Evaluation, metric: Ter) -> None:
    """Print the counts of edits per segment, and their sums."""
    from mlkit.metrics import report

    parts = _edits(chosen, metric)
    rows: list[list[Any]] = []
    for number, part in enumerate(parts, 1):
        value = metric.score([part.edits.total, part.average_length]).value
        rows.append([number, *report.edit_counts(part.edits), part.average_length, value])
    sums = report.edit_totals(parts)
    rows.append(["total", *sums, metric.score(sums[-2:]).value])
    if chosen.json or chosen.format == Format.json:
        for row in rows:
            out.json("mlkit.ter.edits", dict(zip(report.EDIT_COLUMNS, row, strict=True)))
    else:
        out.table(report.EDIT_COLUMNS, rows)


def run_alignment(chosen: Evaluation, metric: Ter) -> None:
    """Print the alignment of each segment."""
    from mlkit.metrics import report

    for number, part in enumerate(_edits(chosen, metric), 1):
        score = metric.score([part.edits.total, part.average_length])
        if chosen.json or chosen.format == Format.json:
            out.json("mlkit.ter.alignment", report.alignment_record(number, part, score))
        else:
            for line in report.alignment_block(number, part, score, several=metric.several_references):
                out.line(line)


def _edits(chosen: Evaluation, metric: Ter) -> list[SegmentEdits]:
    if _test(chosen) is not None or chosen.sentence_level or chosen.by:
        raise UsageError("--edits and --alignment print segments; they go with no other kind of output")
    references, systems = read(chosen)
    if len(systems) > 1:
        raise UsageError("--edits and --alignment are for one system")
    metric.prepare(references)
    return metric.edits(next(iter(systems.values())))
