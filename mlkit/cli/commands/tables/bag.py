"""`mlkit bag`: bagging, random forests and extremely randomised trees on tables."""

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
from mlkit.cli.workers import Workers

if TYPE_CHECKING:
    from mlkit.tables.columns import Columns
    from mlkit.trees import ForestSettings

app = App(help="Bagging, random forests and extremely randomised trees on tables.")

Base = Annotated[str, typer.Option("--base", metavar="NAME", help="What is bagged: tree, logistic or ridge.")]
Features = Annotated[
    str,
    typer.Option(
        "--features", metavar="N", rich_help_panel=t.TREE,
        help="Columns to try at a node: all (bagging), sqrt (random forest), log2, third, a part or a number.",
    ),
]  # fmt: skip
Extra = Annotated[
    bool,
    typer.Option(
        "--extra",
        rich_help_panel=t.TREE,
        help="Random thresholds (extremely randomised).",
        show_default=False,
    ),
]
MinSplit = Annotated[
    int,
    typer.Option(
        "--min-split",
        min=2,
        metavar="N",
        rich_help_panel=t.TREE,
        help="Rows that a node must have to be split.",
    ),
]
MinLeaf = Annotated[
    int, typer.Option("--min-leaf", min=1, metavar="N", rich_help_panel=t.TREE, help="Rows per leaf.")
]
MinLeafWeight = Annotated[
    float,
    typer.Option(
        "--min-leaf-weight", metavar="PART", rich_help_panel=t.TREE, help="Part of the whole weight per leaf."
    ),
]
Bootstrap = Annotated[
    bool | None,
    typer.Option(
        "--bootstrap/--no-bootstrap", rich_help_panel=t.SAMPLE, help="Draw rows with replacement.",
        show_default="with, unless --extra",
    ),
]  # fmt: skip
Vote = Annotated[
    bool, typer.Option("--vote", help="Models vote instead of averaging probabilities.", show_default=False)
]
OutOfBag = Annotated[
    bool,
    typer.Option(
        "--oob", rich_help_panel=t.SAMPLE, help="Measure on the rows a tree has not seen.", show_default=False
    ),
]
OutOfBagFile = Annotated[
    str | None,
    typer.Option(
        "--oob-predictions", metavar="FILE", rich_help_panel=t.SAMPLE, help="Write out-of-bag predictions."
    ),
]
L2 = Annotated[float, typer.Option("--l2", metavar="X", help="Penalty of logistic and ridge.")]


@dataclass(frozen=True)
class BagOptions:
    """What both the training and the cross-validation of a bag take."""

    base: Base = "tree"
    rounds: t.Rounds = 100
    task: t.Task = "auto"
    features: Features = "all"
    extra: Extra = False
    max_depth: t.MaxDepth = None
    min_split: MinSplit = 2
    min_leaf: MinLeaf = 1
    min_leaf_weight: MinLeafWeight = 0.0
    bins: t.Bins = 255
    vote: Vote = False
    l2: L2 = 1.0
    bootstrap: Bootstrap = None
    rows: t.Rows = 1.0

    def roles(self, columns: t.ColumnOptions, target: str) -> Columns:
        """Return which columns play which part; logistic and ridge say what the target is."""
        linear = {"logistic": "classification", "ridge": "regression"}
        task = linear.get(self.base, "auto") if self.task == "auto" else self.task
        return columns.roles(target, task, self.bins)

    def forest(self, seed: int, *, out_of_bag: bool = False) -> ForestSettings:
        """Return the settings of the ensemble."""
        from mlkit.trees import ForestSettings

        return ForestSettings(
            rounds=self.rounds, features=self.features, extra=self.extra, bootstrap=self.bootstrap, rows=self.rows,
            max_depth=self.max_depth or 0, min_split=self.min_split, min_leaf=self.min_leaf,
            min_leaf_weight=self.min_leaf_weight, vote=self.vote, out_of_bag=out_of_bag, seed=seed,
        )  # fmt: skip


def _trainer(bag: BagOptions, roles: Columns, settings: ForestSettings, **run: Any) -> Callable[..., Any]:
    """Return the function that trains on a table."""
    from functools import partial

    from mlkit.errors import UsageError
    from mlkit.trees import train_bag, train_linear_bag

    if bag.base == "tree":
        return partial(train_bag, columns=roles, settings=settings, **run)
    if bag.base not in ("logistic", "ridge"):
        raise UsageError(f"the base is tree, logistic or ridge, not {bag.base!r}")
    if settings.out_of_bag or settings.vote:
        raise UsageError("--oob and --vote are for trees")
    run.pop("keep", None)
    return partial(train_linear_bag, columns=roles, settings=settings, l2=bag.l2, **run)


@app.command()
@spread
def train(
    table: t.TableArgument, target: t.Target, output: t.ModelOutput, bag: BagOptions, columns: t.ColumnOptions,
    format: t.FormatOptions, workers: options.WorkerOptions, oob: OutOfBag = False,
    oob_predictions: OutOfBagFile = None, threads: options.Threads = None, seed: options.Seed = 1,
    tmp_dir: options.TmpDir = None,
) -> None:  # fmt: skip
    """Train a bag of models on a table: each on a bootstrap sample, the mean predicts.

    --processes N and --cluster grow the trees on several workers; the model is the same, byte for byte.

    \b
    Example:
      mlkit bag train train.csv --target species --features sqrt -o forest.model
    """
    from contextlib import ExitStack

    from mlkit.formats.streams import open_output, refuse_same_file
    from mlkit.formats.table_files import read_table
    from mlkit.threads import thread_count

    refuse_same_file(output, [table])
    refuse_same_file(oob_predictions, [table])
    crew = Workers(workers.cluster, workers.processes, output, tmp_dir, threads)
    settings = bag.forest(seed, out_of_bag=oob or oob_predictions is not None)
    with ExitStack() as stack:
        report = stack.enter_context(out.progress("Training"))
        fit = _trainer(
            bag, bag.roles(columns, target), settings,
            progress=report, remark=out.warn, threads=thread_count(threads), keep=False,
        )  # fmt: skip
        kept: list[bytes] = []
        more: dict[str, Any] = {"out_of_bag": kept.append} if oob_predictions else {}
        if crew:
            from mlkit.errors import UsageError
            from mlkit.trees.distributed import grow_on

            if bag.base != "tree":
                raise UsageError("--cluster and --processes grow trees; logistic and ridge are fitted here")
            engine = stack.enter_context(crew.engine())
            more["elsewhere"] = grow_on(engine, crew.threads_each(engine), report)
        model = fit(read_table(table, format.form, as_text=columns.as_text(target)), **more)
    model.save(output)
    if oob_predictions is not None:
        with open_output(oob_predictions) as stream:
            stream.write(b"".join(kept))
    t.tell(model)


@app.command()
@spread
def cv(
    table: t.TableArgument, target: t.Target, folds: t.FoldOptions, bag: BagOptions, columns: t.ColumnOptions,
    format: t.FormatOptions, workers: options.WorkerOptions, threads: options.Threads = None,
    seed: options.Seed = 1, json: options.Json = False,
) -> None:  # fmt: skip
    """Cross-validate: mean and spread of the metrics over folds.

    \b
    Example:
      mlkit bag cv train.csv --target species --features sqrt
    """
    roles = bag.roles(columns, target)
    job = FoldRun(table, roles, folds, seed, workers, threads, json)
    settings = bag.forest(seed)
    run_folds(job, lambda count: _trainer(bag, roles, settings, threads=count), t.reader(format.form))


add_model_commands(app, "bag")
