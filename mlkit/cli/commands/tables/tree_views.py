"""`importance`, `inspect`, `calibrate` and `export` of `mlkit bag` and `mlkit boost`."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.output import out
from mlkit.cli.registry import App


def add_view_commands(app: App, kind: str) -> None:
    """Add the commands that look into a model of trees."""

    @app.command(
        help=_help(
            kind, "Rank the columns by what they contribute.", "importance MODEL --plot importance.svg"
        )
    )
    def importance(
        model: t.ModelArgument,
        table: Annotated[str | None, typer.Argument(help="Table for permutation importance.")] = None,
        by: Annotated[str, typer.Option("--by", metavar="KIND", help="gain, split or permutation.")] = "gain",
        repeats: Annotated[int, typer.Option("--repeats", min=1, metavar="N", help="Shuffles per column.")] = 5,
        plot: Annotated[
            str | None, typer.Option("--plot", metavar="FILE", help="Draw bars (.svg, .png, .txt).")
        ] = None,
        target: t.TargetOrModels = None, weight: t.Weight = None, delimiter: t.Delimiter = None,
        header: t.Header = None, na: t.Missing = None, errors: options.Errors = options.TextErrors.strict,
        threads: options.Threads = None, seed: options.Seed = 1,
        json: options.Json = False,
    ) -> None:  # fmt: skip
        """Rank the columns."""
        from mlkit.errors import UsageError
        from mlkit.formats.table_files import read_table
        from mlkit.tables.target import read_weights, target_values
        from mlkit.threads import thread_count
        from mlkit.trees import importance as room
        from mlkit.trees import load_trees

        room.check_kind(by)
        loaded = load_trees(model, kind)
        if by == "permutation":
            if table is None:
                raise UsageError(
                    "permutation importance needs a table: mlkit boost importance MODEL TABLE --by permutation"
                )
            rows = read_table(table, t.format_for(loaded, t.table_format(delimiter, header, na, errors)))
            truth = target_values(rows, target or loaded.target, loaded.classes)
            with out.progress("Shuffling") as report:
                values = room.permutation_importance(
                    loaded, rows, truth, weights=read_weights(rows, weight), repeats=repeats, seed=seed,
                    threads=thread_count(threads), progress=report,
                )  # fmt: skip
        else:
            values = room.tree_importance(loaded, by)
        ranked = room.ranked(loaded.names, values)
        if plot is not None:
            from mlkit.plots import Figure, Series, save

            names, heights = zip(*ranked, strict=True)
            bars = Series(range(len(names)), heights, by, "bar", names)
            save(Figure([bars], f"Importance of columns by {by}", "", by), plot)
        if json:
            out.json("mlkit.importance", {"by": by, "columns": dict(ranked)})
        else:
            out.table(("column", by), ((name, f"{value:.6g}") for name, value in ranked))

    @app.command(
        "inspect",
        help=_help(kind, "Show a tree as text, or draw it.", "inspect MODEL --tree 0 --svg tree.svg"),
    )
    def inspect(
        model: t.ModelArgument,
        tree: Annotated[int, typer.Option("--tree", metavar="N", help="Which tree, from 0.")] = 0,
        depth: Annotated[int, typer.Option("--depth", min=0, metavar="N", help="Levels to show, 0 for all.")] = 0,
        svg: Annotated[
            str | None, typer.Option("--svg", metavar="FILE", help="Draw the tree's top into a file.")
        ] = None,
    ) -> None:  # fmt: skip
        """Show a tree."""
        from mlkit.formats.streams import open_output
        from mlkit.trees import load_trees
        from mlkit.trees.describe import tree_lines, tree_svg

        loaded = load_trees(model, kind)
        if svg is not None:
            drawing = tree_svg(loaded, tree, depth or 4)
            with open_output(svg) as stream:
                stream.write(drawing.encode())
            return
        for line in tree_lines(loaded, tree, depth):
            out.line(line)

    @app.command(
        help=_help(
            kind,
            "Make probabilities match frequencies, on rows not trained on.",
            "calibrate MODEL valid.csv -o calibrated.model",
        )
    )
    def calibrate(
        model: t.ModelArgument, table: t.TableArgument, output: t.ModelOutput,
        method: Annotated[str, typer.Option("--method", metavar="NAME", help="sigmoid or isotonic.")] = "sigmoid",
        target: t.TargetOrModels = None, weight: t.Weight = None, delimiter: t.Delimiter = None,
        header: t.Header = None, na: t.Missing = None, errors: options.Errors = options.TextErrors.strict,
        threads: options.Threads = None,
    ) -> None:  # fmt: skip
        """Calibrate a model."""
        from mlkit.formats.streams import refuse_same_file
        from mlkit.formats.table_files import read_table
        from mlkit.threads import thread_count
        from mlkit.trees import load_trees
        from mlkit.trees.report import calibrate_model

        refuse_same_file(output, [model, table])
        loaded = load_trees(model, kind)
        rows = read_table(table, t.format_for(loaded, t.table_format(delimiter, header, na, errors)))
        made, before, after = calibrate_model(loaded, rows, method, target, weight, thread_count(threads))
        made.save(output)
        out.words(f"log loss {before:.6g} before, {after:.6g} after (on the same rows)")

    @app.command(
        help=_help(
            kind, "Write the model for LightGBM, or as JSON.", "export MODEL --format lightgbm -o model.txt"
        )
    )
    def export(
        model: t.ModelArgument,
        output: options.Output = "-",
        format: Annotated[
            str, typer.Option("--format", metavar="NAME", help="lightgbm or json.")
        ] = "lightgbm",
    ) -> None:
        """Write the model for other programs."""
        from mlkit.formats.streams import open_output, refuse_same_file
        from mlkit.trees import load_trees
        from mlkit.trees.export import exported

        refuse_same_file(output, [model])
        text = exported(load_trees(model, kind), format)
        with open_output(output) as stream:
            stream.write(text.encode())


def _help(kind: str, words: str, example: str) -> str:
    """Return a command's help: what it does, and an example with a model of this kind."""
    return f"{words}\n\n\b\nExample:\n  mlkit {kind} {example.replace('MODEL', kind + '.model')}"
