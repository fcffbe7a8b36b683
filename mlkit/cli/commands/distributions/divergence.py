"""`mlkit divergence`: how far two distributions are apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.output import out
from mlkit.cli.registry import App

if TYPE_CHECKING:
    from mlkit.distributions.tables import ColumnShift, TwoSampleTest

app = App()
WORDS, TABLES, MODELS = "Words", "Tables", "Models"

File = Annotated[
    str,
    typer.Argument(help="Counts or texts; with --tables tables, with --models models.", show_default=False),
]
Tables = Annotated[
    bool, typer.Option("--tables", rich_help_panel=TABLES, help="Compare the columns of two tables.")
]
Models = Annotated[
    bool, typer.Option("--models", rich_help_panel=MODELS, help="Compare two n-gram models on --text.")
]
Text = Annotated[
    list[str] | None,
    typer.Option("--text", metavar="FILE", rich_help_panel=MODELS, help="Text that neither has seen."),
]
Base = Annotated[str, typer.Option("--base", metavar="2|e|10", help="Of the logarithms: bits, nats or tens.")]
Smooth = Annotated[
    float,
    typer.Option(
        "--smooth", metavar="K", rich_help_panel=WORDS, help="Added to the count of every word of either."
    ),
]
Corrected = Annotated[
    bool,
    typer.Option("--corrected", rich_help_panel=WORDS, help="Entropies with Miller and Madow's correction."),
]
Kind = Annotated[
    str,
    typer.Option(
        "--kind", metavar="KIND", rich_help_panel=WORDS, help="counts, text, or auto: by the first lines."
    ),
]
Columns = Annotated[
    str | None, typer.Option("--columns", metavar="A,B", rich_help_panel=TABLES, help="Compare these only.")
]
Classifier = Annotated[
    bool,
    typer.Option(
        "--classifier",
        rich_help_panel=TABLES,
        help="Also try to tell the tables apart by boosted trees (AUC).",
    ),
]


@app.command()
def divergence(
    a: File, b: File, tables: Tables = False, models: Models = False, text: Text = None, base: Base = "2",
    smooth: Smooth = 0.0, corrected: Corrected = False, kind: Kind = "auto", columns: Columns = None,
    classifier: Classifier = False, ignore: t.Ignore = None, delimiter: t.Delimiter = None, header: t.Header = None,
    na: t.Missing = None, errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None,
    seed: options.Seed = 1, json: options.Json = False,
) -> None:  # fmt: skip
    """Compare distributions: words, tables, language models.

    Words: entropies, cross-entropy, KL both ways, Jensen-Shannon, total variation, Hellinger of two files of counts
    ('mlkit vocab' writes them) or two texts. Tables: a line per column, the most shifted first; PSI is by tenths of A,
    psi_expected what it is without any shift, p by 200 shuffles. Models: cross-entropy per token.

    \b
    Examples:
      mlkit divergence january.txt february.txt --json
      mlkit divergence --tables adult.train.csv adult.test.csv --classifier
      mlkit divergence --models a.arpa b.bin --text held-out.txt
    """
    from mlkit.errors import UsageError
    from mlkit.threads import thread_count

    if tables and models:
        raise UsageError("--tables and --models exclude each other")
    if models != bool(text):
        raise UsageError("--models and --text belong together")
    if not tables and (classifier or columns is not None or ignore is not None):
        raise UsageError("--classifier, --columns and --ignore belong to --tables")
    if (tables or models) and (smooth or corrected or kind != "auto"):
        raise UsageError("--smooth, --corrected and --kind are for words")
    if models:
        from mlkit.distributions.models import compare_models

        found = compare_models(
            a, b, text or [], base=base, threads=thread_count(threads), errors=errors.value
        )
        _show(found, json, "mlkit.divergence.models")
    elif tables:
        form = t.table_format(delimiter, header, na, errors)
        _tables(a, b, form, columns, ignore, base, classifier, thread_count(threads), seed, json)
    else:
        from mlkit.distributions.measures import compare_counts
        from mlkit.distributions.words import aligned, read_counts

        _, first, second = aligned(read_counts(a, kind, errors.value), read_counts(b, kind, errors.value))
        found = compare_counts(first, second, base=base, smooth=smooth, corrected=corrected)
        _show(found, json, "mlkit.divergence")
        for name, mass, inside, outside in (("kl", "unseen_a", a, b), ("kl_reverse", "unseen_b", b, a)):
            if math.isinf(found[name]):
                out.words(
                    f"{name} is infinite: {100 * found[mass]:.4g} % of {inside} are words that {outside} has not; "
                    "--smooth 1 makes it finite"
                )


def _show(found: dict[str, Any], json: bool, schema: str) -> None:
    if json:
        # JSON has no infinity: null, and the names of what is infinite
        infinite = [name for name, value in found.items() if isinstance(value, float) and math.isinf(value)]
        plain = {name: None if name in infinite else value for name, value in found.items()}
        out.json(schema, {**plain, "infinite": infinite})
    else:
        out.table(("measure", "value"), ((name, t.figure(value)) for name, value in found.items()))


def _tables(
    a: str, b: str, form: Any, columns: str | None, ignore: str | None, base: str, classifier: bool, threads: int,
    seed: int, json: bool,
) -> None:  # fmt: skip
    from mlkit.distributions.tables import as_json, classifier_test, column_shifts, shared_columns
    from mlkit.formats.table_files import read_table

    first, second = read_table(a, form), read_table(b, form)
    names = shared_columns(first, second, t.split(ignore), t.split(columns))
    only = [name for name in (*first.names, *second.names) if (name in first.names) != (name in second.names)]
    if only:
        out.words(f"only in one of the tables: {', '.join(map(repr, only))}")
    with out.progress("Comparing") as report:
        shifts = column_shifts(first, second, names, base=base, seed=seed, progress=report)
        test = classifier_test(first, second, names, seed=seed, threads=threads) if classifier else None
    if json:
        out.json(
            "mlkit.divergence.tables", {"rows_a": first.rows, "rows_b": second.rows, **as_json(shifts, test)}
        )
        return
    _lines(shifts)
    out.words(f"{first.rows:,} rows and {second.rows:,} rows")
    if test is not None:
        _tell_test(test)


def _lines(shifts: list[ColumnShift]) -> None:
    from dataclasses import astuple, fields

    header = tuple(field.name for field in fields(shifts[0]))
    out.table(
        header,
        (tuple("" if value is None else _short(value) for value in astuple(shift)) for shift in shifts),
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else t.one_line(str(value))


def _tell_test(test: TwoSampleTest) -> None:
    out.line("")
    out.table(("classifier", "value"), (("auc", f"{test.auc:.4f}"), ("p", f"{test.p:.3g}")))
    out.line("")
    out.table(("column", "gain"), ((t.one_line(name), f"{gain:.4f}") for name, gain in test.columns))
