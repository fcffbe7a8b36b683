# mypy: ignore-errors
"""Vectors of sixteen float32 values for kernels: explicit SIMD where LLVM's own vectoriser is not enough.

Inside a kernel a vector is a value like any other; ``+ - * /`` work lane by lane::

    total = splat(0.0)
    for k in range(0, size, 16):
        total = fma(load(x, k), load(y, k), total)

Sixteen lanes are one register with AVX-512, two with AVX2, four with SSE or NEON: LLVM splits them. Why not loops:
numba's arrays may alias, so a loop that updates several rows at once stays scalar, and an accumulator cannot
stay in lanes across an outer loop. Only the files of this room name numba and LLVM. Without JIT
the same names work on numpy arrays of sixteen float32 values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlkit.jit.decorator import operations

LANES = 16

# e**r for |r| <= ln(2) / 2, relative error 2e-09: least squares at 200 Chebyshev points
_EXP = (1.0, 1.00000004, 0.499999914, 0.166664199, 0.0416683648, 0.0083748539, 0.00138293018)
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # n * high is exact

operation = operations(lambda: _build())


@operation
def load(array: Any, start: int) -> Any:
    """Read array[start : start + 16] of a flat float32 array."""
    return array[start : start + LANES].copy()


@operation
def store(array: Any, start: int, vector: Any) -> None:
    """Write the vector to array[start : start + 16]."""
    array[start : start + LANES] = vector


@operation
def splat(value: float) -> Any:
    """Put one number into all lanes."""
    return np.full(LANES, value, np.float32)


@operation
def fma(a: Any, b: Any, c: Any) -> Any:
    """Return a * b + c, rounded once where the CPU can."""
    return a * b + c


@operation
def maximum(a: Any, b: Any) -> Any:
    """Return the larger value in each lane; a NaN in `a` stays."""
    return np.where(a < b, b, a)


@operation
def exp(a: Any) -> Any:
    """Return e**a in each lane, to 2e-7; a is clamped to [-87, 88]."""
    return np.exp(np.clip(a, -87, 88))


@operation
def sums(a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7):  # type: ignore[no-untyped-def]
    """Return one vector of the sixteen vectors' sums over their lanes, in order (a transposing tree)."""
    rows = (a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7)
    return np.array([row.sum(dtype=np.float32) for row in rows], np.float32)


@operation
def product(a: Any) -> float:
    """Return the product of the sixteen lanes as float64."""
    return float(np.prod(a.astype(np.float64)))


@operation
def add_pair(array: Any, at: int, first: float, second: float) -> None:
    """Add two numbers to array[at : at + 2] of a flat float64 array: one load, one addition, one store."""
    array[at] += first
    array[at + 1] += second


def _build() -> dict[str, Any]:
    """Register the vector type with numba and return its operations by name."""
    import operator

    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic, models, overload, register_model

    f32, i32, f64 = ir.FloatType(), ir.IntType(32), ir.DoubleType()
    vector_ir = ir.VectorType(f32, LANES)
    integers_ir = ir.VectorType(i32, LANES)

    class VectorType(types.Type):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="f32x16")

    vector = VectorType()

    @register_model(VectorType)
    class VectorModel(models.PrimitiveModel):  # type: ignore[misc]
        def __init__(self, manager: Any, frontend: Any) -> None:
            super().__init__(manager, frontend, vector_ir)

    def constant(value: float) -> Any:
        return ir.Constant(vector_ir, [ir.Constant(f32, value)] * LANES)

    def call(builder: Any, name: str, result: Any, arguments: list[Any], **options: Any) -> Any:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments, **options)

    def pointer(
        context: Any, builder: Any, signature: Any, arguments: Any, kind: Any = vector_ir, first: int = 0
    ) -> Any:
        """Return the address of element arguments[first + 1] of the array arguments[first], as one of `kind`."""
        view = context.make_array(signature.args[first])(context, builder, arguments[first])
        start = context.cast(builder, arguments[first + 1], signature.args[first + 1], types.intp)
        return builder.bitcast(builder.gep(view.data, [start]), kind.as_pointer())

    def lanewise(emit: Any) -> Any:
        """Make an operation on vectors from a function of the builder and the vectors."""

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return emit(builder, *arguments)

        return code

    @intrinsic
    def load(typing: Any, array: Any, start: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            loaded = builder.load(pointer(context, builder, signature, arguments))
            loaded.align = 4
            return loaded

        return vector(array, start), code

    @intrinsic
    def store(typing: Any, array: Any, start: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            builder.store(arguments[2], pointer(context, builder, signature, arguments), align=4)
            return context.get_dummy_value()

        return types.void(array, start, vector), code

    @intrinsic
    def splat(typing: Any, value: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            single = context.cast(builder, arguments[0], signature.args[0], types.float32)
            first = builder.insert_element(ir.Constant(vector_ir, ir.Undefined), single, i32(0))
            return builder.shuffle_vector(first, first, ir.Constant(integers_ir, [i32(0)] * LANES))

        return vector(value), code

    @intrinsic
    def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
        emit = lambda builder, *abc: call(builder, "llvm.fmuladd.v16f32", vector_ir, list(abc))  # noqa: E731
        return vector(vector, vector, vector), lanewise(emit)

    def larger(builder: Any, a: Any, b: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", a, b), b, a)

    @intrinsic
    def maximum(typing: Any, a: Any, b: Any) -> Any:
        return vector(vector, vector), lanewise(larger)

    def exponential(builder: Any, a: Any) -> Any:
        """2**n * e**r with n * ln 2 + r = a: the exponent bits for n, a polynomial for r."""
        multiply_add = lambda *abc: call(builder, "llvm.fmuladd.v16f32", vector_ir, list(abc))  # noqa: E731
        a = larger(builder, a, constant(-87.0))
        a = builder.select(builder.fcmp_ordered(">", a, constant(88.0)), constant(88.0), a)
        scaled = builder.fmul(a, constant(1.4426950408889634))
        whole = call(builder, "llvm.rint.v16f32", vector_ir, [scaled])
        rest = multiply_add(whole, constant(-_LN2_HIGH), a)
        rest = multiply_add(whole, constant(-_LN2_LOW), rest)
        value = constant(_EXP[-1])
        for coefficient in reversed(_EXP[:-1]):
            value = multiply_add(value, rest, constant(coefficient))
        shift = builder.shl(builder.fptosi(whole, integers_ir), ir.Constant(integers_ir, [i32(23)] * LANES))
        return builder.bitcast(builder.add(builder.bitcast(value, integers_ir), shift), vector_ir)

    @intrinsic
    def exp(typing: Any, a: Any) -> Any:
        return vector(vector), lanewise(exponential)

    def picked(builder: Any, u: Any, v: Any, lanes: list[int]) -> Any:
        return builder.shuffle_vector(u, v, ir.Constant(integers_ir, [i32(lane) for lane in lanes]))

    def halves(builder: Any, rows: list[Any], low: list[int], high: list[int]) -> list[Any]:
        pairs = zip(rows[::2], rows[1::2], strict=True)
        return [
            builder.fadd(picked(builder, u, v, low), picked(builder, u, v, high), flags=("reassoc",))
            for u, v in pairs
        ]

    def transposing_sums(builder: Any, *rows: Any) -> Any:
        """Four levels of shuffles and additions: two inside groups of four lanes, two between the groups."""
        groups = range(0, LANES, 4)
        inside = lambda order: [group + lane for group in groups for lane in order]  # noqa: E731
        between = lambda order: [4 * group + lane for group in order for lane in range(4)]  # noqa: E731
        level = halves(builder, list(rows), inside([0, 16, 1, 17]), inside([2, 18, 3, 19]))
        level = halves(builder, level, inside([0, 1, 16, 17]), inside([2, 3, 18, 19]))
        level = halves(builder, level, between([0, 1, 4, 5]), between([2, 3, 6, 7]))
        return halves(builder, level, between([0, 2, 4, 6]), between([1, 3, 5, 7]))[0]

    @intrinsic
    def sums(typing, a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7):  # type: ignore[no-untyped-def]
        return vector(*[vector] * LANES), lanewise(transposing_sums)

    def lane_product(builder: Any, a: Any) -> Any:
        wide = builder.fpext(a, ir.VectorType(f64, LANES))
        one = ir.Constant(f64, 1.0)
        name = "llvm.vector.reduce.fmul.v16f64"
        return call(builder, name, f64, [one, wide], fastmath=("reassoc",))

    @intrinsic
    def product(typing: Any, a: Any) -> Any:
        return types.float64(vector), lanewise(lane_product)

    @intrinsic
    def add_pair(typing: Any, array: Any, at: Any, first: Any, second: Any) -> Any:
        two = ir.VectorType(f64, 2)

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            place = pointer(context, builder, signature, arguments, two)
            added = builder.insert_element(ir.Constant(two, ir.Undefined), arguments[2], i32(0))
            added = builder.insert_element(added, arguments[3], i32(1))
            before = builder.load(place)
            before.align = 8
            builder.store(builder.fadd(before, added), place, align=8)
            return context.get_dummy_value()

        return types.void(array, at, types.float64, types.float64), code

    def overload_operator(symbol: Any, method: str) -> None:
        @intrinsic
        def combined(typing: Any, a: Any, b: Any) -> Any:
            return vector(vector, vector), lanewise(lambda builder, a, b: getattr(builder, method)(a, b))

        @overload(symbol)
        def typed(a, b):  # type: ignore[no-untyped-def]
            if a is vector and b is vector:
                return lambda a, b: combined(a, b)
            return None

    for symbol, method in (
        (operator.add, "fadd"),
        (operator.sub, "fsub"),
        (operator.mul, "fmul"),
        (operator.truediv, "fdiv"),
    ):
        overload_operator(symbol, method)

    return {
        "load": load, "store": store, "splat": splat, "fma": fma, "maximum": maximum, "exp": exp,
        "sums": sums, "product": product, "add_pair": add_pair,
    }  # fmt: skip
