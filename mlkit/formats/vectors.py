"""Word vectors on disk: word2vec text and binary, GloVe text (with or without a header), fastText .vec, safetensors.

What a file holds is recognised by its content, what is written is chosen by the suffix of its name. Text numbers are
the shortest that read back as the same float32, laid out as numpy and gensim print them.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, ModelError, UsageError
from mlkit.formats.model_file import load_model, save_model
from mlkit.formats.streams import Errors, PathLike, display_name, open_input, open_output, plain_suffix
from mlkit.formats.vector_lines import decode_words, format_lines, parse_block, split_line

Matrix = NDArray[np.float32]

FORMATS = ("text", "binary", "glove", "safetensors")
KIND = "vectors"
BLOCK = 4 << 20  # bytes read at a time
WRITTEN = 1 << 17  # numbers written at a time
_LONGEST_LINE = 1 << 28
_LARGEST_DIMENSION = 1 << 24
_FASTTEXT_MODEL = b"\xba\x16\x4f\x2f"
_HEADER = re.compile(rb"\s*(\d{1,18})[ \t]+(\d{1,18})\s*")


@dataclass(frozen=True)
class VectorFile:
    """The content of a vector file.

    words: unique, in the order of the file; matrix: float32 [words, dimension], read-only when it is a memory map;
    format: one of `FORMATS`; header: whether a text file states its size; dropped: rows left out because an earlier
    row has the same word.
    """

    words: list[str]
    matrix: Matrix
    format: str
    header: bool
    dropped: int


def load_vectors(
    path: PathLike, format: str | None = None, limit: int | None = None, *, errors: Errors = "strict"
) -> tuple[list[str], Matrix]:
    """Return (words, float32 matrix [words, dimension]) of a vector file of any supported kind; "-" is stdin.

    `format` None recognises the kind by the content; `limit` reads the first vectors only. A word that occurs again
    is left out, as in gensim. `errors` says what to do with words that are not UTF-8. A safetensors file is mapped
    into memory (read-only), the others are read in one pass.

    Raises `DataError` with the line for faulty text, `ModelError` for damaged binary files.
    """
    content = read_vectors(path, format, limit, errors=errors)
    return content.words, content.matrix


def read_vectors(
    path: PathLike, format: str | None = None, limit: int | None = None, *, errors: Errors = "strict"
) -> VectorFile:
    """Return the words and vectors of a file as `load_vectors` does, and what kind of file it is."""
    if format is not None and format not in FORMATS:
        raise UsageError(f"no vector format {format!r}; choose one of {', '.join(FORMATS)}")
    if limit is not None and limit < 1:
        raise UsageError(f"the number of vectors to read must be at least 1, not {limit}")
    with open_input(path) as stream:
        reader = _Reader(stream, display_name(path))
        found = format or _recognise(reader)
        if found == "binary":
            words, matrix = _read_binary(reader, limit, errors)
            header = True
        elif found != "safetensors":
            size = _text_header(reader, format)
            header = size is not None
            found = "text" if header else "glove"
            words, matrix = _read_text(reader, size, limit, errors)
    if found == "safetensors":
        if not Path(path).is_file():
            raise UsageError(
                f"{display_name(path)}: safetensors are mapped into memory: give a file, not a stream"
            )
        words, matrix, header = *_read_safetensors(path, limit), True
    kept = list(dict.fromkeys(words))
    dropped = len(words) - len(kept)
    if dropped:
        first = dict(zip(reversed(words), range(len(words) - 1, -1, -1), strict=True))
        words, matrix = kept, matrix[np.array([first[word] for word in kept])]
    return VectorFile(words, matrix, found, header, dropped)


def save_vectors(
    path: PathLike,
    words: Sequence[str],
    matrix: Matrix,
    format: str | None = None,
    *,
    newline: bool = True,
) -> None:
    """Write vectors; the file appears whole or not at all, and memory stays bounded whatever its size.

    `matrix`: float32 [words, dimension], a memory map is fine. `format` None goes by the suffix: .bin binary, .glove
    or .glove.txt GloVe text (no header), .safetensors, anything else word2vec text. `newline` ends each vector of
    the binary format with a newline as word2vec.c does (gensim does not; every reader takes both).

    Raises `DataError` for a word that the format cannot hold: an empty one, or one with a space or a line end.
    """
    if matrix.ndim != 2 or len(words) != len(matrix):
        raise ValueError(f"{len(words)} words for a matrix of shape {matrix.shape}")
    chosen = format or format_of(path)
    if chosen not in FORMATS:
        raise UsageError(f"no vector format {chosen!r}; choose one of {', '.join(FORMATS)}")
    _check_words(words, path)
    if chosen == "safetensors":
        text = np.frombuffer("\n".join(words).encode("utf-8", "surrogateescape"), np.uint8)
        save_model(path, KIND, {"words": len(words)}, {"vectors": np.asarray(matrix, "f4"), "words": text})
        return
    rows = max(1, WRITTEN // max(1, matrix.shape[1]))
    with open_output(path) as stream:
        if chosen != "glove":
            stream.write(f"{len(words)} {matrix.shape[1]}\n".encode())
        for begin in range(0, len(words), rows):
            encoded = [word.encode("utf-8", "surrogateescape") for word in words[begin : begin + rows]]
            block = np.ascontiguousarray(matrix[begin : begin + rows], "<f4")
            if chosen == "binary":
                end = b"\n" if newline else b""
                for word, vector in zip(encoded, block, strict=True):
                    stream.write(b"%b %b%b" % (word, vector.tobytes(), end))
            else:
                lines = format_lines(encoded, block, compiled=matrix.size > BLOCK // 16)
                stream.write(lines if isinstance(lines, bytes) else lines.data)


def format_of(path: PathLike) -> str:
    """Return the format that the suffix of an output file asks for."""
    suffix = plain_suffix(path).lower()
    name = os.fspath(path).lower()
    if suffix == ".glove" or ".glove.txt" in name[-len(".glove.txt.bz2") :]:
        return "glove"
    return {".bin": "binary", ".safetensors": "safetensors"}.get(suffix, "text")


def _check_words(words: Sequence[str], path: PathLike) -> None:
    for row, word in enumerate(words):
        if not word or " " in word or "\n" in word:
            raise DataError(f"word {row + 1} ({word!r}) is empty or holds a space or a line end", path=path)


class _Reader:
    """A stream with a look ahead of any size."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.buffer = b""
        self.ended = False

    def fill(self, size: int) -> bool:
        """Hold at least `size` bytes; return False if the stream ends before."""
        if len(self.buffer) < size and not self.ended:
            parts = [self.buffer]
            held = len(self.buffer)
            while held < size:
                data = self.stream.read(max(size - held, 1 << 16))
                if not data:
                    self.ended = True
                    break
                parts.append(data)
                held += len(data)
            self.buffer = b"".join(parts)
        return len(self.buffer) >= size

    def first_line(self, begin: int = 0) -> bytes:
        """Hold a whole line from `begin` on and return it with its end; all that is left if it has none."""
        size = 1 << 16
        while (found := self.buffer.find(b"\n", begin)) < 0 and len(self.buffer) < _LONGEST_LINE:
            if not self.fill(begin + size):
                break
            size *= 2
        found = self.buffer.find(b"\n", begin)
        return self.buffer[begin : found + 1] if found >= 0 else self.buffer[begin:]

    def skip(self, size: int) -> None:
        self.buffer = self.buffer[size:]

    def plain_size(self) -> int | None:
        """Return the size of the file if the stream is a plain file, read as it is."""
        try:
            facts = os.fstat(self.stream.fileno())
        except OSError:
            return None
        return facts.st_size if stat.S_ISREG(facts.st_mode) else None


class _Rows:
    """A matrix that grows by rows; one allocation when the number of rows is known."""

    def __init__(self, dimension: int, expected: int = 0) -> None:
        self.matrix = np.empty((expected, dimension), np.float32)
        self.count = 0

    def room(self, rows: int) -> Matrix:
        """Return the next `rows` rows, to be filled."""
        begin, self.count = self.count, self.count + rows
        if self.count > len(self.matrix):
            # realloc moves pages, it does not copy them
            self.matrix.resize(
                (max(self.count, len(self.matrix) * 3 // 2), self.matrix.shape[1]), refcheck=False
            )
        return self.matrix[begin : self.count]

    def finish(self) -> Matrix:
        if self.count < len(self.matrix):
            self.matrix.resize((self.count, self.matrix.shape[1]), refcheck=False)
        return self.matrix


def _recognise(reader: _Reader) -> str:
    """Name the format of a stream by its first bytes."""
    if not reader.fill(16) and not reader.buffer.strip():
        raise DataError("no vectors: the file is empty", path=reader.name)
    head = reader.buffer
    if head.startswith(_FASTTEXT_MODEL):
        raise ModelError(
            "a fastText model, not a file of word vectors", path=reader.name,
            hint="fastText writes the vectors of its words to the .vec file beside it",
        )  # fmt: skip
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 30:
        return "safetensors"
    line = reader.first_line()
    match = _HEADER.fullmatch(line)
    if match is None:
        if not _printable(line.partition(b" ")[2]):
            raise ModelError("neither text nor binary word vectors", path=reader.name)
        return "glove"
    count, dimension = _size(match, reader.name)
    row = reader.first_line(len(line))
    fields = row.split()
    if count == 0 or (len(fields) == dimension + 1 and all(map(_is_number, fields[1:]))):
        return "text"
    if not _printable(row.partition(b" ")[2]):
        return "binary"
    # a number of a binary vector may hold the byte of a line end: look at as much as a whole vector
    begin = len(line) + row.find(b" ") + 1
    reader.fill(begin + 4 * dimension)
    return "text" if _decodes(reader.buffer[begin : begin + 4 * dimension]) else "binary"


def _decodes(data: bytes) -> bool:
    """Say whether bytes are UTF-8 (cut off anywhere) without control characters."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return all(character >= " " or character in "\t\r\n" for character in text)


def _printable(data: bytes) -> bool:
    """Say whether bytes look like the numbers of a text (or words that were meant to be numbers)."""
    return data.isascii() and all(byte >= 32 or byte in b"\t\r\n" for byte in data)


def _is_number(token: bytes) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _size(match: re.Match[bytes], name: str) -> tuple[int, int]:
    """Return (count, dimension) of a first line; the rest is allocated by it, so it must make sense."""
    count, dimension = map(int, match.groups())
    if dimension > _LARGEST_DIMENSION or (count and not dimension):
        raise ModelError(f"vectors of {dimension} numbers: the first line is damaged", path=name)
    return count, dimension


def _text_header(reader: _Reader, format: str | None) -> tuple[int, int] | None:
    """Take the line "count dimension" if the text begins with one.

    A file of one dimension said to be GloVe text may begin with a word such as 7: the second line tells.
    """
    if reader.fill(3) and reader.buffer.startswith(b"\xef\xbb\xbf"):
        reader.skip(3)
    line = reader.first_line()
    match = _HEADER.fullmatch(line)
    if match is None:
        return None
    count, dimension = _size(match, reader.name)
    if format == "glove" and dimension != 1 and len(reader.first_line(len(line)).split()) == 2:
        return None
    reader.skip(len(line))
    return count, dimension


def _read_text(
    reader: _Reader, size: tuple[int, int] | None, limit: int | None, errors: Errors
) -> tuple[list[str], Matrix]:
    if size is None:
        promised = None
        first = reader.first_line()
        if not first.strip():
            raise DataError("no vectors: the file is empty", path=reader.name)
        dimension = len(split_line(first, None, reader.name, 1)[1])
    else:
        promised, dimension = size
    wanted = 1 << 62 if limit is None else limit
    whole = reader.plain_size()
    # a line takes two bytes a number at least: a file cannot make us allocate much more than its size
    known = promised is not None and whole is not None and promised * 2 * dimension <= whole
    rows = _Rows(dimension, min(promised or 0, wanted) if known else 0)
    words: list[str] = []
    line = 1 + (size is not None)
    compiled = (whole or BLOCK) >= BLOCK // 2
    for block in _blocks(reader):
        bounds = parse_block(block, dimension, rows.room, wanted - rows.count, reader.name, line, compiled)
        words.extend(decode_words(block, bounds, errors, reader.name, line))
        line += block.count(b"\n")
        if rows.count >= wanted:
            break
    if promised is not None and not min(promised, wanted) <= rows.count <= promised:
        fault = "truncated: " if rows.count < promised else ""
        raise DataError(
            f"{fault}the first line promises {promised} vectors, the file holds {rows.count}",
            path=reader.name,
        )
    matrix = rows.finish()
    return _without_skipped(words, matrix, errors)


def _blocks(reader: _Reader) -> Iterator[bytes]:
    """Yield the rest of a text in blocks of whole lines."""
    size = BLOCK
    while reader.fill(size) or reader.buffer:
        end = len(reader.buffer) if reader.ended else reader.buffer.rfind(b"\n") + 1
        if end == 0:
            size *= 2
            continue
        block = reader.buffer[:end]
        reader.skip(end)
        size = BLOCK
        yield block


def _without_skipped(words: list[str], matrix: Matrix, errors: Errors) -> tuple[list[str], Matrix]:
    """Leave out the rows whose words are empty: those that `errors="skip"` refused."""
    if errors != "skip" or "" not in words:
        return words, matrix
    keep = np.array([bool(word) for word in words])
    return [word for word in words if word], matrix[keep]


def _read_binary(reader: _Reader, limit: int | None, errors: Errors) -> tuple[list[str], Matrix]:
    line = reader.first_line()
    match = _HEADER.fullmatch(line)
    if match is None:
        raise ModelError(
            "not word2vec binary: no line with the numbers of words and dimensions", path=reader.name
        )
    promised, dimension = _size(match, reader.name)
    reader.skip(len(line))
    wanted = promised if limit is None else min(limit, promised)
    width = 4 * dimension
    whole = reader.plain_size()
    if whole is not None and wanted * (width + 2) > whole:
        raise ModelError(
            f"truncated: {wanted} vectors of {dimension} numbers do not fit in {whole} bytes",
            path=reader.name,
        )
    rows = _Rows(dimension, wanted if whole is not None else 0)
    raw: list[bytes] = []
    while len(raw) < wanted:
        more = reader.fill(BLOCK + width)
        starts, used = _scan_records(reader.buffer, width, wanted - len(raw), raw)
        if starts:
            view = memoryview(reader.buffer)
            joined = b"".join([view[start : start + width] for start in starts])
            rows.room(len(starts))[:] = np.frombuffer(joined, "<f4").reshape(len(starts), dimension)
            view.release()
        elif not more or len(reader.buffer) > BLOCK + width:
            raise ModelError(f"truncated or damaged at vector {len(raw) + 1} of {promised}", path=reader.name)
        reader.skip(used)
    words = []
    for row, word in enumerate(raw):
        try:
            words.append(word.decode("utf-8"))
        except UnicodeDecodeError:
            if errors == "strict":
                raise DataError(
                    f"word {row + 1} is not UTF-8", path=reader.name,
                    hint="choose --errors replace or --errors skip",
                ) from None  # fmt: skip
            words.append(word.decode("utf-8", "replace") if errors == "replace" else "")
    return _without_skipped(words, rows.finish(), errors)


def _scan_records(data: bytes, width: int, most: int, words: list[bytes]) -> tuple[list[int], int]:
    """Find records "word, space, `width` bytes" in `data`; return where vectors start and the bytes used.

    Newlines before a word belong to the record before (word2vec.c ends a vector with one, gensim does not).
    """
    starts: list[int] = []
    position, size = 0, len(data)
    while len(starts) < most:
        space = data.find(b" ", position)
        if space < 0 or space + 1 + width > size:
            break
        words.append(data[position:space].lstrip(b"\n"))
        starts.append(space + 1)
        position = space + 1 + width
    return starts, position


def _read_safetensors(path: PathLike, limit: int | None) -> tuple[list[str], Matrix]:
    _, tensors = load_model(path, KIND)
    matrix, text = tensors.get("vectors"), tensors.get("words")
    if (
        matrix is None
        or text is None
        or matrix.ndim != 2
        or matrix.dtype != np.float32
        or text.dtype != np.uint8
    ):
        raise ModelError("holds no word vectors (tensors 'vectors' and 'words')", path=Path(path))
    try:
        words = text.tobytes().decode("utf-8").split("\n") if text.size else []
    except UnicodeDecodeError:
        raise ModelError("the words are not UTF-8", path=path) from None
    if len(words) != len(matrix):
        raise ModelError(f"{len(words)} words for {len(matrix)} vectors", path=path)
    return words[:limit], matrix[:limit]
