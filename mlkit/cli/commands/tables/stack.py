"""`mlkit stack`: a final model on the out-of-fold predictions of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.commands.tables.model_commands import FoldRun, add_model_commands, run_folds
from mlkit.cli.option_groups import spread
from mlkit.cli.output import out
from mlkit.cli.registry import App

if TYPE_CHECKING:
    from mlkit.tables.columns import Columns

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


@dataclass(frozen=True)
class StackOptions:
    """What both the training and the cross-validation of a stack take."""

    models: Models = "bag,boost,logistic"
    inner_folds: InnerFolds = 5
    rounds: t.Rounds = 100
    l2: L2 = 1.0
    task: t.Task = "auto"


def _trainer(stack: StackOptions, roles: Columns, seed: int, **run: Any) -> Callable[..., Any]:
    """Return the function that trains on a table."""
    from functools import partial

    from mlkit.stacking import StackSettings, train_stack

    settings = StackSettings(t.split(stack.models), stack.inner_folds, stack.rounds, stack.l2, seed)
    return partial(train_stack, columns=roles, settings=settings, **run)


@app.command()
@spread
def train(
    table: t.TableArgument, target: t.Target, output: t.ModelOutput, stack: StackOptions, columns: t.ColumnOptions,
    format: t.FormatOptions, threads: options.Threads = None, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Train several models, and a final one on their out-of-fold predictions.

    The final one is a logistic regression for classes, a ridge regression for numbers.

    \b
    Example:
      mlkit stack train train.csv --target species --models bag,boost,logistic -o stack.model
    """
    from mlkit.formats.streams import refuse_same_file
    from mlkit.formats.table_files import read_table
    from mlkit.threads import thread_count

    refuse_same_file(output, [table])
    roles = columns.roles(target, stack.task)
    with out.progress("Stacking") as report:
        fit = _trainer(stack, roles, seed, progress=report, remark=out.warn, threads=thread_count(threads))
        model = fit(read_table(table, format.form, as_text=columns.as_text(target)))
    model.save(output)
    t.tell(model)


@app.command()
@spread
def cv(
    table: t.TableArgument, target: t.Target, folds: t.FoldOptions, stack: StackOptions, columns: t.ColumnOptions,
    format: t.FormatOptions, workers: options.WorkerOptions, threads: options.Threads = None,
    seed: options.Seed = 1, json: options.Json = False,
) -> None:  # fmt: skip
    """Cross-validate: mean and spread of the metrics over folds.

    \b
    Example:
      mlkit stack cv train.csv --target species --models boost,logistic
    """
    roles = columns.roles(target, stack.task)
    job = FoldRun(table, roles, folds, seed, workers, threads, json)
    run_folds(job, lambda count: _trainer(stack, roles, seed, threads=count), t.reader(format.form))


add_model_commands(app, "stack", trees=False)
