"""Compiled kernels without numba: load the object code that numba made, link it by LLVM, call it by ctypes.

Importing numba costs 0.4 s and 65 MB in every process, only to find its own cached machine code again. The command line
therefore keeps that object code (an ELF file of some 50 kB per kernel) in its own cache and calls it directly, by
numba's calling convention: ``int32 f(result*, exception**, arguments...)``, where an array is passed as
(memory info, parent, items, item size, data, shape..., strides...). Anything unexpected (another platform, an unknown
symbol, a damaged file) makes `load` return None, and the kernel goes the ordinary way through numba.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlkit.formats.streams import open_output
from mlkit.jit.signature import Argument

_CTYPES: dict[str, Any] = {
    "b1": ctypes.c_uint8, "i1": ctypes.c_int8, "i2": ctypes.c_int16, "i4": ctypes.c_int32, "i8": ctypes.c_int64,
    "u1": ctypes.c_uint8, "u2": ctypes.c_uint16, "u4": ctypes.c_uint32, "u8": ctypes.c_uint64,
    "f4": ctypes.c_float, "f8": ctypes.c_double,
}  # fmt: skip
_ENGINES: list[Any] = []  # machine code lives as long as its engine


def fingerprint(parts: list[str]) -> str:
    """Return a name for a kernel's object code: it changes with everything that the code depends on.

    `parts` are the kernel's own (signature, flags); the sources of its module and the compiler's versions are added by
    the caller, read as files so that nothing is imported.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:24]


@functools.cache
def compiler_versions() -> list[str] | None:
    """Return what identifies the installed numba and llvmlite, read from their files; None if they are not found."""
    found = []
    for package in ("numba", "llvmlite"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            return None
        try:
            found.append(Path(spec.origin).with_name("_version.py").read_text())
        except OSError:
            return None
    return found


def save(path: Path, function: str, object_code: bytes) -> None:
    """Keep a kernel's object code, if it is an ELF file whose needs `load` can meet; faults of the disk are ignored."""
    symbols = undefined_symbols(object_code)
    if symbols is None:
        return
    header = {"function": function, "sha256": hashlib.sha256(object_code).hexdigest(), "symbols": symbols}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_output(path) as stream:
            stream.write(json.dumps(header).encode() + b"\n" + object_code)
    except OSError:
        pass


def load(path: Path, arguments: list[Argument], result: str) -> Callable[..., Any] | None:
    """Return the kernel whose object code is kept at `path`, or None where it is not there or cannot be linked."""
    try:
        header_line, _, object_code = path.read_bytes().partition(b"\n")
        header = json.loads(header_line)
        if hashlib.sha256(object_code).hexdigest() != header["sha256"]:
            return None
        address = _link(object_code, header["function"], header["symbols"])
    except (OSError, ValueError, KeyError, ImportError, RuntimeError):
        return None
    return None if not address else _caller(address, arguments, result)


def _caller(address: int, arguments: list[Argument], result: str) -> Callable[..., Any]:
    """Wrap a machine-code function: check and flatten the arguments, call without the GIL, return the result."""
    kinds: list[Any] = [ctypes.c_void_p, ctypes.c_void_p]
    for argument in arguments:
        if argument.dimensions:
            kinds += [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
            kinds += [ctypes.c_int64] * (2 * argument.dimensions)
        else:
            kinds.append(_CTYPES[argument.kind])
    function = ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(address)
    returned: Any = _CTYPES.get(result, ctypes.c_int64)
    nothing = result == "void"
    dtypes = [np.dtype("bool" if argument.kind == "b1" else argument.kind) for argument in arguments]

    def call(*values: Any) -> Any:
        if len(values) != len(arguments):
            raise TypeError(f"{len(arguments)} arguments are expected, not {len(values)}")
        flat: list[Any] = []
        for value, argument, dtype in zip(values, arguments, dtypes, strict=True):
            if not argument.dimensions:
                flat.append(bool(value) if argument.kind == "b1" else value)
                continue
            _check(value, argument, dtype)
            flat += (None, None, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
        place, fault = returned(), ctypes.c_void_p()
        if function(ctypes.addressof(place), ctypes.addressof(fault), *flat):
            raise RuntimeError("a kernel failed")
        return None if nothing else bool(place.value) if result == "b1" else place.value

    return call


def _check(value: Any, argument: Argument, dtype: np.dtype[Any]) -> None:
    """Refuse what the signature does not take, as numba's own dispatcher would."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.ndim != argument.dimensions:
        found = f"{value.dtype}[{value.ndim}]" if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"an array {dtype}[{argument.dimensions}] is expected, not {found}")
    flags = value.flags
    if not (flags.c_contiguous and flags.aligned and (argument.read_only or flags.writeable)):
        raise TypeError("an aligned C-contiguous array is expected, writable where the kernel writes")


# Linking


def _link(object_code: bytes, function: str, symbols: list[str]) -> int:
    import llvmlite.binding as llvm

    for symbol in symbols:
        address = _address(symbol)
        if address is None:
            return 0  # LLVM would end the process for it
        llvm.add_symbol(symbol, address)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(object_code))
    engine.finalize_object()
    _ENGINES.append(engine)
    return int(engine.get_function_address(function))


def _address(symbol: str) -> int | None:
    """Find what a kernel calls: numba's runtime (loaded without numba), Python's C API, the C library."""
    for prefix, extension in (("NRT_", "core/runtime/_nrt_python"), ("numba_", "_helperlib")):
        if symbol.startswith(prefix):
            address = _helpers(extension).get(symbol.removeprefix(prefix))
            return None if address is None else int(address)
    for library in (None, "libm.so.6"):
        try:
            found = getattr(ctypes.CDLL(library), symbol)
        except (OSError, AttributeError):
            continue
        return ctypes.cast(found, ctypes.c_void_p).value
    return None


_extensions: dict[str, dict[str, int]] = {}


def _helpers(extension: str) -> dict[str, int]:
    """Return the C functions by name of one of numba's extension modules, loaded by its path."""
    if extension not in _extensions:
        spec = importlib.util.find_spec("numba")
        folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else Path()
        name = Path(extension).name
        files = sorted((folder / extension).parent.glob(name + ".*.so"))
        if not files:
            raise ImportError(name)
        loader = importlib.machinery.ExtensionFileLoader(name, str(files[0]))
        module_spec = importlib.util.spec_from_loader(name, loader)
        if module_spec is None:
            raise ImportError(name)
        module = importlib.util.module_from_spec(module_spec)
        loader.exec_module(module)
        _extensions[extension] = dict(module.c_helpers)
    return _extensions[extension]


def undefined_symbols(object_code: bytes) -> list[str] | None:
    """Return the names that an ELF64 object file needs from elsewhere, sorted; None for any other file."""
    if object_code[:6] != b"\x7fELF\x02\x01":
        return None
    (section_table,) = struct.unpack_from("<Q", object_code, 40)
    size, count = struct.unpack_from("<HH", object_code, 58)
    sections = [
        struct.unpack_from("<IIQQQQIIQQ", object_code, section_table + size * i) for i in range(count)
    ]
    names = set()
    for _, kind, _, _, offset, length, link, _, _, entry in sections:
        if kind != 2:  # SHT_SYMTAB
            continue
        strings = sections[link][4]
        for place in range(offset, offset + length, entry):
            name, _, _, section = struct.unpack_from("<IBBH", object_code, place)
            if section == 0 and name:
                start = strings + name
                names.add(object_code[start : object_code.index(b"\0", start)].decode())
    return sorted(names)


def usable() -> bool:
    """Say whether nothing asks numba for another code: its variables steer the compiler."""
    return not any(name.startswith("NUMBA_") and name != "NUMBA_CACHE_DIR" for name in os.environ)
