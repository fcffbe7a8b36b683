"""Texts in pieces of about a megabyte that end where a word or a line ends."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from mlkit.formats import kernels_corpus as kernels
from mlkit.formats.input_shards import Part, input_parts, lines_before
from mlkit.formats.streams import Errors, PathLike, display_name, invalid_utf8, is_standard, open_input

CHUNK = 1 << 20
PADDING = 16
_BOM = b"\xef\xbb\xbf"


@dataclass
class Chunk:
    """A piece of a text: data[:size], followed by 16 spaces; `final` says that the text ends here."""

    name: str
    data: npt.NDArray[np.uint8]
    size: int
    final: bool
    newlines: int = 0
    invalid: int = -1  # where invalid UTF-8 begins
    tail: int = 0  # bytes after the last newline
    read: int = 0  # bytes of input
    start: int = 0  # where in the file reading began


def text_chunks(
    sources: Sequence[PathLike],
    *,
    whole_lines: bool = False,
    chunk_bytes: int | None = None,
    shard: tuple[int, int] | None = None,
) -> Iterator[Chunk]:
    """Yield the texts (files, folders, "-" for stdin; compressed or not) in pieces cut after white space.

    `whole_lines`: cut after newlines only. `shard`: read a part of the input, see `input_parts`. A BOM at the
    start of a text is dropped. A word or line that is longer than a piece makes the piece longer. The last piece
    of every text is `final` and may be empty.
    """
    for part in input_parts(sources, shard):
        stream = open_input(part.path)
        try:
            if part.start:
                stream.seek(part.start)
            yield from _chunks_of(stream, part, whole_lines, chunk_bytes or CHUNK)
        finally:
            if not is_standard(part.path):
                stream.close()


def _chunks_of(stream: BinaryIO, part: Part, whole_lines: bool, chunk_bytes: int) -> Iterator[Chunk]:
    readinto: Callable[[memoryview], int] = stream.readinto  # type: ignore[attr-defined]
    left = None if part.stop is None else part.stop - part.start
    carry = np.empty(0, np.uint8)
    start_of_text, final = part.start == 0, False
    while not final:
        data = np.empty(chunk_bytes + len(carry) + PADDING, np.uint8)
        data[: len(carry)] = carry
        filled = fresh = len(carry)
        while True:
            wanted = len(data) - PADDING - filled
            got = _fill(readinto, data[filled : filled + (wanted if left is None else min(wanted, left))])
            filled += got
            if left is not None:
                left -= got
            final = got < wanted
            if start_of_text and data[: min(filled, 3)].tobytes() == _BOM:
                data[: filled - 3] = data[3:filled].copy()
                filled, fresh = filled - 3, 0
            start_of_text = False
            cut = filled if final else int(kernels.last_space(data, fresh, filled, whole_lines)) + 1
            if cut or final:
                break
            # one word (or line) fills it all: twice the room
            fresh = filled
            data = np.concatenate((data[:filled], np.empty(filled + PADDING, np.uint8)))
        carry = data[cut:filled].copy()
        data[cut : cut + PADDING] = 32
        yield Chunk(display_name(part.path), data, cut, final, start=part.start)


def _fill(readinto: Callable[[memoryview], int], data: npt.NDArray[np.uint8]) -> int:
    """Read until `data` is full or the stream ends; return the number of bytes."""
    view = data.data
    filled = 0
    while filled < len(view):
        count = readinto(view[filled:])
        if not count:
            break
        filled += count
    return filled


def clean(chunk: Chunk, *, lower: bool = False, errors: Errors = "strict") -> None:
    """Check the UTF-8 of a chunk, repair it as `errors` says, and lowercase it, in place."""
    chunk.newlines = int(kernels.count_newlines(chunk.data, chunk.size))
    chunk.tail = chunk.size - 1 - int(kernels.last_space(chunk.data, 0, chunk.size, True))
    content = int(kernels.check_utf8(chunk.data, np.uint64(chunk.size)))
    if content >= 0:
        content = -1
        text = chunk.data[: chunk.size].tobytes()
        if errors == "strict":
            chunk.invalid = _first_invalid(text)
            return
        if errors == "replace":
            replace(chunk, text.decode("utf-8", "replace").encode("utf-8"))
        else:
            replace(chunk, b"".join(line for line in io.BytesIO(text) if _first_invalid(line) < 0))
    if lower and content == kernels.ASCII:
        kernels.lower_ascii(chunk.data, chunk.size)
    elif lower:
        replace(chunk, chunk.data[: chunk.size].tobytes().decode("utf-8").lower().encode("utf-8"))


def replace(chunk: Chunk, text: bytes) -> None:
    """Put another text into a chunk."""
    chunk.data = np.frombuffer(text + b" " * PADDING, np.uint8)
    chunk.size = len(text)


def _first_invalid(text: bytes) -> int:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return -1


class Places:
    """Count lines while chunks go by in order, and raise the error that a chunk carries."""

    def __init__(self) -> None:
        self.line, self.column = 1, 0

    def pass_by(self, chunk: Chunk) -> None:
        """Raise `DataError` with file, line and byte for a chunk with invalid UTF-8."""
        if chunk.invalid >= 0:
            before = chunk.data[: chunk.invalid].tobytes()
            lines = before.count(b"\n")
            column = chunk.invalid - (before.rfind(b"\n") + 1) + (0 if lines else self.column)
            line = self.line + lines + lines_before(chunk.name, chunk.start)
            raise invalid_utf8(chunk.name, line, column + 1)
        if chunk.final:
            self.line, self.column = 1, 0
            return
        self.line += chunk.newlines
        if chunk.newlines:
            self.column = 0
        self.column += chunk.tail
