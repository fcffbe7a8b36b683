"""`mlkit stack`: a final model on the out-of-fold predictions of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.commands.tables.model_commands import add_model_commands, run_folds
from mlkit.cli.output import out
from mlkit.cli.registry import App

app = App(help="Stacked models on tables: out-of-fold predictions feed a final model.")

Models = Annotated[
    str,
    typer.Option(
        "--models", metavar="A,B", help="Members: bag, forest, extra, boost, adaboost, logistic, ridge."
    ),
]
InnerFolds = Annotated[
    int, typer.Option("--inner-folds", min=2, metavar="K", help="Folds of the out-of-fold predictions.")
]
L2 = Annotated[float, typer.Option("--l2", metavar="X", help="Penalty of the final model.")]


def _trainer(v: dict[str, Any], **run: Any) -> Callable[..., Any]:
    """Return the function that trains on a table with the options in `v`."""
    from functools import partial

    from mlkit.stacking import StackSettings, train_stack

    roles = t.columns(
        *(v[k] for k in ("target", "weight", "ignore", "id", "categorical", "task", "class_weight"))
    )
    settings = StackSettings(t.split(v["models"]), v["inner_folds"], v["rounds"], v["l2"], v["seed"])
    return partial(train_stack, columns=roles, settings=settings, **run)


@app.command()
def train(
    table: t.TableArgument, target: t.Target, output: t.ModelOutput, models: Models = "bag,boost,logistic",
    inner_folds: InnerFolds = 5, rounds: t.Rounds = 100, l2: L2 = 1.0, task: t.Task = "auto",
    class_weight: t.ClassWeight = None, weight: t.Weight = None, ignore: t.Ignore = None, id: t.Id = None,
    categorical: t.Categorical = None, delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Train several models, and a final one on their out-of-fold predictions.

    The final one is a logistic regression for classes, a ridge regression for numbers.

    \b
    Example:
      mlkit stack train train.csv --target species --models bag,boost,logistic -o stack.model
    """
    values = dict(locals())
    from mlkit.formats.streams import refuse_same_file
    from mlkit.formats.table_files import read_table
    from mlkit.threads import thread_count

    refuse_same_file(output, [table])
    with out.progress("Stacking") as report:
        fit = _trainer(values, progress=report, remark=out.warn, threads=thread_count(threads))
        model = fit(
            read_table(table, t.table_format(delimiter, header, na, errors), as_text=t.text_columns(values))
        )
    model.save(output)
    t.tell(model)


@app.command()
def cv(
    table: t.TableArgument, target: t.Target, folds: t.Folds = 5, group: t.Group = None,
    stratified: t.Stratified = True, models: Models = "bag,boost,logistic", inner_folds: InnerFolds = 5,
    rounds: t.Rounds = 100, l2: L2 = 1.0,
    task: t.Task = "auto", class_weight: t.ClassWeight = None, weight: t.Weight = None, ignore: t.Ignore = None,
    id: t.Id = None, categorical: t.Categorical = None, delimiter: t.Delimiter = None, header: t.Header = None,
    na: t.Missing = None, errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None,
    seed: options.Seed = 1, cluster: options.Cluster = None,
    processes: options.Processes = None, json: options.Json = False,
) -> None:  # fmt: skip
    """Cross-validate: mean and spread of the metrics over folds.

    \b
    Example:
      mlkit stack cv train.csv --target species --models boost,logistic
    """
    values = dict(locals())
    run_folds(values, lambda count: _trainer(values, threads=count))


add_model_commands(app, "stack", trees=False)
