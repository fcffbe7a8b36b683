"""`mlkit bag`: bagging, random forests and extremely randomised trees on tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.commands.tables.model_commands import add_model_commands, run_folds
from mlkit.cli.output import out
from mlkit.cli.registry import App
from mlkit.cli.workers import Workers

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
    float,
    typer.Option(
        "--min-leaf",
        min=0,
        metavar="X",
        rich_help_panel=t.TREE,
        help="Least weight of a leaf (rows, if unweighted).",
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


def _trainer(v: dict[str, Any], **run: Any) -> Callable[..., Any]:
    """Return the function that trains on a table with the options in `v`."""
    from functools import partial

    from mlkit.errors import UsageError
    from mlkit.trees import ForestSettings, train_bag, train_linear_bag

    task = v["task"]
    if v["base"] in ("logistic", "ridge") and task == "auto":
        task = "classification" if v["base"] == "logistic" else "regression"
    roles = t.columns(
        v["target"], v["weight"], v["ignore"], v["id"], v["categorical"], task, v["class_weight"], v["bins"]
    )
    settings = ForestSettings(
        rounds=v["rounds"], features=v["features"], extra=v["extra"], bootstrap=v["bootstrap"], rows=v["rows"],
        max_depth=v["max_depth"] or 0, min_split=v["min_split"], min_leaf=v["min_leaf"], vote=v["vote"],
        out_of_bag=bool(v.get("oob") or v.get("oob_predictions")), seed=v["seed"],
    )  # fmt: skip
    if v["base"] == "tree":
        return partial(train_bag, columns=roles, settings=settings, **run)
    if v["base"] not in ("logistic", "ridge"):
        raise UsageError(f"the base is tree, logistic or ridge, not {v['base']!r}")
    if settings.out_of_bag or settings.vote:
        raise UsageError("--oob and --vote are for trees")
    run.pop("keep", None)
    return partial(train_linear_bag, columns=roles, settings=settings, l2=v["l2"], **run)


@app.command()
def train(
    table: t.TableArgument, target: t.Target, output: t.ModelOutput, base: Base = "tree", rounds: t.Rounds = 100,
    task: t.Task = "auto", features: Features = "all", extra: Extra = False, max_depth: t.MaxDepth = None,
    min_split: MinSplit = 2, min_leaf: MinLeaf = 1.0, bins: t.Bins = 255, vote: Vote = False, l2: L2 = 1.0,
    bootstrap: Bootstrap = None, rows: t.Rows = 1.0, oob: OutOfBag = False, oob_predictions: OutOfBagFile = None,
    class_weight: t.ClassWeight = None, weight: t.Weight = None, ignore: t.Ignore = None, id: t.Id = None,
    categorical: t.Categorical = None, delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None, seed: options.Seed = 1,
    cluster: options.Cluster = None, processes: options.Processes = None, tmp_dir: options.TmpDir = None,
) -> None:  # fmt: skip
    """Train a bag of models on a table: each on a bootstrap sample, the mean predicts.

    --processes N and --cluster grow the trees on several workers; the model is the same, byte for byte.

    \b
    Example:
      mlkit bag train train.csv --target species --features sqrt -o forest.model
    """
    values = dict(locals())
    from contextlib import ExitStack

    from mlkit.formats.streams import open_output, refuse_same_file
    from mlkit.formats.table_files import read_table
    from mlkit.threads import thread_count

    refuse_same_file(output, [table])
    refuse_same_file(oob_predictions, [table])
    workers = Workers(cluster, processes, output, tmp_dir, threads)
    with ExitStack() as stack:
        report = stack.enter_context(out.progress("Training"))
        fit = _trainer(values, progress=report, remark=out.warn, threads=thread_count(threads), keep=False)
        kept: list[bytes] = []
        more: dict[str, Any] = {"out_of_bag": kept.append} if oob_predictions else {}
        if workers:
            from mlkit.errors import UsageError
            from mlkit.trees.distributed import grow_on

            if base != "tree":
                raise UsageError("--cluster and --processes grow trees; logistic and ridge are fitted here")
            engine = stack.enter_context(workers.engine())
            more["elsewhere"] = grow_on(engine, workers.threads_each(engine), report)
        model = fit(
            read_table(table, t.table_format(delimiter, header, na, errors), as_text=t.text_columns(values)),
            **more,
        )
    model.save(output)
    if oob_predictions is not None:
        with open_output(oob_predictions) as stream:
            stream.write(b"".join(kept))
    t.tell(model)


@app.command()
def cv(
    table: t.TableArgument, target: t.Target, folds: t.Folds = 5, group: t.Group = None,
    stratified: t.Stratified = True,
    base: Base = "tree", rounds: t.Rounds = 100, task: t.Task = "auto", features: Features = "all",
    extra: Extra = False, max_depth: t.MaxDepth = None, min_split: MinSplit = 2, min_leaf: MinLeaf = 1.0,
    bins: t.Bins = 255, vote: Vote = False, l2: L2 = 1.0, bootstrap: Bootstrap = None, rows: t.Rows = 1.0,
    class_weight: t.ClassWeight = None, weight: t.Weight = None, ignore: t.Ignore = None, id: t.Id = None,
    categorical: t.Categorical = None, delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None, seed: options.Seed = 1,
    cluster: options.Cluster = None,
    processes: options.Processes = None, json: options.Json = False,
) -> None:  # fmt: skip
    """Cross-validate: mean and spread of the metrics over folds.

    \b
    Example:
      mlkit bag cv train.csv --target species --features sqrt
    """
    values = dict(locals())
    run_folds(values, lambda count: _trainer(values, threads=count))


add_model_commands(app, "bag")
