"""`mlkit table`: look at a table."""

from __future__ import annotations

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.output import out
from mlkit.cli.registry import App

app = App(help="Look at a table.")


@app.callback()
def table() -> None:
    """Look at a table."""


@app.command()
def info(
    table: t.TableArgument = "-", delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, json: options.Json = False,
) -> None:  # fmt: skip
    """Show the columns of a table: type, missing values, range.

    For categories, the number of distinct values and the most frequent one.

    \b
    Example:
      mlkit table info train.csv
    """
    from dataclasses import asdict

    from mlkit.formats.table_files import read_table
    from mlkit.tables import describe_columns

    rows = read_table(table, t.table_format(delimiter, header, na, errors))
    if json:
        columns = [
            {k: v for k, v in asdict(column).items() if v is not None} for column in describe_columns(rows)
        ]
        out.json("mlkit.table", {"rows": rows.rows, "columns": columns})
        return
    out.words(f"{rows.rows:,} rows, {len(rows.names)} columns")

    def shown(value: object) -> str:
        return "" if value is None else f"{value:.6g}" if isinstance(value, float) else t.one_line(str(value))

    names = ("column", "type", "missing", "distinct", "min", "max", "mean", "top", "top_count")
    out.table(
        names, ([shown(value) for value in asdict(column).values()] for column in describe_columns(rows))
    )
