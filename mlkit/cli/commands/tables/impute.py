"""`mlkit impute`: fill missing values."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.output import out
from mlkit.cli.registry import App

app = App(help="Fill the missing values of a table, or delete rows that have any.")


@app.command()
def impute(
    table: t.TableArgument = "-", output: options.Output = "-",
    strategy: Annotated[
        str, typer.Option("--strategy", "-s", metavar="NAME", help="mean, median, mode, constant or delete.")
    ] = "mean",
    value: Annotated[str | None, typer.Option("--value", metavar="X", help="The constant.")] = None,
    columns: Annotated[
        str | None, typer.Option("--columns", metavar="A,B", help="Columns to work on.", show_default="all")
    ] = None,
    learn_from: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Take means, medians and modes from this table.")
    ] = None,
    indicators: Annotated[
        bool, typer.Option("--indicators", help="Add a column NAME_missing of 0 and 1.", show_default=False)
    ] = False,
    delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict,
) -> None:  # fmt: skip
    """Fill the missing values of a table, or delete rows that have any.

    Words are filled by the most frequent one under mean and median too.

    \b
    Example:
      mlkit impute train.csv --strategy median -o filled.csv
    """
    from mlkit.formats.streams import refuse_same_file
    from mlkit.formats.table_files import read_table, write_table
    from mlkit.tables import fill_values
    from mlkit.tables import impute as fill

    refuse_same_file(output, [table, *([learn_from] if learn_from else [])])
    form = t.table_format(delimiter, header, na, errors)
    rows = read_table(table, form)
    names = list(t.split(columns)) or None
    source = rows if learn_from is None else read_table(learn_from, form)
    values = fill_values(source, strategy, names, value)
    gone = (names or rows.names) if strategy == "delete" else []
    made, count = fill(rows, values, delete=gone, indicators=indicators, source=source)
    write_table(output, made, delimiter=form.delimiter)
    out.words(f"{count:,} rows deleted" if gone else f"{count:,} values filled")
