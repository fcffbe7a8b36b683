"""Man pages of commands (section 1) and of the manual's pages (section 7)."""

from __future__ import annotations

import re

from mlkit import manual
from mlkit.cli.command_tree import Node, command_nodes, one_line
from mlkit.version import __version__


def man_pages() -> dict[str, str]:
    """Return all man pages by file name."""
    return {f"man/{'-'.join(('mlkit', *node.path))}.1": man(node) for node in command_nodes()} | pages()


def pages() -> dict[str, str]:
    """Return the pages of the manual as man pages of section 7, by file name."""
    return {
        f"man/mlkit-{topic}.7": manual.man_page(topic, manual.page(topic), __version__)
        for topic in manual.topics()
    }


def man(node: Node) -> str:
    """Return a man page in the man(7) macros."""
    title = "-".join(("mlkit", *node.path)).upper()
    lines = [f'.TH "{title}" "1" "" "mlkit {__version__}" "mlkit manual"', ".SH NAME"]
    lines += [f"{_roff('-'.join(('mlkit', *node.path)))} \\- {_roff(node.help)}", ".SH SYNOPSIS"]
    lines += [f".B {_roff(node.name)}", _roff(node.usage), ".SH DESCRIPTION", *_man_text(node.text)]
    if node.arguments:
        lines.append(".SH ARGUMENTS")
        for name, text in node.arguments:
            lines += [".TP", f".I {_roff(name)}", _roff(text) or "\\&"]
    if node.children:
        lines.append(".SH COMMANDS")
        for name, text in node.children:
            lines += [".TP", f".B {_roff(name)}", _roff(text) or "\\&"]
    lines.append(".SH OPTIONS")
    for flag in node.flags:
        names = ", ".join(f"\\fB{_roff(name)}\\fR" for name in reversed(flag.names))
        value = f" \\fI{_roff(flag.metavar)}\\fR" if flag.takes_value else ""
        shown = f" [default: {flag.default}]" if flag.default else ""
        lines += [".TP", f"{names}{value}", _roff(flag.help + shown) or "\\&"]
    lines += [
        ".SH EXIT STATUS",
        "0 done; 1 bad data or a fault of the system; 2 usage; 130 interrupted; 128 + N stopped by signal N.",
    ]
    lines += [".SH SEE ALSO", *_see_also(node)]
    return "\n".join(lines) + "\n"


def _see_also(node: Node) -> list[str]:
    """Return the page of the manual that a command belongs to; of mlkit itself, all pages."""
    if not node.path:
        return [f".BR {_roff(f'mlkit-{topic}')} (7)," for topic in manual.topics()] + [".BR mlkit\\-help (1)"]
    topic = manual.topic_of(node.path[0])
    return [".BR mlkit (1),", f".BR {_roff(f'mlkit-{topic}')} (7)"] if topic else [".BR mlkit (1)"]


def _man_text(text: str) -> list[str]:
    lines: list[str] = []
    literal = False
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if lines:
            lines.append(".PP")
        literal = paragraph.startswith("\b")
        if literal:
            body = paragraph.lstrip("\b\n").splitlines()
            lines += [".nf", *(_roff(line) for line in body), ".fi"]
        else:
            lines.append(_roff(one_line(paragraph)))
    return lines or ["\\&"]


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped
