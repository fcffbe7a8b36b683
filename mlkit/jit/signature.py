"""The signatures of kernels: ``"i8(const u1[:], f4[:,:])"``, read without numba."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlkit.jit.cache import import_numba

SCALARS = {
    "b1": "boolean", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
    "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "f4": "float32", "f8": "float64",
}  # fmt: skip


class Argument(NamedTuple):
    """One argument of a kernel: a scalar (`dimensions` 0) or a C-contiguous array."""

    kind: str
    dimensions: int
    read_only: bool


def parse_arguments(text: str) -> tuple[str, list[Argument]]:
    """Return (result, arguments) of a signature such as ``"i8(const u1[:], f4[:,:])"``."""
    result, _, rest = text.partition("(")
    if not rest.endswith(")"):
        raise ValueError(f"kernel signature without closing parenthesis: {text!r}")
    arguments = []
    for part in _split_arguments(rest[:-1]):
        name, bracket, shape = part.removeprefix("const ").strip().partition("[")
        dimensions = shape.count(",") + 1 if bracket else 0
        arguments.append(Argument(name.strip(), dimensions, part.startswith("const ")))
    return result.strip() or "void", arguments


def parse_signature(text: str) -> Any:
    """Turn ``"i8(const u1[:], f4[:,:])"`` into a numba signature; every array is C-contiguous."""
    types = import_numba().types
    result, arguments = parse_arguments(text)
    numba_types = []
    for argument in arguments:
        scalar = getattr(types, SCALARS[argument.kind])
        numba_types.append(
            types.Array(scalar, argument.dimensions, "C", readonly=argument.read_only)
            if argument.dimensions
            else scalar
        )
    returned = types.void if result == "void" else getattr(types, SCALARS[result])
    return returned(*numba_types)


def _split_arguments(text: str) -> list[str]:
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    return [part.strip() for part in [*parts, current] if part.strip()]
