"""`mlkit resample`: balance classes, split tables."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.output import out
from mlkit.cli.registry import App

app = App(help="Sample the rows of a table: balance classes, split into parts.")

ClassColumn = Annotated[
    str, typer.Option("--target", metavar="NAME", help="Column of classes.", show_default=False)
]
Ratio = Annotated[
    float, typer.Option("--ratio", metavar="X", help="Size of the smallest class over that of the largest.")
]


def _balance(how: str, table: str, target: str, ratio: float, output: str, form: object, seed: int) -> None:
    from mlkit.formats.streams import refuse_same_file
    from mlkit.formats.table_files import TableFormat, read_table, write_table
    from mlkit.tables import balance_rows

    assert isinstance(form, TableFormat)
    refuse_same_file(output, [table])
    rows = read_table(table, form)
    kept = balance_rows(rows, target, how, ratio=ratio, seed=seed)
    write_table(output, rows.take(kept), delimiter=form.delimiter)
    out.words(f"{rows.rows:,} rows in, {len(kept):,} out")


@app.command()
def over(
    table: t.TableArgument, target: ClassColumn, output: options.Output = "-", ratio: Ratio = 1.0,
    delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Repeat rows of rare classes.

    \b
    Example:
      mlkit resample over train.csv --target species -o balanced.csv
    """
    _balance("over", table, target, ratio, output, t.table_format(delimiter, header, na, errors), seed)


@app.command()
def under(
    table: t.TableArgument, target: ClassColumn, output: options.Output = "-", ratio: Ratio = 1.0,
    delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Leave out rows of frequent classes.

    \b
    Example:
      mlkit resample under train.csv --target species -o balanced.csv
    """
    _balance("under", table, target, ratio, output, t.table_format(delimiter, header, na, errors), seed)


@app.command()
def split(
    table: t.TableArgument, output: options.Output,
    rest: Annotated[str, typer.Option("--test-output", metavar="FILE", help="Where the other part goes.")],
    part: Annotated[float, typer.Option("--test", metavar="PART", help="Size of the other part.")] = 0.2,
    stratify: Annotated[
        str | None, typer.Option("--stratify", metavar="NAME", help="Keep the shares of this column's values.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="Keep rows with equal values together.")
    ] = None,
    delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Split a table in two at random.

    \b
    Example:
      mlkit resample split all.csv --stratify species -o train.csv --test-output test.csv
    """
    from mlkit.errors import UsageError
    from mlkit.formats.streams import refuse_same_file
    from mlkit.formats.table_files import read_table, write_table
    from mlkit.tables import split_rows

    refuse_same_file(output, [table])
    refuse_same_file(rest, [table])
    if output == rest:
        raise UsageError("-o and --test-output are the same file")
    form = t.table_format(delimiter, header, na, errors)
    rows = read_table(table, form)
    second = split_rows(rows, part, column=stratify, group=group, seed=seed)
    write_table(output, rows.take(~second), delimiter=form.delimiter)
    write_table(rest, rows.take(second), delimiter=form.delimiter)
    out.words(f"{int((~second).sum()):,} rows and {int(second.sum()):,} rows")
