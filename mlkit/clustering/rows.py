"""The rows to be clustered, cut into chunks: what the steps of k-means ask of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlkit.clustering import kernels_kmeans as kernels
from mlkit.errors import DataError
from mlkit.threads import map_chunks

Matrix = NDArray[Any]  # float32 or float64
Reals = NDArray[np.float64]
Labels = NDArray[np.int32]
Result = TypeVar("Result")

CHUNK = 1 << 14  # rows: what is added up per chunk does not depend on the number of threads
_SCORES = 1 << 16  # products at once: they stay in the cache


@dataclass
class Rows:
    """A matrix [rows, dimension], float32 or float64, that is never changed; weights: one a row, or none.

    origin: the mean of the rows; square: float32 [rows], squared distances to it.
    """

    matrix: Matrix
    weights: Reals = field(default_factory=lambda: np.empty(0))
    threads: int = 1
    origin: Reals = field(init=False)
    square: NDArray[np.float32] = field(init=False)
    variance: float = field(init=False)  # mean over the columns
    bias: float = field(init=False)
    direct: bool = field(init=False)

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or not self.matrix.size:
            raise DataError("there are no rows to cluster")
        if self.matrix.dtype not in (np.float32, np.float64) or not self.matrix.flags.c_contiguous:
            self.matrix = np.ascontiguousarray(self.matrix, np.float64)
        sums = list(self.map(lambda part: self.matrix[part].sum(axis=0, dtype=np.float64)))
        self.origin = np.sum(sums, axis=0) / len(self.matrix)
        if not np.isfinite(self.origin).all():
            raise DataError("a row holds a value that is no finite number, or too large to be added up")
        self.square = np.empty(len(self.matrix), np.float32)
        measure = kernels.squares_double if self.double else kernels.squares

        def total(part: slice) -> float:
            measure(self.matrix[part], self.origin, self.square[part])
            return float(self.square[part].sum(dtype=np.float64))

        spread = sum(self.map(total))
        if not np.isfinite(spread):
            raise DataError("the values are too large: squares of distances overflow", hint="use --scale")
        self.variance = spread / self.matrix.size
        # rows about 0 are multiplied as they are where whole chunks are; others less the origin, from a copy
        length = float(np.sqrt((self.origin**2).sum()))
        self.bias = length if length <= 16.0 * np.sqrt(spread / len(self.matrix)) else 0.0
        self.direct = self.bias > 0 or length == 0

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def dimension(self) -> int:
        """Return the number of columns."""
        return int(self.matrix.shape[1])

    @property
    def double(self) -> bool:
        """Say whether rows are float64."""
        return self.matrix.dtype == np.float64

    @property
    def epsilon(self) -> float:
        """Return a bound of the relative error of a product of two rows."""
        return float(np.finfo(self.matrix.dtype).eps) * (self.dimension + 8)

    def parts(self, size: int = CHUNK) -> Iterator[slice]:
        """Yield the chunks."""
        for start in range(0, len(self.matrix), size):
            yield slice(start, min(start + size, len(self.matrix)))

    def map(self, work: Callable[[slice], Result]) -> Iterator[Result]:
        """Yield work(chunk) for all chunks, in their order."""
        return map_chunks(work, self.parts(), self.threads)

    def weights_of(self, part: slice) -> Reals:
        """Return the weights of a chunk (empty: all 1)."""
        return self.weights[part]

    def columns(self, points: Reals) -> Matrix:
        """Return -2 times the points, less the origin, as columns in the rows' own type: for `products`."""
        return np.ascontiguousarray((-2.0 * (points - self.origin)).T, self.matrix.dtype)

    def products(self, part: slice, picks: Labels, columns: Matrix) -> Iterator[tuple[Labels, Matrix]]:
        """Yield (some of `picks`, their products with `columns`): rows of whole chunks as they are if `direct`.

        picks: rows, counted from the chunk's first one. The products are overwritten by the next ones. `offsets`
        makes distances of them.
        """
        points = columns.shape[1]
        size = min(max(_SCORES // max(points, self.dimension), 64), max(len(picks), 1))
        scores = np.empty((size, points), self.matrix.dtype)
        if self.direct:
            shift = np.zeros(self.dimension)
            whole = len(picks) == part.stop - part.start
        else:
            shift, whole = self.origin, False
        buffer = np.empty((0 if whole else size, self.dimension), self.matrix.dtype)
        take = kernels.gather_double if self.double else kernels.gather
        rows = self.matrix[part]
        for start in range(0, len(picks), size):
            some = picks[start : start + size]
            if whole:
                chosen = rows[start : start + len(some)]
            else:
                chosen = buffer[: len(some)]
                take(rows, some, shift, chosen)
            out = scores[: len(some)]
            np.matmul(chosen, columns, out=out)
            yield some, out

    def offsets(self, points: Reals) -> tuple[Reals, float]:
        """Return what makes squared distances, less the row's own `square`, of products; and the longest point."""
        lengths: Reals = ((points - self.origin) ** 2).sum(axis=1)
        longest = float(np.sqrt(lengths.max()))
        return lengths + (2.0 * (points - self.origin) @ self.origin if self.direct else 0.0), longest
