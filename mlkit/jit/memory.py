# mypy: ignore-errors
"""Memory inside kernels: lines asked for early, and numbers that several threads share (atomics on int64 arrays).

With atomics threads share out the parts of a job without returning to Python: `atomic_add` to a counter takes one.
All are sequentially consistent: what a thread wrote to plain arrays before an atomic write or addition is seen by
the thread that reads its result. Keep counters of different meaning 8 places (a cache line) apart.
"""

from __future__ import annotations

from typing import Any

from mlkit.jit.decorator import operations

operation = operations(lambda: _build())  # plain Python, without the JIT, is for one thread only


@operation
def atomic_read(array: Any, index: int) -> int:
    """Return array[index]."""
    return array[index]


@operation
def atomic_write(array: Any, index: int, value: int) -> None:
    """Set array[index] to the value."""
    array[index] = value


@operation
def atomic_add(array: Any, index: int, value: int) -> int:
    """Add the value to array[index]; return what was there before."""
    before = array[index]
    array[index] = before + value
    return before


@operation
def give_way() -> None:
    """Let other threads run: called while waiting."""


@operation
def prefetch(array: Any, index: int) -> None:
    """Ask the CPU for the cache line of array[index] (or of row `index`) before it is needed."""


def _build() -> dict[str, Any]:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    i32 = ir.IntType(32)
    order = "seq_cst"

    def place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        index = context.cast(builder, arguments[1], signature.args[1], types.intp)
        return builder.gep(view.data, [index])

    def number(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.cast(builder, arguments[2], signature.args[2], types.int64)

    @intrinsic
    def atomic_read(typing: Any, array: Any, index: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load_atomic(place(context, builder, signature, arguments), order, 8)

        return types.int64(array, index), code

    @intrinsic
    def atomic_write(typing: Any, array: Any, index: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            target = place(context, builder, signature, arguments)
            builder.store_atomic(number(context, builder, signature, arguments), target, order, 8)
            return context.get_dummy_value()

        return types.void(array, index, value), code

    @intrinsic
    def atomic_add(typing: Any, array: Any, index: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            target = place(context, builder, signature, arguments)
            return builder.atomic_rmw("add", target, number(context, builder, signature, arguments), order)

        return types.int64(array, index, value), code

    @intrinsic
    def give_way(typing: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = ir.FunctionType(i32, [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
            return context.get_dummy_value()

        return types.void(), code

    @intrinsic
    def prefetch(typing: Any, array: Any, index: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            view = context.make_array(array)(context, builder, arguments[0])
            position = context.cast(builder, arguments[1], signature.args[1], types.intp)
            strides = cgutils.unpack_tuple(builder, view.strides)
            byte_pointer = ir.IntType(8).as_pointer()
            base = builder.bitcast(view.data, byte_pointer)
            address = builder.gep(base, [builder.mul(position, strides[0])])
            kind = ir.FunctionType(ir.VoidType(), [byte_pointer, i32, i32, i32])
            function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            builder.call(function, [address, i32(0), i32(3), i32(1)])
            return context.get_dummy_value()

        return types.void(array, index), code

    return {
        "prefetch": prefetch,
        "atomic_read": atomic_read,
        "atomic_write": atomic_write,
        "atomic_add": atomic_add,
        "give_way": give_way,
    }
