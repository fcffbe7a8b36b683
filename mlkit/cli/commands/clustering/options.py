"""Options that `mlkit kmeans` and `mlkit gmm` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.output import out
from mlkit.errors import UsageError

if TYPE_CHECKING:
    from mlkit.clustering.inputs import Space

TEXT_SUFFIXES = (".tsv", ".csv", ".tab", ".txt")

Tolerance = Annotated[
    float,
    typer.Option(
        "--tol", metavar="X", help="Stop when the steps of centres are below this part of the spread."
    ),
]
Scale = Annotated[bool, typer.Option("--scale", help="Give every column mean 0 and spread 1 first.")]
Input = Annotated[
    str,
    typer.Argument(
        help="Table (CSV, TSV, LibSVM, Parquet) or word vectors; '-' is stdin.", show_default=False
    ),
]
Kind = Annotated[
    str,
    typer.Option("--kind", metavar="KIND", help="table, vectors, or auto: by suffix and first line."),
]
SampleRows = Annotated[
    int,
    typer.Option("--sample", min=0, metavar="N", help="Rows of which the silhouette is taken (0: none)."),
]
Runs = Annotated[int, typer.Option("--runs", min=1, metavar="N", help="Runs; the best one is kept.")]
Counts = Annotated[
    str, typer.Option("--clusters", "-k", metavar="N..M", help="How many clusters.", show_default=False)
]
Plot = Annotated[str | None, options.file("--plot", "Draw the curve into a file (.svg, .png, .txt).")]


def counts(text: str) -> list[int]:
    """Return the numbers of ``8``, ``2..12`` or ``2,4,8``."""
    first, dots, last = text.partition("..")
    parts = [first, last] if dots else text.split(",")
    try:
        found = [int(part) for part in parts]
    except ValueError:
        found = []
    if dots and len(found) == 2:
        found = list(range(found[0], found[1] + 1))
    if not found or min(found) < 1:
        raise UsageError(f"-k {text!r} is neither a number from 1 on nor a range such as 2..12")
    return found


def writes_rows(path: str) -> bool:
    """Say whether an output is a text of assignments: stdout, or a suffix of tables; else it is a model."""
    from mlkit.formats.streams import plain_suffix

    return path == "-" or plain_suffix(path).lower() in TEXT_SUFFIXES


def show(figures: dict[str, Any], schema: str, json: bool) -> None:
    """Print figures as JSON or as a table."""
    if json:
        out.json(schema, figures)
        return
    plain = {name: value for name, value in figures.items() if not isinstance(value, (list, dict))}
    out.table(("measure", "value"), ((name, shown(value)) for name, value in plain.items()))


def shown(value: Any) -> str:
    """Return a figure as a table shows it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def tell_left_out(words: list[str], space: Space) -> None:
    """Say which columns of words are not used."""
    if words:
        several = "columns" if len(words) > 1 else "column"
        verb = "are" if len(words) > 1 else "is"
        out.words(
            f"{several} {', '.join(map(repr, words))} of words {verb} left out; {len(space.names)} columns of numbers"
        )
