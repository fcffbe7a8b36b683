"""Options that the commands on tables share, each declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.output import out

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlkit.formats.table_files import Table, TableFormat
    from mlkit.tables.columns import Columns

TABLE, TREE, SAMPLE = "Table", "Trees", "Sampling"
MOST_SHOWN = 30  # classes of a confusion matrix

TableArgument = Annotated[
    str, typer.Argument(help="Table: CSV, TSV, LibSVM or Parquet; '-' is stdin.", show_default=False)
]
ModelArgument = Annotated[str, typer.Argument(help="Model file.", show_default=False)]
ModelOutput = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="The model file.", show_default=False)
]
Target = Annotated[
    str,
    typer.Option(
        "--target", metavar="NAME|N", help="Column to learn, by name or number from 1.", show_default=False
    ),
]
TargetOrModels = Annotated[
    str | None,
    typer.Option("--target", metavar="NAME", help="Column with the truth.", show_default="the model's"),
]
Weight = Annotated[
    str | None, typer.Option("--weight", metavar="NAME", rich_help_panel=TABLE, help="Column of row weights.")
]
Ignore = Annotated[
    str | None, typer.Option("--ignore", metavar="A,B", rich_help_panel=TABLE, help="Columns to leave out.")
]
Categorical = Annotated[
    str | None,
    typer.Option(
        "--categorical", metavar="A,B", rich_help_panel=TABLE, help="Columns of numbers that are categories."
    ),
]
Id = Annotated[
    str | None,
    typer.Option("--id", metavar="A,B", rich_help_panel=TABLE, help="Columns that only name rows."),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        "--delimiter", metavar="C", rich_help_panel=TABLE, help="Field separator.", show_default="found out"
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header", rich_help_panel=TABLE, help="Whether the first line names columns.",
        show_default="found out",
    ),
]  # fmt: skip
Missing = Annotated[
    str | None,
    typer.Option(
        "--na",
        metavar="A,B",
        rich_help_panel=TABLE,
        help="More words for missing (besides empty, NA, NaN, ?, null).",
    ),
]
Task = Annotated[
    str,
    typer.Option(
        "--task", metavar="TASK", help="classification, regression, or auto: what the target looks like."
    ),
]
ClassWeight = Annotated[
    str | None,
    typer.Option(
        "--class-weight", metavar="SPEC", rich_help_panel=SAMPLE, help="'balanced', or CLASS=WEIGHT,..."
    ),
]
Rounds = Annotated[
    int, typer.Option("--rounds", "-n", min=1, metavar="N", help="Rounds of boosting, or models of a bag.")
]
Bins = Annotated[
    int, typer.Option("--bins", min=2, max=255, metavar="N", rich_help_panel=TREE, help="Bins per column.")
]
MaxDepth = Annotated[
    int | None,
    typer.Option(
        "--max-depth", min=0, metavar="N", rich_help_panel=TREE, help="Depth of trees, 0 for no bound."
    ),
]
Rows = Annotated[
    float,
    typer.Option(
        "--rows", metavar="PART", rich_help_panel=SAMPLE, help="Part of the rows that a round or model draws."
    ),
]
Folds = Annotated[int, typer.Option("--folds", "-k", min=2, metavar="K", help="Number of folds.")]
Group = Annotated[
    str | None, typer.Option("--group", metavar="NAME", help="Column whose equal values stay in one fold.")
]
Stratified = Annotated[
    bool, typer.Option("--stratified/--shuffled", help="Deal every class out evenly over the folds.")
]


def split(text: str | None) -> tuple[str, ...]:
    """Return the parts of ``a,b``."""
    return tuple(part for part in (text or "").split(",") if part)


def table_format(
    delimiter: str | None, header: bool | None, missing: str | None, errors: Any = None
) -> TableFormat:
    """Return how a table is written down."""
    from mlkit.formats.table_files import TableFormat

    mark = {"\\t": "\t", "tab": "\t"}.get(delimiter or "", delimiter)
    return TableFormat(
        delimiter=mark, header=header, missing=split(missing), errors=getattr(errors, "value", "strict")
    )


def reader(form: TableFormat) -> Callable[[str], Callable[[], Table]]:
    """Return what gives, for a path, the function that reads its table: one that workers can import."""
    from functools import partial

    from mlkit.formats.table_files import read_table

    return lambda path: partial(read_table, path, form)


def format_for(model: Any, form: TableFormat) -> TableFormat:
    """Return the format with the words for missing that the model was trained with."""
    from dataclasses import replace

    marks = (getattr(model, "settings", None) or {}).get("na", ())
    return replace(form, missing=tuple(dict.fromkeys((*form.missing, *marks))))


@dataclass(frozen=True)
class ColumnOptions:
    """Which columns play which part, besides the target."""

    class_weight: ClassWeight = None
    weight: Weight = None
    ignore: Ignore = None
    id: Id = None
    categorical: Categorical = None

    def roles(self, target: str, task: str, bins: int = 255, min_bin_rows: int = 3) -> Columns:
        """Return which columns play which part."""
        from mlkit.tables.columns import Columns

        ignored = (*split(self.ignore), *split(self.id))
        categorical = split(self.categorical)
        return Columns(target, self.weight, ignored, categorical, task, self.class_weight, bins, min_bin_rows)

    def as_text(self, target: str) -> tuple[str, ...]:
        """Return the columns whose text matters, whatever it looks like: the target and named categories."""
        return (target, *split(self.categorical))


@dataclass(frozen=True)
class FormatOptions:
    """How a table is written down."""

    delimiter: Delimiter = None
    header: Header = None
    na: Missing = None
    errors: options.Errors = options.TextErrors.strict

    @property
    def form(self) -> TableFormat:
        """Return the format that readers of tables take."""
        return table_format(self.delimiter, self.header, self.na, self.errors)


@dataclass(frozen=True)
class FoldOptions:
    """How cross-validation deals out the rows."""

    folds: Folds = 5
    group: Group = None
    stratified: Stratified = True


def tell(model: Any) -> None:
    """Say on stderr what has been learnt."""
    kind = f"{len(model.classes)} classes" if model.classes else "a number"
    columns = "1 column" if len(model.names) == 1 else f"{len(model.names):,} columns"
    out.words(f"target {model.target!r} ({kind}), {columns}")
    for name, value in (getattr(model, "metrics", None) or {}).items():
        if isinstance(value, dict):
            shown = ", ".join(f"{key} {figure(part)}" for key, part in value.items())
            out.words(f"{name.replace('_', ' ')}: {shown}")
        else:
            out.words(f"{name.replace('_', ' ')}: {figure(value)}")


def show_metrics(found: dict[str, Any]) -> None:
    """Print the metrics of a model as a table, and the confusion matrix where it is not too large to be read."""
    classes, confusion = found.pop("classes", []), found.pop("confusion", [])
    out.table(("metric", "value"), ((name, figure(value)) for name, value in found.items()))
    if len(classes) > MOST_SHOWN:
        out.words(f"the confusion matrix of {len(classes)} classes is in the output of --json")
    elif classes:
        out.line("")
        names = [one_line(name) for name in classes]
        out.table(
            ("true \\ predicted", *names),
            ((name, *map(figure, row)) for name, row in zip(names, confusion, strict=True)),
        )


def one_line(text: str) -> str:
    """Return a text as a field of a table: tabs and line ends as \\t and \\n."""
    return text.replace("\t", "\\t").replace("\r", "\\r").replace("\n", "\\n")


def figure(value: Any) -> str:
    """Return a number as a table shows it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
