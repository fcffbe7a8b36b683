"""Model files: safetensors with a JSON header. Loading executes nothing and maps the arrays into memory.

Layout: uint64 length, JSON table of tensors, raw little-endian arrays (the safetensors format). Our own facts are in
the table's ``__metadata__``: ``mlkit`` (version), ``kind`` (which command made it), ``format`` (an integer that grows
when the meaning changes) and ``header`` (settings and everything else, as JSON). The same content gives the same bytes:
keys are sorted, there are no time stamps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import ModelError
from mlkit.formats.streams import PathLike, compression_of, is_standard, open_output
from mlkit.version import __version__

FORMAT = 1
Tensors = dict[str, NDArray[Any]]

_DTYPES = {
    "bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8",
    "uint16": "U16", "uint32": "U32", "uint64": "U64", "float16": "F16", "float32": "F32", "float64": "F64",
}  # fmt: skip
_NUMPY = {name: dtype for dtype, name in _DTYPES.items()}


def save_model(
    path: PathLike,
    kind: str,
    header: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    *,
    format_version: int = FORMAT,
) -> None:
    """Write a model; `header` is anything JSON can hold, `tensors` any numpy arrays, written without a copy."""
    facts = {
        "format": str(format_version),
        "header": json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
        "kind": kind,
        "mlkit": __version__,
    }
    write_safetensors(path, tensors, facts)


def write_safetensors(
    path: PathLike, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write arrays in the safetensors format, aligned to 64 bytes for mapped readers.

    The library's own writer wants all bytes at once or a file name; this one streams through `open_output`.
    """
    table: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    # widest items first: every array stays aligned to its own item size
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    for name in order:
        array = tensors[name]
        size = array.nbytes
        table[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(table, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open_output(path) as stream:
        stream.write(len(text).to_bytes(8, "little"))
        stream.write(text)
        for name in order:
            array = np.ascontiguousarray(tensors[name])
            if array.dtype.byteorder == ">":
                array = array.astype(array.dtype.newbyteorder("<"))
            if array.nbytes:
                stream.write(array.reshape(-1).view(np.uint8).data)


def load_model(
    path: PathLike, kind: str | tuple[str, ...], *, format_version: int = FORMAT
) -> tuple[dict[str, Any], Tensors]:
    """Return (header, tensors) of a model of `kind` (or one of several kinds); tensors are read-only maps.

    `header` also holds "kind" and "mlkit" (the version that wrote it) under the keys ``_kind`` and ``_mlkit``.
    Raises `ModelError` for a truncated file, another kind, a newer format, or a file that is no model.
    """
    metadata, tensors = read_safetensors(path)
    kinds = (kind,) if isinstance(kind, str) else kind
    found = metadata.get("kind")
    if "format" not in metadata or found is None:
        raise ModelError("not a model of mlkit", path=path)
    if found not in kinds:
        raise ModelError(f"a model of kind {found!r}, expected {' or '.join(map(repr, kinds))}", path=path)
    if not re.fullmatch("[0-9]{1,9}", metadata["format"]) or int(metadata["format"]) > format_version:
        raise ModelError(
            f"model format {metadata['format']}, this mlkit reads up to {format_version}",
            path=path, hint=f"it was written by mlkit {metadata.get('mlkit', '?')}: upgrade mlkit",
        )  # fmt: skip
    try:
        header = json.loads(metadata.get("header", "{}"))
    except (ValueError, RecursionError) as error:  # a ValueError, too: a number of thousands of digits
        raise ModelError(f"damaged header ({error})", path=path) from None
    if not isinstance(header, dict):
        raise ModelError("damaged header", path=path)
    header["_kind"], header["_mlkit"] = found, metadata.get("mlkit", "")
    return header, tensors


def kind_of(path: PathLike) -> str | None:
    """Return the kind of an mlkit model, or None for any other readable file."""
    try:
        return read_safetensors(path)[0].get("kind")
    except ModelError:
        return None


def read_safetensors(path: PathLike) -> tuple[dict[str, str], Tensors]:
    """Return (metadata, tensors) of a safetensors file; the arrays are read-only memory maps.

    A compressed file or stdin is read into memory instead. Raises `ModelError` for anything damaged.
    """
    data = _bytes_of(path)
    if len(data) < 8:
        raise ModelError("not a model file (too short)", path=path)
    length = int.from_bytes(data[:8].tobytes(), "little")
    if length > len(data) - 8 or length > 1 << 30:
        raise ModelError("not a model file, or truncated", path=path)
    try:
        table = json.loads(data[8 : 8 + length].tobytes().decode("utf-8"))
    except (ValueError, RecursionError):  # bytes that are no UTF-8, text that is no JSON
        raise ModelError("not a model file (no readable header)", path=path) from None
    if not isinstance(table, dict):
        raise ModelError("not a model file (no table of tensors)", path=path)
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise ModelError("damaged header", path=path)
    body = data[8 + length :]
    tensors = {name: _tensor(body, name, entry, path) for name, entry in table.items()}
    return {str(key): str(value) for key, value in metadata.items()}, tensors


def _bytes_of(path: PathLike) -> NDArray[np.uint8]:
    from mlkit.formats.streams import read_bytes

    if not is_standard(path) and Path(path).is_file():
        with open(path, "rb") as stream:
            compressed = compression_of(stream.read(8)) is not None
        if not compressed and Path(path).stat().st_size:
            return np.memmap(path, np.uint8, "r")
    return np.frombuffer(read_bytes(path), np.uint8)


def _tensor(body: NDArray[np.uint8], name: str, entry: Any, path: PathLike) -> NDArray[Any]:
    try:
        dtype = np.dtype(_NUMPY[entry["dtype"]])
        shape = tuple(int(size) for size in entry["shape"])
        start, stop = (int(offset) for offset in entry["data_offsets"])
    except (LookupError, OverflowError, TypeError, ValueError):
        raise ModelError(f"damaged table entry of tensor {name!r}", path=path) from None
    count = 1
    for size in shape:
        count *= size
    if (
        min((0, *shape)) < 0
        or max((0, *shape)) >= 1 << 62
        or len(shape) > 32
        or not 0 <= start <= stop
        or stop - start != count * dtype.itemsize
    ):
        raise ModelError(f"damaged table entry of tensor {name!r}", path=path)
    if stop > len(body):
        raise ModelError(f"truncated: tensor {name!r} is not complete", path=path)
    part = body[start:stop]
    if start % dtype.itemsize or part.ctypes.data % dtype.itemsize:
        part = part.copy()
    array: NDArray[Any] = part.view(dtype).reshape(shape)
    array.flags.writeable = False
    return array
