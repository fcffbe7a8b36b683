"""`mlkit reweight`: weights against covariate shift and label shift."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.output import out
from mlkit.cli.registry import App

app = App(help="Weight rows against distribution shift, for --weight of the trainers.")

Toward = Annotated[
    str, typer.Option("--toward", metavar="FILE", help="Rows of the new distribution.", show_default=False)
]
Name = Annotated[str, typer.Option("--column", metavar="NAME", help="Name of the new column.")]


@app.command()
def covariate(
    table: t.TableArgument, toward: Toward, output: options.Output = "-", column: Name = "weight",
    classifier: Annotated[str, typer.Option("--classifier", metavar="NAME", help="logistic or boost.")] = "logistic",
    clip: Annotated[float, typer.Option("--clip", metavar="X", help="Largest ratio.")] = 10.0,
    ignore: t.Ignore = None, delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Weight every row by p_new(x) / p_old(x), the odds of a domain classifier.

    Columns that the tables do not share (the target) are left out; --ignore leaves out more.

    \b
    Example:
      mlkit reweight covariate train.csv --toward test.csv --ignore id -o weighted.csv
    """
    from mlkit.formats.streams import refuse_same_file
    from mlkit.formats.table_files import read_table, write_table
    from mlkit.threads import thread_count
    from mlkit.trees.reweight import covariate_weights

    refuse_same_file(output, [table, toward])
    form = t.table_format(delimiter, header, na, errors)
    rows = read_table(table, form)
    found = covariate_weights(
        rows, read_table(toward, form), ignore=t.split(ignore), classifier=classifier, clip=clip, seed=seed,
        threads=thread_count(threads),
    )  # fmt: skip
    write_table(output, rows.with_column(column, found.weights), delimiter=form.delimiter)
    if found.auc > 0.99:
        out.warn(
            "the tables hardly overlap: weights cannot make one of them stand for the other (is a column an id?)"
        )
    out.words(f"domain AUC {found.auc:.4f}; the weights leave {found.effective_rows:.0f} of {rows.rows} rows")


@app.command()
def label(
    table: t.TableArgument, toward: Toward,
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="FILE", help="A classifier of mlkit.", show_default=False)
    ],
    valid: Annotated[
        str,
        typer.Option("--valid", metavar="FILE", help="Rows with the truth, not trained on.", show_default=False),
    ],
    output: options.Output = "-", column: Name = "weight", delimiter: t.Delimiter = None, header: t.Header = None,
    na: t.Missing = None, errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None,
) -> None:  # fmt: skip
    """Weight every row by the new share of its class over the old.

    The new shares follow from the confusion matrix of --model on --valid and its predictions on --toward.

    \b
    Example:
      mlkit reweight label train.csv --model boost.model --valid valid.csv --toward test.csv -o weighted.csv
    """
    from mlkit.formats.streams import refuse_same_file
    from mlkit.formats.table_files import read_table, write_table
    from mlkit.tables.target import known_classes
    from mlkit.threads import thread_count
    from mlkit.trees import load_predictor
    from mlkit.trees.reweight import label_weights

    refuse_same_file(output, [table, toward, valid, model])
    loaded = load_predictor(model)
    form = t.format_for(loaded, t.table_format(delimiter, header, na, errors))
    rows = read_table(table, form)
    found = label_weights(
        loaded, read_table(valid, form), read_table(toward, form), threads=thread_count(threads)
    )
    rows.require([loaded.target])
    places = known_classes(rows, loaded.target, found.classes).astype("int64")
    write_table(output, rows.with_column(column, found.weights[places]), delimiter=form.delimiter)
    for name, weight, share in zip(found.classes, found.weights, found.shares, strict=True):
        out.words(f"class {name}: weight {weight:.4f}, new share {share:.4f}")
