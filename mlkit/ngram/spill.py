"""Arrays put aside: in memory while there is room, else in a temporary file."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = tuple[npt.NDArray[Any], ...]


class Shelves:
    """The room that all shelves of a job share: `limit` bytes of memory (None: no bound), then `directory`."""

    def __init__(self, limit: int | None = None, directory: str | None = None) -> None:
        self.limit, self.directory = limit, directory
        self.used = 0
        self.spilled = 0

    def take(self, size: int) -> bool:
        """Reserve memory; False when there is none left."""
        if self.limit is not None and self.used + size > self.limit:
            return False
        self.used += size
        return True

    def shelf(self) -> Shelf:
        """Return an empty shelf."""
        return Shelf(self)


class Shelf:
    """Blocks of arrays by number; the arrays of one block have the same length."""

    def __init__(self, room: Shelves) -> None:
        self._room = room
        self._blocks: list[Arrays | list[tuple[int, np.dtype[Any], tuple[int, ...]]] | None] = []
        self._file: Any = None
        self._end = 0
        self._lock = threading.Lock()

    def put(self, *arrays: npt.NDArray[Any]) -> int:
        """Keep arrays; return the number of the block."""
        with self._lock:
            if self._room.take(sum(array.nbytes for array in arrays)):
                self._blocks.append(arrays)
            else:
                self._blocks.append([self._write(array) for array in arrays])
            return len(self._blocks) - 1

    def _write(self, array: npt.NDArray[Any]) -> tuple[int, np.dtype[Any], tuple[int, ...]]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._room.directory, buffering=0)
        place = self._end
        view = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        while len(view):
            view = view[self._file.write(view) :]
        self._end += array.nbytes
        self._room.spilled += array.nbytes
        return place, array.dtype, array.shape

    def get(self, block: int, start: int = 0, stop: int | None = None) -> Arrays:
        """Return rows start:stop of the arrays of a block."""
        content = self._blocks[block]
        assert content is not None
        if isinstance(content, tuple):
            return tuple(array[start:stop] for array in content)
        return tuple(self._read(*entry, start, stop) for entry in content)

    def _read(
        self, place: int, dtype: np.dtype[Any], shape: tuple[int, ...], start: int, stop: int | None
    ) -> npt.NDArray[Any]:
        stop = shape[0] if stop is None else stop
        row = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        out = np.empty((stop - start, *shape[1:]), dtype)
        view = out.reshape(-1).view(np.uint8).data
        position = place + start * row
        while len(view):
            got = os.preadv(self._file.fileno(), [view], position)
            if not got:
                raise OSError("the temporary file was cut short")
            view, position = view[got:], position + got
        return out

    def drop(self, block: int) -> None:
        """Forget a block."""
        content = self._blocks[block]
        if isinstance(content, tuple):
            self._room.used -= sum(array.nbytes for array in content)
        self._blocks[block] = None

    def __len__(self) -> int:
        return len(self._blocks)

    def close(self) -> None:
        """Forget everything."""
        for block in range(len(self._blocks)):
            self.drop(block)
        if self._file is not None:
            self._file.close()


class Parts:
    """Arrays grouped by part: every block that is added holds rows of all parts, part after part."""

    def __init__(self, room: Shelves, empty: Sequence[npt.NDArray[Any]]) -> None:
        self._shelf = room.shelf()
        self._offsets: list[npt.NDArray[np.int64]] = []
        self._empty = tuple(empty)

    def add(self, arrays: Arrays, offsets: npt.NDArray[np.int64]) -> None:
        """Add rows; those of part p are offsets[p]:offsets[p + 1]."""
        self._shelf.put(*arrays)
        self._offsets.append(offsets)

    def read(self, part: int) -> tuple[Arrays, npt.NDArray[np.int64]]:
        """Return all rows of a part in the order of the blocks, and where those of each block begin (and end)."""
        pieces = []
        sizes = [0]
        for block, offsets in enumerate(self._offsets):
            start, stop = int(offsets[part]), int(offsets[part + 1])
            if stop > start:
                pieces.append(self._shelf.get(block, start, stop))
            sizes.append(stop - start)
        if not pieces:
            return self._empty, np.cumsum(np.asarray(sizes, np.int64))
        joined = tuple(np.concatenate(columns) for columns in zip(*pieces, strict=True))
        return joined, np.cumsum(np.asarray(sizes, np.int64))

    def close(self) -> None:
        """Forget everything."""
        self._shelf.close()
