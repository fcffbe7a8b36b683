"""Text in pieces that end where a line ends, checked to be UTF-8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlkit.formats.input_shards import Part, input_parts, lines_before
from mlkit.formats.streams import Errors, PathLike, display_name, invalid_utf8, is_standard, open_input

CHUNK = 4 << 20
# behind so many bytes a kernel checks the text: it is faster, once it is loaded
CHECKED_BY_PYTHON = 1 << 20
_BOM = b"\xef\xbb\xbf"
_WHITE = b" \t\n\r\v\f"


@dataclass(frozen=True)
class Piece:
    """A piece of text; `source` numbers the files, `line` is the number (from 1) of its first line."""

    name: str
    source: int
    line: int
    offset: int
    text: bytes


def pieces(
    sources: Sequence[PathLike],
    *,
    errors: Errors = "strict",
    lossless: bool = False,
    document: bool = False,
    chunk_bytes: int = CHUNK,
    shard: tuple[int, int] | None = None,
) -> Iterator[Piece]:
    """Yield the texts of files ("-" is stdin) in pieces of about `chunk_bytes` that end behind a newline.

    `lossless` keeps a BOM and every \\r; else a BOM at the start and a \\r before \\n are dropped. `document` cuts
    before white space instead (newlines are text), at a place where no token can lie. `shard`: read a part of the
    input, see `text_parts.input_parts`; its pieces count lines and bytes from their part's start.
    """
    seen = 0
    for part in input_parts(sources, shard):
        for piece in _of_part(part, chunk_bytes, document, lossless):
            large = seen >= CHECKED_BY_PYTHON
            seen += len(piece.text)
            yield piece if large and _valid(piece.text) else _checked(piece, errors, part)


def _of_part(part: Part, size: int, document: bool, lossless: bool) -> Iterator[Piece]:
    name, source, line, offset = display_name(part.path), part.source, 1, 0
    stream = open_input(part.path)
    try:
        if part.start:
            stream.seek(part.start)
        left = None if part.stop is None else part.stop - part.start
        carry: list[bytes] = []
        first = part.start == 0
        while True:
            data = stream.read(size if left is None else min(size, left))
            left = None if left is None else left - len(data)
            if first and not lossless and data.startswith(_BOM):
                data = data[len(_BOM) :]
            first = False
            if not data:
                break
            cut = _document_cut(data) if document else data.rfind(b"\n") + 1
            if not cut:
                carry.append(data)
                continue
            text = b"".join([*carry, data[:cut]])
            carry = [data[cut:]]
            yield Piece(name, source, line, offset, _ends(text, lossless))
            line += text.count(b"\n")
            offset += len(text)
        if rest := b"".join(carry):
            yield Piece(name, source, line, offset, _ends(rest, lossless))
    finally:
        if not is_standard(part.path):
            stream.close()


def _ends(text: bytes, lossless: bool) -> bytes:
    """Drop the \\r before each newline, and before the end of a last line without newline."""
    if lossless or b"\r" not in text:
        return text
    text = text.replace(b"\r\n", b"\n")
    return text[:-1] if text.endswith(b"\r") else text


def _document_cut(data: bytes) -> int:
    """Return the last place with a space or newline behind it and an ASCII letter or digit before it."""
    at = len(data)
    while True:
        at = max(data.rfind(b"\n", 0, at), data.rfind(b" ", 0, at))
        if at <= 0:
            return 0
        if data[at - 1 : at].isalnum():
            return at


def _valid(text: bytes) -> bool:
    import numpy as np

    from mlkit.bpe.kernels_text import valid_utf8

    return text.isascii() or bool(valid_utf8(np.frombuffer(text, np.uint8)))


def _checked(piece: Piece, errors: Errors, part: Part) -> Piece:
    text = piece.text
    if text.isascii():
        return piece
    try:
        text.decode("utf-8")
        return piece
    except UnicodeDecodeError as error:
        if errors == "strict":
            before = text[: error.start]
            line = piece.line + before.count(b"\n") + lines_before(part.path, part.start)
            byte = error.start - (before.rfind(b"\n") + 1)
            raise invalid_utf8(piece.name, line, byte + 1) from None
    if errors == "replace":
        text = text.decode("utf-8", "replace").encode("utf-8")
    else:
        lines = text.split(b"\n")
        # an invalid last line without newline leaves nothing behind
        text = b"\n".join([line for line in lines[:-1] if _is_utf8(line)] + [b""]) if lines[:-1] else b""
        text += lines[-1] if _is_utf8(lines[-1]) else b""
    return Piece(piece.name, piece.source, piece.line, piece.offset, text)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def split_small(stream: Iterator[Piece], limit: int) -> tuple[list[Piece], bool]:
    """Take pieces until they hold more than `limit` bytes; return them and whether that was all."""
    taken: list[Piece] = []
    total = 0
    for piece in stream:
        taken.append(piece)
        total += len(piece.text)
        if total > limit:
            return taken, False
    return taken, True
