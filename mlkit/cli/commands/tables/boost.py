"""`mlkit boost`: gradient boosting and AdaBoost on tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.commands.tables.model_commands import FoldRun, add_model_commands, run_folds
from mlkit.cli.learning_rate import Choice
from mlkit.cli.option_groups import changed, spread
from mlkit.cli.output import out
from mlkit.cli.registry import App

if TYPE_CHECKING:
    from mlkit.signals import StopSignals
    from mlkit.tables.columns import Columns
    from mlkit.trees import GradientSettings

app = App(help="Boosted trees on tables: gradient boosting and AdaBoost.")

Algorithm = Annotated[str, typer.Option("--algorithm", "-a", metavar="NAME", help="gradient or adaboost.")]
Loss = Annotated[
    str | None,
    typer.Option(
        "--loss", metavar="NAME", show_default="by the target",
        help="logistic, softmax; squared, absolute, quantile, poisson, gamma; AdaBoost: linear, square, exponential.",
    ),
]  # fmt: skip
Quantile = Annotated[
    float, typer.Option("--quantile", metavar="Q", help="The quantile that loss 'quantile' learns.")
]
Rate = Annotated[
    options.Rate,
    options.rate("--learning-rate", "--lr", "-l", help="Step size", default="0.1; adaboost 1"),
]
Leaves = Annotated[
    int, typer.Option("--leaves", min=2, metavar="N", rich_help_panel=t.TREE, help="Leaves per tree.")
]
MinLeaf = Annotated[
    int, typer.Option("--min-leaf", min=0, metavar="N", rich_help_panel=t.TREE, help="Rows per leaf.")
]
MinBinRows = Annotated[
    int,
    typer.Option(
        "--min-bin-rows",
        min=1,
        metavar="N",
        rich_help_panel=t.TREE,
        help="Rows per bin of a column of numbers.",
    ),
]
MinHessian = Annotated[
    float, typer.Option("--min-hessian", metavar="X", rich_help_panel=t.TREE, help="Hessian per leaf.")
]
L1 = Annotated[
    float, typer.Option("--l1", metavar="X", rich_help_panel=t.TREE, help="L1 penalty of leaf values.")
]
L2 = Annotated[
    float, typer.Option("--l2", metavar="X", rich_help_panel=t.TREE, help="L2 penalty of leaf values.")
]
MinGain = Annotated[
    float, typer.Option("--min-gain", metavar="X", rich_help_panel=t.TREE, help="Least gain of a split.")
]
Monotone = Annotated[
    str | None,
    typer.Option(
        "--monotone",
        metavar="A=1,B=-1",
        rich_help_panel=t.TREE,
        help="Columns the prediction rises or falls with.",
    ),
]
ColumnPart = Annotated[
    float,
    typer.Option(
        "--columns", metavar="PART", rich_help_panel=t.SAMPLE, help="Part of the columns that a round draws."
    ),
]
Goss = Annotated[
    bool,
    typer.Option(
        "--goss", rich_help_panel=t.SAMPLE, help="Sample rows by gradient (GOSS).", show_default=False
    ),
]
EarlyStop = Annotated[
    int,
    typer.Option(
        "--early-stop",
        min=0,
        metavar="N",
        help="Stop after N rounds without gain on held-out rows; 0: never.",
    ),
]
Valid = Annotated[str | None, typer.Option("--valid", metavar="FILE", help="Table of held-out rows.")]
ValidPart = Annotated[
    float, typer.Option("--valid-part", metavar="PART", help="Part held out without --valid.")
]
InitModel = Annotated[str | None, typer.Option("--init-model", metavar="FILE", help="Continue this model.")]


@dataclass(frozen=True)
class BoostOptions:
    """What both the training and the cross-validation of boosted trees take."""

    algorithm: Algorithm = "gradient"
    rounds: t.Rounds = 100
    loss: Loss = None
    quantile: Quantile = 0.5
    rate: Rate = None
    task: t.Task = "auto"
    early_stop: EarlyStop = 0
    valid_part: ValidPart = 0.1
    leaves: Leaves = 31
    max_depth: t.MaxDepth = None
    min_leaf: MinLeaf = 20
    min_hessian: MinHessian = 1e-3
    l1: L1 = 0.0
    l2: L2 = 0.0
    min_gain: MinGain = 0.0
    bins: t.Bins = 255
    min_bin_rows: MinBinRows = 3
    monotone: Monotone = None
    rows: t.Rows = 1.0
    columns: ColumnPart = 1.0
    goss: Goss = False

    def gradient(self, seed: int, **rate: Any) -> GradientSettings:
        """Return the settings of gradient boosting."""
        from mlkit.trees import GradientSettings

        return GradientSettings(
            rounds=self.rounds, leaves=self.leaves, max_depth=self.max_depth or 0, min_leaf=self.min_leaf,
            min_hessian=self.min_hessian, l1=self.l1, l2=self.l2, min_gain=self.min_gain,
            rows=self.rows, columns=self.columns, goss=self.goss, early_stop=self.early_stop,
            seed=seed, monotone=_signs(self.monotone), **rate,
        )  # fmt: skip


def _signs(text: str | None) -> dict[str, int]:
    """Return the signs of ``a=1,b=-1``."""
    from mlkit.errors import UsageError

    try:
        return {name: int(sign) for name, _, sign in (part.rpartition("=") for part in t.split(text))}
    except ValueError:
        raise UsageError("--monotone takes COLUMN=1 or COLUMN=-1, separated by commas") from None


def _trainer(
    boost: BoostOptions,
    roles: Columns,
    seed: int,
    choice: Choice,
    stop: StopSignals | None = None,
    refused: Sequence[str] = (),
    **run: Any,
) -> Callable[..., Any]:
    """Return the function that trains on a table; `refused` are flags given besides that AdaBoost has no use for."""
    from functools import partial

    from mlkit.errors import UsageError
    from mlkit.trees import AdaBoostSettings, train_gradient

    if boost.algorithm == "adaboost":
        depth = {} if boost.max_depth is None else {"max_depth": boost.max_depth}
        if choice.auto:
            raise UsageError(
                "a range test is for gradient boosting: AdaBoost computes the weight of every tree exactly",
                hint="leave --learning-rate out (1), or make it smaller for smaller steps",
            )
        _refuse_what_is_gradients(boost, refused)
        ada = AdaBoostSettings(
            rounds=boost.rounds, loss=boost.loss or "linear", seed=seed, **choice.settings, **depth
        )
        return partial(_adaboost, roles, ada, run)
    if boost.algorithm != "gradient":
        raise UsageError(f"the algorithm is gradient or adaboost, not {boost.algorithm!r}")
    return partial(
        train_gradient, columns=roles, settings=boost.gradient(seed, **choice.settings), loss=boost.loss,
        quantile=boost.quantile, valid_part=boost.valid_part,
        find_rate=choice.finder(run.get("progress"), stop), **run,
    )  # fmt: skip


# what AdaBoost has a use for
_ADABOOST = ("--algorithm", "--rounds", "--loss", "--rate", "--task", "--max-depth", "--bins")


def _refuse_what_is_gradients(boost: BoostOptions, more: Sequence[str]) -> None:
    """Raise `UsageError` for options that AdaBoost would pass over in silence."""
    from mlkit.errors import UsageError

    given = [flag for flag in (*changed(boost), *more) if flag not in _ADABOOST]
    if given:
        raise UsageError(
            f"{', '.join(given)}: not for AdaBoost, which has --rounds, --learning-rate, --max-depth and --loss",
            hint="--algorithm gradient has them",
        )


def _adaboost(roles: Any, settings: Any, run: dict[str, Any], table: Any, **more: Any) -> Any:
    """Train AdaBoost, which has no use for what gradient boosting is told besides."""
    from mlkit.trees import train_adaboost

    return train_adaboost(table, roles, settings, **run)


@app.command()
@spread
def train(
    table: t.TableArgument, target: t.Target, output: t.ModelOutput, boost: BoostOptions, columns: t.ColumnOptions,
    format: t.FormatOptions, saving: options.CheckpointOptions, valid: Valid = None, init_model: InitModel = None,
    threads: options.Threads = None, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Train boosted trees on a table.

    \b
    Example:
      mlkit boost train train.csv --target price -o price.model
    """
    from mlkit.checkpoint import Checkpoints
    from mlkit.formats.streams import refuse_same_file
    from mlkit.formats.table_files import read_table
    from mlkit.signals import StopSignals
    from mlkit.threads import thread_count
    from mlkit.trees import load_trees

    refuse_same_file(output, [name for name in (table, valid, init_model) if name is not None])
    saving.check()
    choice = Choice(boost.rate, saving.checkpoint, saving.resume, "learning_rate")
    roles = columns.roles(target, boost.task, boost.bins, boost.min_bin_rows)
    refused = [*changed(saving), *(["--valid"] if valid else []), *(["--init-model"] if init_model else [])]
    with out.progress("Training") as report, StopSignals(keyboard=saving.checkpoint is not None) as stop:
        fit = _trainer(
            boost, roles, seed, choice, stop, refused,
            progress=report, remark=out.warn, threads=thread_count(threads), keep=False,
        )  # fmt: skip
        extra: dict[str, Any] = {
            "checkpoint": Checkpoints(saving.checkpoint, saving.checkpoint_every, stop),
            "resume": saving.resume,
        }
        if valid is not None:
            extra["valid"] = read_table(valid, format.form)
        if init_model is not None:
            extra["before"] = load_trees(init_model, "boost")
        model = fit(read_table(table, format.form, as_text=columns.as_text(target)), **extra)
    model.save(output)
    t.tell(model)


@app.command()
@spread
def cv(
    table: t.TableArgument, target: t.Target, folds: t.FoldOptions, boost: BoostOptions, columns: t.ColumnOptions,
    format: t.FormatOptions, workers: options.WorkerOptions, threads: options.Threads = None,
    seed: options.Seed = 1, json: options.Json = False,
) -> None:  # fmt: skip
    """Cross-validate: mean and spread of the metrics over folds.

    \b
    Example:
      mlkit boost cv train.csv --target survived --folds 5
    """
    roles = columns.roles(target, boost.task, boost.bins, boost.min_bin_rows)
    choice = Choice(boost.rate, setting="learning_rate")
    job = FoldRun(table, roles, folds, seed, workers, threads, json)
    run_folds(job, lambda count: _trainer(boost, roles, seed, choice, threads=count), t.reader(format.form))


add_model_commands(app, "boost")
