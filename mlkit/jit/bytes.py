# mypy: ignore-errors
"""Bytes of text for kernels: single instructions on 8 and 16 of them, and a hash.

Without JIT the same names work on numpy arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlkit.jit.decorator import inline, operations

FACTOR, SECOND_FACTOR = np.uint64(0x9E3779B1), np.uint64(0x85EBCA77)
LOW_HALF, HALF, SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(27)

operation = operations(lambda: _build())


@operation
def load8(text: Any, i: int) -> np.uint64:
    """Read the 8 bytes text[i : i + 8] of a uint8 array as a little-endian number."""
    return text[i : i + 8].view("<u8")[0]


@operation
def copy16(source: Any, begin: int, target: Any, at: int) -> None:
    """Copy 16 bytes: the elements from `begin` on of a uint8 array of any shape to target[at : at + 16]."""
    target[at : at + 16] = source.reshape(-1)[begin : begin + 16]


@operation
def first_mark(marks: np.uint64) -> np.int64:
    """Return which of 8 bytes (0 for the lowest) is the first with a bit set, or 8."""
    return np.int64(next((k for k in range(8) if int(marks) >> 8 * k & 255), 8))


@inline
def mixed(h):  # type: ignore[no-untyped-def]
    """Mix the bits of a 64-bit number. Products of 32-bit halves never overflow, which plain numpy would warn of."""
    h = ((h & LOW_HALF) * FACTOR) ^ ((h >> HALF) * SECOND_FACTOR)
    return h ^ (h >> HALF) ^ (h << SHIFT)


def _build() -> dict[str, Any]:
    """Return the operations by name."""
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    i64 = ir.IntType(64)

    def pointer(context: Any, builder: Any, signature: Any, arguments: Any, kind: Any, first: int = 0) -> Any:
        """Return the address of element arguments[first + 1] of the array arguments[first], as one of `kind`."""
        view = context.make_array(signature.args[first])(context, builder, arguments[first])
        start = context.cast(builder, arguments[first + 1], signature.args[first + 1], types.intp)
        return builder.bitcast(builder.gep(view.data, [start]), kind.as_pointer())

    @intrinsic
    def load8(typing: Any, text: Any, i: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            loaded = builder.load(pointer(context, builder, signature, arguments, i64))
            loaded.align = 1
            return loaded

        return types.uint64(text, i), code

    @intrinsic
    def copy16(typing: Any, source: Any, begin: Any, target: Any, at: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            block = ir.VectorType(ir.IntType(8), 16)
            loaded = builder.load(pointer(context, builder, signature, arguments, block))
            loaded.align = 1
            builder.store(loaded, pointer(context, builder, signature, arguments, block, 2), align=1)
            return context.get_dummy_value()

        return types.void(source, begin, target, at), code

    @intrinsic
    def first_mark(typing: Any, marks: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            zeros = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))  # 64 without a mark
            return builder.lshr(zeros, i64(3))

        return types.int64(types.uint64), code

    return {"load8": load8, "copy16": copy16, "first_mark": first_mark}
