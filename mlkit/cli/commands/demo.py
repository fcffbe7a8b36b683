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
from mlkit.errors import UsageError

app = App(help="Show what mlkit does, on text that every machine has.")


@app.command()
def demo(
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder for the text and the results.")
    ] = "mlkit-demo",
    files_only: Annotated[
        bool, typer.Option("--files-only", help="Only make the sample files of the manual's examples.")
    ] = False,
    threads: options.Threads = None,
) -> None:
    """Show what mlkit does, on text that every machine has.

    The text is the documentation of the Python installation, read from its sources: nothing is downloaded. Each
    command is shown before it runs, and can be repeated by hand in the folder. Beside the results the folder holds
    small sample files (corpus.txt, ref.txt, train.csv, ...) that the examples of the manual run on.

    \b
    Example:
      mlkit demo
      mlkit demo --files-only -o .
    """
    from mlkit.demo import samples, steps, text
    from mlkit.formats.streams import write_text

    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    files = samples.sample_files()
    if taken := [name for name in files if files_only and (folder / name).exists()]:
        raise UsageError(f"{folder / taken[0]} exists", hint="name an empty folder with -o")
    for name, lines in files.items():
        write_text(folder / name, lines)
    if files_only:
        for name, contents in samples.CONTENTS.items():
            out.words(f"{folder / name}: {contents}")
        return
    with out.progress("Reading documentation") as report:
        sentences = text.documentation(report)
    os.chdir(folder)
    write_text("documentation.txt", sentences)
    words = sum(sentence.count(" ") + 1 for sentence in sentences)
    say = (lambda line: None) if out.quiet else out.line
    say(f"# {folder}/documentation.txt: {words:,} words of Python documentation, one sentence a line")
    say(
        "# The first run compiles what it needs for this machine, 5 to 20 seconds a command; the second does not."
    )
    if threads is not None:
        os.environ["MLKIT_THREADS"] = str(threads)
    quiet = ["-q"] if out.quiet else []
    for step in steps.STEPS:
        say(f"\n# {step.title}\n$ {step.command}")
        out.stdout.flush()
        code = registry.run(registry.root_command(), [*shlex.split(step.command)[1:], *quiet])
        out.stdout.flush()
        if code:
            raise typer.Exit(code)
    place = shlex.quote(str(folder))
    say(f"\n# Everything is in {folder}/: 'cd {place}' and run the commands again.")
    say(
        f"# The sample files there ({', '.join(files)}) are those of the manual: 'mlkit help tour-text' goes on."
    )
