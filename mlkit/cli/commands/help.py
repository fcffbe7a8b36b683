"""`mlkit help`: the manual, a page a topic."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import Annotated

import typer

from mlkit.cli.output import is_terminal, out
from mlkit.cli.registry import COMMANDS, App
from mlkit.errors import UsageError

app = App(help="Show the manual: a page for each family of commands and each topic.")


@app.command()
def help(
    topic: Annotated[
        list[str] | None,
        typer.Argument(help="A page of the list, or a command; without it the list.", show_default=False),
    ] = None,
) -> None:
    """Show the manual: a page for each family of commands and each topic.

    On a terminal pages are laid out and shown in a pager ($MLKIT_PAGER, $PAGER, else less); elsewhere they are
    Markdown. The same pages are man pages: man 7 mlkit-vectors.

    \b
    Example:
      mlkit help
      mlkit help vectors
      mlkit help bpe > bpe.md
    """
    from mlkit import manual

    if not topic:
        show(list_of_topics())
        return
    name = _page_name([word for word in topic if word != "mlkit"])
    if is_terminal(sys.stdout):
        from mlkit.cli.pager import laid_out

        show(laid_out(manual.plain(manual.page(name))))
    else:
        out.line(manual.plain(manual.page(name)).rstrip("\n"))


def list_of_topics() -> str:
    """Return the topics with their titles, by group."""
    from mlkit import manual
    from mlkit.manual.pages import grouped

    titles = manual.topics()
    width = max(map(len, titles))
    columns = min(shutil.get_terminal_size().columns, 100) if is_terminal(sys.stdout) else 1000
    intro = (
        "The manual of mlkit: 'mlkit help TOPIC' shows a page, 'mlkit COMMAND -h' the options of a command."
    )
    lines = textwrap.wrap(intro, columns)
    for group, names in grouped().items():
        lines += ["", f"{group}:"]
        for name in names:
            text = f"  {name:<{width}}  {titles[name]}"
            lines += textwrap.wrap(text, max(columns, width + 24), subsequent_indent=" " * (width + 4))
    return "\n".join(lines)


def show(text: str) -> None:
    """Write a text to stdout, on a terminal by a pager."""
    if is_terminal(sys.stdout):
        from mlkit.cli.pager import paged

        if paged(text):
            return
    out.line(text.rstrip("\n"))


def _page_name(words: list[str]) -> str:
    """Return the topic that is meant: a page's name, a command, `from gensim` for `from-gensim`."""
    from mlkit import manual

    name = "-".join(words).lower().removesuffix(".md")
    if name in manual.topics():
        return name
    if words and words[0] in COMMANDS and (found := manual.topic_of(words[0])):
        return found
    near = manual.suggestion(name)
    raise UsageError(
        f"no page {' '.join(words)!r}" + (f". Did you mean {near!r}?" if near else ""),
        hint="'mlkit help' lists the topics",
    )
