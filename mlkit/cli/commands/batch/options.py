"""The options of `mlkit batch`, which stand beside those of the command that it puts into a queue."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.registry import App

app = App(help="The options of mlkit batch.")

BATCH = "Batch"


def _lines(name: str, metavar: str, help: str) -> object:
    return typer.Option(name, metavar=metavar, help=help, rich_help_panel=BATCH, show_default=False)


@app.command()
def declare(
    shards: Annotated[int, options.whole("--shards", "Tasks that share the input.", BATCH, default=False)],
    submit: Annotated[
        bool,
        typer.Option(
            "--submit",
            help="Submit the jobs by sbatch, and print their numbers.",
            rich_help_panel=BATCH,
            show_default=False,
        ),
    ] = False,
    local: Annotated[
        int | None,
        options.whole("--local", "Run the scripts here, N tasks side by side.", BATCH, default=False),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            "--folder",
            metavar="DIR",
            help="For scripts, logs and parts.",
            rich_help_panel=BATCH,
            show_default="OUTPUT.batch",
        ),
    ] = None,
    keep_parts: Annotated[
        bool,
        typer.Option(
            "--keep-parts",
            help="Do not remove the parts after the merge.",
            rich_help_panel=BATCH,
            show_default=False,
        ),
    ] = False,
    warm: Annotated[
        bool,
        typer.Option(
            "--warm/--no-warm", help="Compile the kernels in a job of its own first.", rich_help_panel=BATCH
        ),
    ] = True,
    at_once: Annotated[
        int | None,
        options.whole("--at-once", "Run at most N tasks at the same time.", BATCH, default=False),
    ] = None,
    sbatch: Annotated[
        list[str] | None,
        _lines(
            "--sbatch", "OPTION", "An option of sbatch for all jobs, such as '--time=2:00:00' (repeatable)."
        ),
    ] = None,
    merge_sbatch: Annotated[
        list[str] | None,
        _lines(
            "--merge-sbatch", "OPTION", "An option of sbatch for the merge, such as '--mem=16G' (repeatable)."
        ),
    ] = None,
    setup: Annotated[
        list[str] | None,
        _lines(
            "--setup", "LINE", "A line of bash before the command, such as 'module load python' (repeatable)."
        ),
    ] = None,
) -> None:
    """Declare the options; `batch` reads them from the command line of the command that it runs.

    \b
    Example:
      mlkit batch ngram count corpus.txt --order 3 --shards 8 -o all.counts
    """  # fmt: skip
