"""`mlkit demo`: every main job, on text that every machine has."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from mlkit.cli import options, registry
from mlkit.cli.output import out
from mlkit.cli.registry import App

app = App(help="Show what mlkit does, on text that every machine has.")


@app.command()
def demo(
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder for the text and the results.")
    ] = "mlkit-demo",
    threads: options.Threads = None,
) -> None:
    """Show what mlkit does, on text that every machine has.

    The text is the documentation of the Python installation, read from its sources: nothing is downloaded. Each
    command is shown before it runs, and can be repeated by hand in the folder.

    \b
    Example:
      mlkit demo
    """
    from mlkit.demo import steps, text
    from mlkit.formats.streams import write_text

    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    with out.progress("Reading documentation") as report:
        sentences = text.documentation(report)
    os.chdir(folder)
    write_text("corpus.txt", sentences)
    words = sum(sentence.count(" ") + 1 for sentence in sentences)
    out.line(f"# {folder}/corpus.txt: {words:,} words of Python documentation, one sentence a line")
    if threads is not None:
        os.environ["MLKIT_THREADS"] = str(threads)
    for step in steps.STEPS:
        out.line(f"\n# {step.title}\n$ {step.command}")
        out.stdout.flush()
        code = registry.run(registry.root_command(), shlex.split(step.command)[1:])
        out.stdout.flush()
        if code:
            raise typer.Exit(code)
    out.line(f"\n# Everything is in {folder}/: 'cd {shlex.quote(str(folder))}' and run the commands again.")
