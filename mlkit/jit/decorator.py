"""How kernels are declared and compiled: one signature each, with a fallback where no cache can be had.

A kernel is declared as::

    @kernel("i8(const u8[:], i4[:], f4[:,:], f8)")
    def count_bytes(text, out, table, rate): ...

Arrays are C-contiguous; ``const`` ones are read-only, which memory maps need. Nothing is compiled (and numba is not
imported) before a kernel is first called. ``@inline`` marks helpers that kernels call; they
are compiled into their callers.

Why one signature: processes that start together and compile several signatures of one kernel can poison
numba's disk cache (wrong numbers, no error); with one signature they cannot.
"""

from __future__ import annotations

import functools
import threading
import types as python_types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlkit.jit.cache import (
    announce_compilation,
    cache_wanted,
    import_numba,
    jit_disabled,
    object_folder,
    source_text,
)
from mlkit.jit.signature import parse_arguments, parse_signature

# Reassociation lets dot products vectorise; NaN and infinities keep their meaning.
REASSOCIATE = frozenset({"reassoc", "contract", "nsz", "arcp"})

_lock = threading.RLock()


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
        numba = import_numba()
        signature = parse_signature(self.signature)
        try:
            dispatcher = self._make(numba, cache=True)
            announce_compilation(dispatcher)
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
        if not cache_wanted() or jit_disabled():
            return None
        from mlkit.jit import object_code

        versions = object_code.compiler_versions()
        if versions is None or not object_code.usable():
            return None
        # the whole room: no list kept by hand can forget a file
        files = [Path(self.function.__code__.co_filename), *sorted(Path(__file__).parent.glob("*.py"))]
        parts = [self.signature, *sorted(self.fastmath), *versions, *(source_text(path) for path in files)]
        name = f"{self.__module__}.{self.__name__}-{object_code.fingerprint(parts)}.kernel"
        return object_folder() / name


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
                    self._resolved = import_numba().njit(
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
        if jit_disabled():
            return self.function
        import_numba()  # sets the cache's folder first
        return self._build()[self.__name__]


def operations(build: Callable[[], dict[str, Any]]) -> Callable[[Callable[..., Any]], Operation]:
    """Return a decorator for operations whose intrinsics, by name, `build` makes when one is first compiled."""
    built = functools.cache(build)
    return lambda function: Operation(function, built)


def kernel(signature: str, *, fastmath: frozenset[str] = frozenset()) -> Callable[[Callable[..., Any]], Any]:
    """Declare a kernel with one explicit signature, such as ``"f8(const f4[:,:], i8)"``."""
    return lambda function: Kernel(function, signature, fastmath)


def inline(function: Callable[..., Any] | None = None, *, fastmath: frozenset[str] = frozenset()) -> Any:
    """Declare a helper of kernels; used bare (``@inline``) or with flags (``@inline(fastmath=...)``)."""
    if function is None:
        return lambda real: Inline(real, fastmath)
    return Inline(function, fastmath)


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
