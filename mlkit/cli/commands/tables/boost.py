"""`mlkit boost`: gradient boosting and AdaBoost on tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.commands.tables.model_commands import add_model_commands, run_folds
from mlkit.cli.learning_rate import Choice
from mlkit.cli.output import out
from mlkit.cli.registry import App

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


def _trainer(values: dict[str, Any], **run: Any) -> Callable[..., Any]:
    """Return the function that trains on a table with the options in `values`."""
    from functools import partial

    from mlkit.errors import UsageError
    from mlkit.trees import AdaBoostSettings, GradientSettings, train_gradient

    v = values
    choice = Choice(v["rate"], v.get("checkpoint"), v.get("resume", False), "learning_rate")
    roles = t.columns(
        *(v[k] for k in ("target", "weight", "ignore", "id", "categorical", "task", "class_weight", "bins"))
    )
    if v["algorithm"] == "adaboost":
        depth = {} if v["max_depth"] is None else {"max_depth": v["max_depth"]}
        if choice.auto:
            raise UsageError(
                "a range test is for gradient boosting: AdaBoost computes the weight of every tree exactly",
                hint="leave --learning-rate out (1), or make it smaller for smaller steps",
            )
        _refuse_what_is_gradients(v)
        ada = AdaBoostSettings(
            rounds=v["rounds"], loss=v["loss"] or "linear", seed=v["seed"], **choice.settings, **depth
        )
        return partial(_adaboost, roles, ada, {k: run[k] for k in run if k != "valid_part"})
    if v["algorithm"] != "gradient":
        raise UsageError(f"the algorithm is gradient or adaboost, not {v['algorithm']!r}")
    try:
        monotone = {
            name: int(sign) for name, _, sign in (part.rpartition("=") for part in t.split(v["monotone"]))
        }
    except ValueError:
        raise UsageError("--monotone takes COLUMN=1 or COLUMN=-1, separated by commas") from None
    settings = GradientSettings(
        rounds=v["rounds"], leaves=v["leaves"], max_depth=v["max_depth"] or 0, min_leaf=v["min_leaf"],
        min_hessian=v["min_hessian"], l1=v["l1"], l2=v["l2"], min_gain=v["min_gain"],
        rows=v["rows"], columns=v["columns"], goss=v["goss"], early_stop=v["early_stop"],
        seed=v["seed"], monotone=monotone, **choice.settings,
    )  # fmt: skip
    return partial(
        train_gradient, columns=roles, settings=settings, loss=v["loss"], quantile=v["quantile"],
        find_rate=choice.finder(run.get("progress"), v.get("stop")), **run,
    )  # fmt: skip


# options that AdaBoost has no use for
_GRADIENT = (
    "quantile", "valid", "valid_part", "early_stop", "init_model", "leaves", "min_leaf", "min_hessian", "l1", "l2",
    "min_gain", "monotone", "rows", "columns", "goss", "checkpoint", "resume",
)  # fmt: skip


def _refuse_what_is_gradients(values: dict[str, Any]) -> None:
    """Raise `UsageError` for options that AdaBoost would pass over in silence."""
    from inspect import signature

    from mlkit.errors import UsageError

    usual = signature(train).parameters
    given = [name for name in _GRADIENT if name in values and values[name] != usual[name].default]
    if given:
        names = ", ".join("--" + name.replace("_", "-") for name in given)
        raise UsageError(
            f"{names}: not for AdaBoost, which has --rounds, --learning-rate, --max-depth and --loss",
            hint="--algorithm gradient has them",
        )


def _adaboost(roles: Any, settings: Any, run: dict[str, Any], table: Any, **more: Any) -> Any:
    """Train AdaBoost, which has no use for what gradient boosting is told besides."""
    from mlkit.trees import train_adaboost

    return train_adaboost(table, roles, settings, **run)


@app.command()
def train(
    table: t.TableArgument, target: t.Target, output: t.ModelOutput, algorithm: Algorithm = "gradient",
    rounds: t.Rounds = 100, loss: Loss = None, quantile: Quantile = 0.5, rate: Rate = None, task: t.Task = "auto",
    valid: Valid = None, valid_part: ValidPart = 0.1, early_stop: EarlyStop = 0, init_model: InitModel = None,
    leaves: Leaves = 31, max_depth: t.MaxDepth = None, min_leaf: MinLeaf = 20, min_hessian: MinHessian = 1e-3,
    l1: L1 = 0.0, l2: L2 = 0.0, min_gain: MinGain = 0.0, bins: t.Bins = 255, monotone: Monotone = None,
    rows: t.Rows = 1.0, columns: ColumnPart = 1.0, goss: Goss = False, class_weight: t.ClassWeight = None,
    weight: t.Weight = None, ignore: t.Ignore = None, id: t.Id = None, categorical: t.Categorical = None,
    delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, checkpoint: options.Checkpoint = None,
    checkpoint_every: options.CheckpointEvery = 60.0, resume: options.Resume = False,
    threads: options.Threads = None, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Train boosted trees on a table.

    \b
    Example:
      mlkit boost train train.csv --target price -o price.model
    """
    values = dict(locals())
    from mlkit.checkpoint import Checkpoints
    from mlkit.errors import UsageError
    from mlkit.formats.streams import refuse_same_file
    from mlkit.formats.table_files import read_table
    from mlkit.signals import StopSignals
    from mlkit.threads import thread_count
    from mlkit.trees import load_trees

    refuse_same_file(output, [name for name in (table, valid, init_model) if name is not None])
    if resume and checkpoint is None:
        raise UsageError("--resume needs --checkpoint FILE")
    form = t.table_format(delimiter, header, na, errors)
    count = thread_count(threads)
    with out.progress("Training") as report, StopSignals(keyboard=checkpoint is not None) as stop:
        more: dict[str, Any] = {"progress": report, "remark": out.warn, "threads": count, "keep": False}
        fit = _trainer(values | {"stop": stop}, valid_part=valid_part, **more)
        extra: dict[str, Any] = {
            "checkpoint": Checkpoints(checkpoint, checkpoint_every, stop),
            "resume": resume,
        }
        if valid is not None:
            extra["valid"] = read_table(valid, form)
        if init_model is not None:
            extra["before"] = load_trees(init_model, "boost")
        model = fit(read_table(table, form, as_text=t.text_columns(values)), **extra)
    model.save(output)
    t.tell(model)


@app.command()
def cv(
    table: t.TableArgument, target: t.Target, folds: t.Folds = 5, group: t.Group = None,
    stratified: t.Stratified = True,
    algorithm: Algorithm = "gradient", rounds: t.Rounds = 100, loss: Loss = None, quantile: Quantile = 0.5,
    rate: Rate = None, task: t.Task = "auto", early_stop: EarlyStop = 0, valid_part: ValidPart = 0.1,
    leaves: Leaves = 31, max_depth: t.MaxDepth = None, min_leaf: MinLeaf = 20, min_hessian: MinHessian = 1e-3,
    l1: L1 = 0.0, l2: L2 = 0.0, min_gain: MinGain = 0.0, bins: t.Bins = 255, monotone: Monotone = None,
    rows: t.Rows = 1.0, columns: ColumnPart = 1.0, goss: Goss = False, class_weight: t.ClassWeight = None,
    weight: t.Weight = None, ignore: t.Ignore = None, id: t.Id = None, categorical: t.Categorical = None,
    delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None, seed: options.Seed = 1,
    cluster: options.Cluster = None,
    processes: options.Processes = None, json: options.Json = False,
) -> None:  # fmt: skip
    """Cross-validate: mean and spread of the metrics over folds.

    \b
    Example:
      mlkit boost cv train.csv --target survived --folds 5
    """
    values = dict(locals())
    run_folds(values, lambda count: _trainer(values, valid_part=valid_part, threads=count))


add_model_commands(app, "boost")
