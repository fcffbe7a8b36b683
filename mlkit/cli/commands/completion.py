"""`mlkit completion`: static completion scripts and man pages, from the command tree itself."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mlkit.cli.output import out
from mlkit.cli.registry import App

app = App(help="Print shell completions and man pages.")


class Target(StrEnum):
    """What to print."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    man = "man"
    all = "all"


@app.command()
def completion(
    target: Annotated[Target, typer.Argument(help="The shell, or 'man', or 'all' with -o.")],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Write the files there ('man' and 'all' need it)."
        ),
    ] = None,
) -> None:
    """Print shell completions and man pages.

    The scripts are static: pressing TAB starts no Python. `all` writes mlkit.bash, _mlkit, mlkit.fish and one man
    page per command.

    \b
    Example:
      mlkit completion bash > ~/.local/share/bash-completion/completions/mlkit
      mlkit completion zsh > "${fpath[1]}/_mlkit"
      mlkit completion fish > ~/.config/fish/completions/mlkit.fish
    """
    from mlkit.cli import completions
    from mlkit.formats.streams import write_text

    if target in (Target.man, Target.all) and output is None:
        raise typer.BadParameter("several files are written: name a folder with -o DIR")
    files = completions.files(target.value)
    if output is None:
        out.line(next(iter(files.values())).rstrip("\n"))
        return
    for name, text in files.items():
        path = Path(output) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, [text.rstrip("\n")])
