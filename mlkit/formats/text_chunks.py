"""Texts in pieces of about a megabyte that end where a word or a line ends."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlkit.formats import kernels_corpus as kernels
from mlkit.formats.streams import Errors, PathLike, display_name, expand_sources, invalid_utf8, open_input

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


def text_chunks(
    sources: Sequence[PathLike], *, whole_lines: bool = False, chunk_bytes: int = CHUNK
) -> Iterator[Chunk]:
    """Yield the texts (files, folders, "-" for stdin; compressed or not) in pieces cut after white space.

    `whole_lines`: cut after newlines only. A BOM at the start of a text is dropped. A word or line that is longer
    than a piece makes the piece longer. The last piece of every text is `final` and may be empty.
    """
    for path in expand_sources(sources):
        stream = open_input(path)
        try:
            name = display_name(path)
            carry = np.empty(0, np.uint8)
            start_of_text, final = True, False
            while not final:
                capacity = chunk_bytes + len(carry)
                data = np.empty(capacity + PADDING, np.uint8)
                data[: len(carry)] = carry
                filled, fresh = len(carry), len(carry)
                while True:
                    filled, final = _fill(stream.readinto, data, filled, capacity)  # type: ignore[attr-defined]
                    if start_of_text and data[:3].tobytes() == _BOM and filled >= 3:
                        data[: filled - 3] = data[3:filled].copy()
                        filled, fresh = filled - 3, 0
                    start_of_text = False
                    cut = filled if final else int(kernels.last_space(data, fresh, filled, whole_lines)) + 1
                    if cut or final:
                        break
                    fresh, capacity = filled, 2 * capacity
                    larger = np.empty(capacity + PADDING, np.uint8)
                    larger[:filled] = data[:filled]
                    data = larger
                carry = data[cut:filled].copy()
                data[cut : cut + PADDING] = 32
                yield Chunk(name, data, cut, final)
        finally:
            if stream is not getattr(sys.stdin, "buffer", None):
                stream.close()


def _fill(
    readinto: Callable[[memoryview], int], data: npt.NDArray[np.uint8], filled: int, capacity: int
) -> tuple[int, bool]:
    """Read until data[:capacity] is full; return how much is filled and whether the stream ended."""
    view = memoryview(data)
    while filled < capacity:
        count = readinto(view[filled:capacity])
        if not count:
            return filled, True
        filled += count
    return filled, False


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
            raise invalid_utf8(chunk.name, self.line + lines, column + 1)
        if chunk.final:
            self.line, self.column = 1, 0
            return
        self.line += chunk.newlines
        if chunk.newlines:
            self.column = 0
        self.column += chunk.tail
