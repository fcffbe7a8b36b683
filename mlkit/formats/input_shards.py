"""Which parts of which files to read: all of them, or a shard, cut where lines end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mlkit.errors import UsageError
from mlkit.formats.streams import PathLike, compression_of, display_name, expand_sources, is_standard

PIECE = 1 << 20


@dataclass(frozen=True)
class Part:
    """A file, or the lines of it that begin in bytes [start, stop); `source` is its number among the files."""

    path: str
    start: int = 0
    stop: int | None = None
    source: int = 0

    @property
    def size(self) -> int | None:
        """Return how many bytes there are to read (of a compressed file: packed); None for a pipe."""
        if self.stop is not None:
            return self.stop - self.start
        return Path(self.path).stat().st_size if not is_standard(self.path) else None


def input_parts(sources: Sequence[PathLike], shard: tuple[int, int] | None = None) -> list[Part]:
    """Return what to read: all files that `sources` name, or shard `(index, number of shards)` of them.

    The files are laid end to end and cut into equal shards of bytes; a line belongs to the shard in which it begins,
    and a compressed file is not cut. Raises `UsageError` for a shard of a pipe.
    """
    paths = expand_sources(sources)
    if shard is None:
        return [Part(path, source=source) for source, path in enumerate(paths)]
    sizes = file_sizes(paths, "--shard needs")
    index, count = shard
    first, last = sum(sizes) * index // count, sum(sizes) * (index + 1) // count
    parts, begin = [], 0
    for source, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        start, stop = max(first - begin, 0), min(last - begin, size)
        whole = first <= begin < last
        begin += size
        if start == 0 and stop == size:
            parts.append(Part(path, source=source))
        elif start < stop or whole:
            with open(path, "rb") as file:
                packed = compression_of(file.read(8)) is not None
                if packed and whole:
                    parts.append(Part(path, source=source))
                elif not packed:
                    parts.append(Part(path, _line_start(file, start), _line_start(file, stop), source))
    return parts


def file_sizes(paths: Sequence[str], who: str) -> list[int]:
    """Return the sizes of files that are to be cut. Raises `UsageError` for a pipe, saying `who` needs a file."""
    sizes = []
    for path in paths:
        if not is_standard(path):
            sizes.append(Path(path).stat().st_size)
        if is_standard(path) or not Path(path).is_file():
            raise UsageError(f"{display_name(path)}: {who} files; a pipe cannot be cut")
    return sizes


def input_size(sources: Sequence[PathLike], shard: tuple[int, int] | None = None) -> int | None:
    """Return how many bytes of files there are to read; None when a pipe or a packed file hides it."""
    total = 0
    for part in input_parts(sources, shard):
        if part.size is None or not Path(part.path).is_file():
            return None
        if part.stop is None:
            with open(part.path, "rb") as file:
                if compression_of(file.read(8)) is not None:
                    return None
        total += part.size
    return total


def _line_start(file: BinaryIO, position: int) -> int:
    """Return where the first line that begins at `position` or later begins."""
    if position:
        file.seek(position - 1)
        while (piece := file.readline(PIECE)) and not piece.endswith(b"\n"):
            pass
        return file.tell()
    return 0


def lines_before(path: str, start: int) -> int:
    """Count the lines of a file before byte `start`."""
    lines = 0
    if start:
        with open(path, "rb") as file:
            for first in range(0, start, PIECE):
                lines += file.read(min(PIECE, start - first)).count(b"\n")
    return lines
