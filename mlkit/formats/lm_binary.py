"""The binary file of a language model: named arrays on a memory map, described by JSON at the end.

Layout: the magic and zeros (64 bytes), arrays one after another (each begins at a multiple of 64 bytes), the
JSON, its length (8 bytes, little-endian) and the magic again. What is cut short lacks the end.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from mlkit.errors import ModelError, UsageError
from mlkit.formats.streams import PathLike, is_standard
from mlkit.version import __version__

MAGIC = b"mlkitNGM"
FORMAT = 1
ALIGN = 64


class SectionWriter:
    """Write arrays, each in as many pieces as one likes."""

    def __init__(self, stream: BinaryIO, kind: str) -> None:
        self._stream, self._kind = stream, kind
        self._at = 0
        self._sections: dict[str, dict[str, Any]] = {}
        self._open: str | None = None
        self._write(MAGIC.ljust(ALIGN, b"\0"))

    def _write(self, data: Any) -> None:
        self._stream.write(data)
        self._at += len(data)

    def begin(self, name: str) -> None:
        """Begin an array; the one before it ends."""
        self._write(b"\0" * (-self._at % ALIGN))
        self._sections[name] = {"at": self._at, "rows": 0, "type": "|u1", "row": []}
        self._open = name

    def append(self, array: npt.NDArray[Any]) -> None:
        """Add rows to the array that is open."""
        assert self._open is not None
        section = self._sections[self._open]
        section["type"] = array.dtype.newbyteorder("<").str
        section["row"] = list(array.shape[1:])
        section["rows"] += len(array)
        self._write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    def add(self, name: str, array: npt.NDArray[Any]) -> None:
        """Write a whole array."""
        self.begin(name)
        self.append(array)

    def finish(self, header: dict[str, Any]) -> None:
        """Write the description."""
        content = {
            "kind": self._kind, "format": FORMAT, "version": __version__, "header": header,
            "sections": self._sections,
        }  # fmt: skip
        data = json.dumps(content, sort_keys=True, ensure_ascii=False).encode()
        self._write(b"\0" * (-self._at % ALIGN))
        self._write(data + b" " * (-(len(data) + 16) % ALIGN))
        self._write((len(data) + -(len(data) + 16) % ALIGN).to_bytes(8, "little") + MAGIC)


class Sections:
    """The arrays of a file, read-only on its memory map."""

    def __init__(self, path: PathLike, kind: str) -> None:
        if is_standard(path):
            raise UsageError("a binary model is mapped into memory and cannot come from a pipe")
        self.path = name = os.fspath(path)
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < ALIGN or file.read(len(MAGIC)) != MAGIC:
                raise ModelError("is not a binary n-gram file of mlkit", path=name)
            self.mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if size % ALIGN or self.mapped[-8:] != MAGIC:
            raise ModelError("is cut short", path=name)
        length = int.from_bytes(self.mapped[-16:-8], "little")
        try:
            if length > size - ALIGN - 16:
                raise ValueError("length")
            content = json.loads(self.mapped[size - 16 - length : size - 16])
            if content["format"] > FORMAT:
                raise ModelError(
                    f"was written by a newer mlkit ({content['version']})", path=name, hint="update mlkit"
                )
            if content["kind"] != kind:
                raise ModelError(f"holds {content['kind']}, not {kind}", path=name)
            self.header: dict[str, Any] = dict(content["header"])
            self.version = str(content["version"])
            self._sections = {str(k): dict(v) for k, v in content["sections"].items()}
            self.arrays = {key: self._array(section, size) for key, section in self._sections.items()}
        except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise ModelError(f"its description is damaged ({error})", path=name) from None

    def _array(self, section: dict[str, Any], size: int) -> npt.NDArray[Any]:
        dtype = np.dtype(str(section["type"]))
        if dtype.kind not in "uif" or not dtype.isnative:
            raise ValueError("type")
        row = [int(n) for n in section["row"]]
        rows, at = int(section["rows"]), int(section["at"])
        count = rows * math.prod(row)
        if (
            min([rows, at, *row]) < 0
            or max([rows, *row]) > size
            or len(row) > 1
            or at % ALIGN
            or at + count * dtype.itemsize > size
        ):
            raise ValueError("size")
        return np.frombuffer(self.mapped, dtype, count, at).reshape(rows, *row)

    def release(self) -> None:
        """Give back the memory of what was read so far; it is read again when it is needed."""
        self.mapped.madvise(mmap.MADV_DONTNEED)

    def offset(self, name: str) -> int:
        """Return the byte where an array begins."""
        return int(self._sections[name]["at"])


def is_binary(path: PathLike) -> bool:
    """Say whether a file begins as a binary n-gram file does."""
    if is_standard(path) or not Path(path).is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC
