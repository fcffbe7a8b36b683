"""What a kind of file may hold: its arrays and header values, declared beside the format and checked on loading.

Kernels run without bounds checks, so everything that comes from a file is compared with a `Schema` before a kernel
sees it: types, shapes (as functions of each other), ranges of indices, kinds of header values. Arrays that are mapped
and large are not read for it: declare no range for those, and clamp or check where they are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import ModelError, UsageError
from mlkit.formats.streams import PathLike, display_name

Sizes = dict[str, int]
# a length: a number, a name (bound where it is met first, the same everywhere after), or a function of those bound
Size = int | str | Callable[[Sizes], int]
# says whether a header value may be as it is
Check = Callable[[Any], bool]
WHOLE_LIMIT = 1 << 53


@dataclass(frozen=True)
class Array:
    """One array: its types by numpy's names, its shape; indices from `low` to below `high`.

    `offsets`: it begins with 0, rises (`rising` by at least so much at each step) and ends with this length.
    """

    dtype: str | tuple[str, ...]
    shape: tuple[Size, ...]
    low: int | None = None
    high: Size | None = None
    offsets: Size | None = None
    rising: int = 0
    finite: bool = False
    optional: bool = False

    def fault(self, array: NDArray[Any], sizes: Sizes) -> str | None:
        """Say what is wrong; lengths met for the first time are put into `sizes`."""
        types = (self.dtype,) if isinstance(self.dtype, str) else self.dtype
        if array.dtype.name not in types or not array.dtype.isnative:
            return f"{array.dtype}, not {' or '.join(types)}"
        if array.ndim != len(self.shape):
            return f"{array.ndim} dimensions, not {len(self.shape)}"
        for found, size in zip(array.shape, self.shape, strict=True):
            wanted = sizes.setdefault(size, found) if isinstance(size, str) else _length(size, sizes)
            if found != wanted:
                return f"a length of {found}, not {wanted}"
        return self._content_fault(array, sizes)

    def _content_fault(self, array: NDArray[Any], sizes: Sizes) -> str | None:
        if self.offsets is not None:
            end = _length(self.offsets, sizes)
            steps = array[1:] - array[:-1]
            if not array.size or array[0] != 0 or array[-1] != end:
                return "offsets that do not span what they divide"
            if steps.size and int(steps.min()) < self.rising:
                return "offsets that do not rise"
        if array.size and self.low is not None and int(array.min()) < self.low:
            return f"{array.min()}, below {self.low}"
        if array.size and self.high is not None and int(array.max()) >= _length(self.high, sizes):
            return f"{array.max()}, out of range"
        if self.finite and not np.isfinite(array).all():
            return "a number that is not finite"
        return None


@dataclass(frozen=True)
class Schema:
    """The arrays and header values of a kind of file; others may be there and are ignored."""

    arrays: Mapping[str, Array] = field(default_factory=dict)
    header: Mapping[str, Check] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)

    def check(
        self, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], path: PathLike | None = None
    ) -> Sizes:
        """Return the lengths by name. Raises `ModelError` for what is not as declared."""
        sizes = dict(self.sizes)
        for name, good in self.header.items():
            if name not in header:
                raise _damaged(f"no {name!r} in its header", path)
            if not good(header[name]):
                raise _damaged(f"{name} = {str(header[name])[:60]!s}", path)
        for name, wanted in self.arrays.items():
            if name in arrays:
                fault = wanted.fault(arrays[name], sizes)
                if fault is not None:
                    raise _damaged(f"array {name!r} has {fault}", path)
            elif not wanted.optional:
                raise _damaged(f"no array {name!r}", path)
        return sizes


def _length(size: Size, sizes: Sizes) -> int:
    if isinstance(size, int):
        return size
    return sizes[size] if isinstance(size, str) else size(sizes)


def _damaged(what: str, path: PathLike | None) -> ModelError:
    return ModelError(f"damaged file ({what})", path=None if path is None else display_name(path))


def like(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Array]:
    """Declare arrays that have the types and shapes of others: a checkpoint's, which are copied into these."""
    return {name: Array(array.dtype.name, array.shape) for name, array in arrays.items()}


def whole(low: int = 0, high: int = WHOLE_LIMIT) -> Check:
    """Accept whole numbers from `low` to `high`."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def real(low: float = -math.inf, high: float = math.inf, *, finite: bool = True) -> Check:
    """Accept numbers from `low` to `high`."""

    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if finite and not abs(value) < math.inf:
            return False
        return math.isnan(value) or low <= value <= high

    return check


def one_of(*values: Any) -> Check:
    """Accept some values, of their own types."""
    return lambda value: any(type(value) is type(each) and value == each for each in values)


def text(value: Any) -> bool:
    """Accept text."""
    return isinstance(value, str)


def flag(value: Any) -> bool:
    """Accept true and false."""
    return isinstance(value, bool)


def record(value: Any) -> bool:
    """Accept what JSON calls an object."""
    return isinstance(value, dict)


def real_text(value: Any) -> bool:
    """Accept a number as `float.hex` writes it."""
    try:
        return isinstance(value, str) and not math.isnan(float.fromhex(value))
    except (ValueError, OverflowError):
        return False


def list_of(check: Check, low: int = 0, high: int = WHOLE_LIMIT) -> Check:
    """Accept lists of `low` to `high` values of a kind."""
    return lambda value: isinstance(value, list) and low <= len(value) <= high and all(map(check, value))


def or_none(check: Check) -> Check:
    """Accept a value of a kind, or none."""
    return lambda value: value is None or check(value)


@contextmanager
def reading(path: PathLike | None, what: str = "model") -> Iterator[None]:
    """Turn whatever the content of a file makes go wrong inside into one `ModelError`: "damaged `what`"."""
    try:
        yield
    except (
        ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError, UsageError,
    ) as error:  # fmt: skip
        name = None if path is None else display_name(path)
        raise ModelError(f"damaged {what} ({_short(error)})", path=name) from None


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
