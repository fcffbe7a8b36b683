"""Markdown to man(7): the part of Markdown that the manual's pages use.

Headings, paragraphs, lists, code blocks, tables; in a line `code`, **bold**, *emphasis* and links.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlkit.manual.pages import plain, title

_SPAN = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*(?!\w)|\[([^\]]+)\]\(([^)]+)\)")
_CELLS = re.compile(r"(?<!\\)\|")


def man_page(topic: str, text: str, version: str) -> str:
    """Return a page of the manual as ``mlkit-TOPIC.7``."""
    name = f"mlkit-{topic}"
    lines = [
        f'.TH "{name.upper()}" "7" "" "mlkit {version}" "mlkit manual"',
        ".SH NAME",
        f"{escaped(name)} \\- {escaped(title(text))}",
        ".nh",
        ".ad l",
        ".SH DESCRIPTION",
        *_without_needless(_body(plain(text).split("\n")[1:])),
        ".SH SEE ALSO",
        ".BR mlkit (1)",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return a text for roff: backslashes, hyphens, and a control character at its beginning escaped."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def _body(source: Sequence[str]) -> list[str]:
    lines: list[str] = []
    position = 0
    while position < len(source):
        line = source[position]
        if line.startswith("```"):
            end = position + 1
            while end < len(source) and not source[end].startswith("```"):
                end += 1
            code = [escaped(text) or "\\&" for text in source[position + 1 : end]]
            lines += [".PP", ".RS 4", ".nf", *code, ".fi", ".RE"]
            position = end + 1
        elif line.startswith("#"):
            macro = ".SH" if line.startswith("## ") else ".SS"
            lines.append(f'{macro} "{escaped(line.lstrip("# ").replace("`", "")).replace(chr(34), "")}"')
            position += 1
        elif line.startswith("|"):
            end = position
            while end < len(source) and source[end].startswith("|"):
                end += 1
            lines += _table(source[position:end])
            position = end
        elif line.strip():
            end = position + 1
            while end < len(source) and _goes_on(source[end]):
                end += 1
            lines += _paragraph(source[position:end])
            position = end
        else:
            position += 1
    return lines


def _without_needless(lines: Sequence[str]) -> list[str]:
    """Leave out paragraph macros right after a heading, which begins a paragraph itself."""
    heads = [".SH DESCRIPTION", *lines]
    return [
        line
        for before, line in zip(heads, lines, strict=False)
        if line != ".PP" or not before.startswith((".SH", ".SS"))
    ]


def _goes_on(line: str) -> bool:
    return bool(line.strip()) and not re.match(r"[*-] |\d+\. |```|\||#", line)


def _paragraph(source: Sequence[str]) -> list[str]:
    item = re.match(r"([*-]|\d+\.) ", source[0])
    text = " ".join(line.strip() for line in source)
    if item is None:
        return [".PP", _inline(text)]
    mark = item[1] if item[1][0].isdigit() else "\\(bu"
    return [f'.IP "{mark}" 4', _inline(text[item.end() :])]


def _table(source: Sequence[str]) -> list[str]:
    """A row is its first cell in bold and the others below it: long cells read badly side by side on a terminal."""
    header, *rows = [_cells(line) for line in source if not re.fullmatch(r"[|: -]+", line)]
    lines = []
    if any(header):
        names = [re.sub(r"\\f[BIR]", "", _inline(cell)) for cell in header if cell]
        lines += [".PP", f"\\fI{' / '.join(names)}\\fR"]
    for cells in rows:
        first, *others = [_inline(cell) for cell in cells]
        named = list(zip(header[1:], others, strict=False)) if len(header) > 2 else []
        if named:
            others = [f"{escaped(name)}: {cell}" if name else cell for name, cell in named if cell]
        lines += [".TP", first or "\\&", *(others[:1] or ["\\&"])]
        for cell in others[1:]:
            lines += [".br", cell]
    return lines


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in _CELLS.split(line.strip().strip("|"))]


def _inline(text: str) -> str:
    pieces = []
    position = 0
    for found in _SPAN.finditer(text):
        pieces.append(escaped(text[position : found.start()]).removeprefix("\\&" if position else "\0"))
        code, bold, emphasis, link, target = found.groups()
        if code is not None or bold is not None:
            pieces.append(f"\\fB{escaped(code or bold.replace('`', ''))}\\fR")
        elif emphasis is not None:
            pieces.append(f"\\fI{escaped(emphasis)}\\fR")
        else:
            pieces.append(f"{escaped(link)} ({escaped(target)})")
        position = found.end()
    pieces.append(escaped(text[position:]))
    line = "".join(pieces)
    return "\\&" + line if line.startswith((".", "'")) else line
