"""Long texts on a terminal: laid out by rich, shown by the user's pager."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import ClassVar

WIDEST = 100  # columns; longer lines read badly
MARK = "\ue000"  # of a code block; a character for private use


def paged(text: str) -> bool:
    """Show a text in $MLKIT_PAGER, $PAGER or less; say whether it was shown. Without a keyboard there is no pager."""
    chosen = (
        os.environ.get("MLKIT_PAGER") or os.environ.get("PAGER") or ("less" if shutil.which("less") else "")
    )
    if not chosen or chosen == "cat" or not sys.stdin.isatty():
        return False
    # F: a short text needs no keys; R: colours; X: the text stays on the screen
    environment = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
    sys.stdout.flush()
    try:
        pager = subprocess.Popen(chosen, shell=True, stdin=subprocess.PIPE, env=environment)
    except OSError:
        return False
    try:
        pager.communicate(text.encode("utf-8", "surrogateescape"))
    except (BrokenPipeError, KeyboardInterrupt):
        pager.wait()
    return pager.returncode != 127  # the shell found no such program


def laid_out(markdown: str) -> str:
    """Return a page with the colours, bullets and tables of a terminal of the present width."""
    from rich import box
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.markdown import CodeBlock, Heading, Markdown, TableElement
    from rich.table import Table
    from rich.text import Text
    from rich.theme import Theme

    class PlainHeading(Heading):
        """A heading at the left, without a box."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            text = self.text
            text.justify = "left"
            text.stylize("bold underline" if self.tag in ("h1", "h2") else "bold")
            yield Text("") if self.tag != "h1" else Text()
            yield text

    code_blocks: list[str] = []

    class PlainCode(CodeBlock):
        """Code as it can be copied: a mark here, replaced below, since rich would break long lines."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            code_blocks.append(str(self.text).rstrip())
            yield Text(f"{MARK}{len(code_blocks) - 1}")

    class RuledTable(TableElement):
        """A table with a rule below its header, and no header where all its cells are empty."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            header = self.header.row.cells if self.header is not None and self.header.row is not None else []
            named = any(cell.content.plain.strip() for cell in header)
            table = Table(
                box=box.HORIZONTALS, show_header=named, pad_edge=False, show_lines=True, border_style="dim"
            )
            for cell in header:
                table.add_column(cell.content.copy(), justify=cell.justify)
            for row in self.body.rows if self.body is not None else []:
                table.add_row(*(cell.content for cell in row.cells))
            yield table

    class Page(Markdown):
        elements: ClassVar = {
            **Markdown.elements, "heading_open": PlainHeading, "fence": PlainCode, "code_block": PlainCode,
            "table_open": RuledTable,
        }  # fmt: skip

    width = min(shutil.get_terminal_size().columns, WIDEST)
    console = Console(
        width=width, force_terminal=True, no_color="NO_COLOR" in os.environ or None,
        theme=Theme({"markdown.code": "cyan", "markdown.item.bullet": "default"}),
    )  # fmt: skip
    with console.capture() as capture:
        console.print(Page(markdown))
    coloured = "{}" if console.no_color else "\x1b[36m{}\x1b[0m"
    lines: list[str] = []
    for line in capture.get().splitlines():
        name, mark, number = line.partition(MARK)
        if mark:
            code = code_blocks[int("".join(filter(str.isdigit, number.split("\x1b")[0])))]
            lines += [f"    {coloured.format(row)}" if row else "" for row in code.split("\n")]
        else:
            lines.append(name.rstrip())
    return "\n".join(lines).strip("\n") + "\n"
