"""Lines "word number ... number": parsed and printed by kernels when there are many, by plain Python when few.

Plain Python spares small files the half second that importing numba takes; both give the same bytes and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError
from mlkit.formats.streams import Errors, invalid_utf8

Matrix = NDArray[np.float32]
Bounds = NDArray[np.int64]


def parse_block(
    block: bytes,
    dimension: int,
    room: Callable[[int], Matrix],
    most: int,
    name: str,
    first_line: int,
    compiled: bool,
) -> Bounds:
    """Parse the lines of `block` into float32 rows; blank lines are passed over.

    `room(n)` gives n rows to fill; at most `most` lines are taken. Returns where each word begins and ends in the
    block, int64 [rows, 2]. Raises `DataError` with the line number, `first_line` being that of the block's start.
    """
    text = np.frombuffer(block, np.uint8)
    # a line takes two bytes a number at least: a faulty file cannot make us allocate much more than its size
    fitting = len(block) // (2 * dimension) + 1
    capacity = min(block.count(b"\n") + 1, fitting, most)
    vectors = np.empty((capacity, dimension), np.float32)
    bounds = np.empty((capacity, 2), np.int64)
    row = position = 0
    while position < len(block) and row < capacity:
        if compiled:
            from mlkit.formats.kernels_vectors import parse_lines

            stopped = np.zeros(1, np.int64)
            row = int(parse_lines(text, position, vectors, row, bounds, stopped))
            position = int(stopped[0])
            if position >= len(block) or row >= capacity:
                break
        end = block.find(b"\n", position)
        end = len(block) if end < 0 else end
        line = block[position:end]
        if line.strip():
            number = first_line + block.count(b"\n", 0, position) if compiled else first_line + row
            word, values = split_line(line, dimension, name, number)
            with np.errstate(over="ignore"):
                vectors[row] = values
            bounds[row] = position, position + len(word)
            row += 1
        elif not compiled:
            first_line += 1
        position = end + 1
    room(row)[:] = vectors[:row]
    return bounds[:row]


def split_line(line: bytes, dimension: int | None, name: str, number: int) -> tuple[bytes, list[float]]:
    """Return (word, values) of one line; the last `dimension` fields are the values (None: all but the first).

    A word may hold spaces (a few of the published GloVe files have such words) as long as it cannot be
    mistaken for a number too many.
    """
    fields = line.rstrip(b" \t\r\n").split(b" ")
    wanted = len(fields) - 1 if dimension is None else dimension
    if len(fields) != wanted + 1 or b"" in fields:
        fields = line.rsplit(None, wanted)
    word, values = fields[0] if fields else b"", fields[1:]
    if len(values) != wanted or not values:
        found = max(len(line.split()) - 1, 0)
        message = f"expected a word and {wanted or 'some'} numbers, found {found}"
        raise DataError(message, path=name, line=number)
    if not word or word.startswith(b" ") or not line.startswith(word):
        raise DataError("no word before the numbers", path=name, line=number)
    if b" " in word and _is_number(word.rsplit(b" ", 1)[1]):
        raise DataError(f"expected {wanted} numbers, found {len(line.split()) - 1}", path=name, line=number)
    try:
        return word, [float(value) for value in values]
    except ValueError:
        bad = next(value for value in values if not _is_number(value)).decode("utf-8", "replace")
        raise DataError(f"{bad[:40]!r} is not a number", path=name, line=number) from None


def _is_number(token: bytes) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def decode_words(block: bytes, bounds: Bounds, errors: Errors, name: str, first_line: int) -> list[str]:
    """Return the words of a block; with `errors` "skip" a word that is not UTF-8 becomes "" (no word is empty)."""
    pairs = bounds.tolist()
    try:
        return [block[begin:end].decode("utf-8") for begin, end in pairs]
    except UnicodeDecodeError:
        pass
    words = []
    for begin, end in pairs:
        try:
            words.append(block[begin:end].decode("utf-8"))
        except UnicodeDecodeError as error:
            if errors == "strict":
                raise invalid_utf8(name, first_line + block.count(b"\n", 0, begin), error.start + 1) from None
            words.append(block[begin:end].decode("utf-8", "replace") if errors == "replace" else "")
    return words


def format_number(value: np.float32) -> str:
    """Return the shortest decimal of a float32, in scientific notation below 1e-4 and from 1e16 on."""
    text = str(value)
    # numpy 2.4 changed from where on it prints exponents: the files do not
    if "e" in text and 1e-4 <= abs(float(value)) < 1e16:
        return np.format_float_positional(value, trim="0")
    return text


def format_lines(words: Sequence[bytes], matrix: Matrix, *, compiled: bool) -> bytes | NDArray[np.uint8]:
    """Return the lines for some words and their float32 vectors [words, dimension]."""
    if not compiled:
        return b"".join(
            b"%b%b\n" % (word, "".join([" " + format_number(value) for value in row]).encode())
            for word, row in zip(words, matrix, strict=True)
        )
    from mlkit.formats.kernels_vectors import MAX_NUMBER, format_rows

    ends = np.cumsum([len(word) for word in words], dtype=np.int64)
    text = np.frombuffer(b"".join(words), np.uint8)
    out = np.empty(len(text) + len(words) + MAX_NUMBER * matrix.size, np.uint8)
    bits = np.ascontiguousarray(matrix, np.float32).view(np.uint32)
    written = int(format_rows(bits, text, ends, out))
    return out[:written]
