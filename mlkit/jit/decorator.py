"""How kernels are declared and compiled: kernels with one signature, the cache policy, the fallback, the warm-up.

A kernel is declared as::

    @kernel("i8(const u8[:], i4[:], f4[:,:], f8)")
    def count_bytes(text, out, table, rate): ...

Arrays are C-contiguous; ``const`` ones are read-only, which memory maps need. Nothing is compiled (and numba is not
imported) before a kernel is first called. ``@inline`` marks helpers that kernels of the same file call; they
are compiled into their callers.

Why one signature: processes that start together and compile several signatures of one kernel can poison
numba's disk cache (wrong numbers, no error); with one signature they cannot.
"""

from __future__ import annotations

import functools
import os
import threading
import types as python_types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mlkit.version import __version__

# Reassociation lets dot products vectorise; NaN and infinities keep their meaning.
REASSOCIATE = frozenset({"reassoc", "contract", "nsz", "arcp"})

_SCALARS = {
    "b1": "boolean", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
    "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "f4": "float32", "f8": "float64",
}  # fmt: skip

_lock = threading.RLock()
_cache_wanted = False
_announce: Callable[[str], None] | None = None
_announced = False


def jit_disabled() -> bool:
    """Say whether NUMBA_DISABLE_JIT asks for plain Python kernels."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def use_command_cache(announce: Callable[[str], None] | None = None) -> None:
    """Keep compiled kernels in the user's cache directory; the command line calls this, libraries do not.

    `announce` is called once, before the first compilation that the cache cannot spare us.
    """
    global _cache_wanted, _announce
    _cache_wanted = True
    _announce = announce


def cache_directory() -> Path:
    """Return the kernel cache of this kind of CPU and this version of mlkit.

    Nodes of a cluster share a home but not a CPU: the processor's flags are part of the name.
    """
    import hashlib
    import platform

    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    digest = hashlib.sha1(flags.encode()).hexdigest()[:12]
    return base / "mlkit" / "numba" / f"{platform.machine()}-{digest}-{__version__}"


def _numba() -> Any:
    """Import numba, with the command's cache directory set before it reads its configuration."""
    if _cache_wanted and "NUMBA_CACHE_DIR" not in os.environ:
        os.environ["NUMBA_CACHE_DIR"] = str(cache_directory())
    import numba

    return numba


class Kernel:
    """A compiled function: arrays in, arrays out, no GIL, cached on disk, compiled when first called."""

    def __init__(self, function: Callable[..., Any], signature: str, fastmath: frozenset[str]) -> None:
        self.function = function
        self.signature = signature
        self.fastmath = fastmath
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self._call: Callable[..., Any] | None = None
        self._dispatcher: Any = None
        self.cached = True

    def __call__(self, *arguments: Any) -> Any:
        call = self._call
        if call is None:
            call = self.compile()
        return call(*arguments)

    def compile(self) -> Callable[..., Any]:
        """Load the kernel from a cache, or compile it, and return the callable."""
        with _lock:
            if self._call is None:
                self._call = self._loaded() or self.resolve()
            return self._call

    def resolve(self) -> Any:
        """Return numba's own object for the kernel: what other kernels that call it are compiled with."""
        with _lock:
            if self._dispatcher is None:
                _resolve_helpers(self.function)
                self._dispatcher = self.function if jit_disabled() else self._compiled()
            return self._dispatcher

    def _loaded(self) -> Callable[..., Any] | None:
        """Return the kernel from the command's own cache, without numba (see object_code.py)."""
        path = self._object_file()
        if path is None or not path.exists():
            return None
        from mlkit.jit import object_code

        result, arguments = parse_arguments(self.signature)
        return object_code.load(path, arguments, result)

    def _compiled(self) -> Any:
        numba = _numba()
        signature = parse_signature(self.signature)
        try:
            dispatcher = self._make(numba, cache=True)
            _announce_compilation(dispatcher)
            dispatcher.compile(signature)
        except Exception:
            # Full disk, read-only home, damaged cache file: the work goes on without a cache. A fault of the
            # kernel itself is raised by this second attempt.
            self.cached = False
            dispatcher = self._make(numba, cache=False)
            dispatcher.compile(signature)
        dispatcher.disable_compile()
        self._keep(dispatcher, signature)
        return dispatcher

    def _make(self, numba: Any, *, cache: bool) -> Any:
        return numba.njit(
            nogil=True, cache=cache, error_model="numpy", boundscheck=False,
            fastmath=set(self.fastmath) if self.fastmath else False,
        )(self.function)  # fmt: skip

    def _keep(self, dispatcher: Any, signature: Any) -> None:
        """Keep the object code that numba made for its cache, for `_loaded` in later processes."""
        path = self._object_file()
        if path is None or not self.cached:
            return
        from mlkit.jit import object_code

        try:
            (compiled,) = dispatcher.overloads.values()
            # numba lets go of the code once it is linked: it is read back from numba's own cache file
            cache = dispatcher._cache
            key = cache._index_key(signature, dispatcher.targetctx.codegen())
            _, kind, (code, _) = cache._cache_file.load(key)[0]
            function = compiled.fndesc.llvm_func_name
        except Exception:
            return  # another numba, inside: the kernel stays with its cache
        if kind == "object":
            object_code.save(path, function, code)

    def _object_file(self) -> Path | None:
        """Return where the command keeps this kernel's object code; None in a library, or when numba is steered."""
        if not _cache_wanted or jit_disabled():
            return None
        from mlkit.jit import object_code

        versions = object_code.compiler_versions()
        if versions is None or not object_code.usable():
            return None
        # the whole room: no list kept by hand can forget a file
        files = [Path(self.function.__code__.co_filename), *sorted(Path(__file__).parent.glob("*.py"))]
        parts = [self.signature, *sorted(self.fastmath), *versions, *(_source(path) for path in files)]
        name = f"{self.__module__}.{self.__name__}-{object_code.fingerprint(parts)}.kernel"
        return _object_folder() / name


class Inline:
    """A helper that kernels call; it has no signature of its own and is compiled into its callers."""

    def __init__(self, function: Callable[..., Any], fastmath: frozenset[str]) -> None:
        self.function = function
        self.fastmath = fastmath
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self._resolved: Any = None

    def __call__(self, *arguments: Any) -> Any:
        return self.resolve()(*arguments)

    def resolve(self) -> Any:
        """Return what numba understands in place of this object."""
        with _lock:
            if self._resolved is None:
                _resolve_helpers(self.function)
                if jit_disabled():
                    self._resolved = self.function
                else:
                    fastmath = set(self.fastmath) if self.fastmath else False
                    self._resolved = _numba().njit(
                        nogil=True, error_model="numpy", boundscheck=False, fastmath=fastmath
                    )(self.function)
            return self._resolved


class Operation(Inline):
    """A helper made of LLVM instructions; the function says in plain Python (numpy) what it does, without the JIT."""

    def __init__(self, function: Callable[..., Any], build: Callable[[], dict[str, Any]]) -> None:
        super().__init__(function, frozenset())
        self._build = build

    def resolve(self) -> Any:
        """Return what numba understands in place of this object."""
        return self.function if jit_disabled() else self._build()[self.__name__]


def operations(build: Callable[[], dict[str, Any]]) -> Callable[[Callable[..., Any]], Operation]:
    """Return a decorator for operations whose intrinsics, by name, `build` makes when one is first compiled."""
    built = functools.cache(build)
    return lambda function: Operation(function, built)


def _prefetch_intrinsic() -> dict[str, Any]:
    _numba()
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    @intrinsic
    def prefetch_line(typing_context: Any, array: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            view = context.make_array(array)(context, builder, arguments[0])
            position = context.cast(builder, arguments[1], signature.args[1], types.intp)
            strides = cgutils.unpack_tuple(builder, view.strides)
            byte_pointer = ir.IntType(8).as_pointer()
            base = builder.bitcast(view.data, byte_pointer)
            address = builder.gep(base, [builder.mul(position, strides[0])])
            i32 = ir.IntType(32)
            function_type = ir.FunctionType(ir.VoidType(), [byte_pointer, i32, i32, i32])
            function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
            builder.call(function, [address, i32(0), i32(3), i32(1)])
            return context.get_dummy_value()

        return types.void(array, index), codegen

    return {"prefetch": prefetch_line}


@operations(_prefetch_intrinsic)
def prefetch(array: Any, index: int) -> None:
    """Ask the CPU for the cache line of array[index] (or of row `index`) before it is needed."""


def kernel(signature: str, *, fastmath: frozenset[str] = frozenset()) -> Callable[[Callable[..., Any]], Any]:
    """Declare a kernel with one explicit signature, such as ``"f8(const f4[:,:], i8)"``."""
    return lambda function: Kernel(function, signature, fastmath)


def inline(function: Callable[..., Any] | None = None, *, fastmath: frozenset[str] = frozenset()) -> Any:
    """Declare a helper of kernels; used bare (``@inline``) or with flags (``@inline(fastmath=...)``)."""
    if function is None:
        return lambda real: Inline(real, fastmath)
    return Inline(function, fastmath)


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
    types = _numba().types
    result, arguments = parse_arguments(text)
    numba_types = []
    for argument in arguments:
        scalar = getattr(types, _SCALARS[argument.kind])
        numba_types.append(
            types.Array(scalar, argument.dimensions, "C", readonly=argument.read_only)
            if argument.dimensions
            else scalar
        )
    returned = types.void if result == "void" else getattr(types, _SCALARS[result])
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


@functools.cache
def _object_folder() -> Path:
    return Path(os.environ.get("NUMBA_CACHE_DIR") or cache_directory()) / "objects"


@functools.cache
def _source(path: Path) -> str:
    return path.read_text()


def _resolve_helpers(function: Callable[..., Any]) -> None:
    """Put numba's own objects where the module of `function` names helpers: numba reads plain globals."""
    module = function.__globals__
    for name in _names(function.__code__):
        value = module.get(name)
        if isinstance(value, (Inline, Kernel)) and value.function is not function:
            module[name] = value.resolve()


def _names(code: python_types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, python_types.CodeType):
            yield from _names(constant)


def _announce_compilation(dispatcher: Any) -> None:
    global _announced
    if _announce is None or _announced:
        return
    index = getattr(getattr(dispatcher._cache, "_cache_file", None), "_index_path", None)
    if index is not None and not Path(index).exists():
        _announced = True
        _announce("compiling kernels for this machine, once ('mlkit warm' does it ahead of time)")


def kernel_modules() -> list[str]:
    """Return the names of all kernel modules of mlkit, sorted."""
    root = Path(__file__).parent.parent
    paths = sorted(path for path in root.rglob("kernels*.py"))
    return [".".join(("mlkit", *path.relative_to(root).with_suffix("").parts)) for path in paths]


def all_kernels() -> list[Kernel]:
    """Import every kernel module and return its kernels (for `mlkit warm` and the tests)."""
    import importlib

    found: dict[int, Kernel] = {}
    for name in kernel_modules():
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, Kernel) and value.__module__ == name:
                found[id(value)] = value
    return list(found.values())
