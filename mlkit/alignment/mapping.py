"""Linear maps between the spaces of two sets of vectors: fitting them, applying them, keeping them in a file."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import DataError, ModelError
from mlkit.formats.model_file import load_model, save_model
from mlkit.formats.streams import PathLike
from mlkit.formats.vectors import save_vectors

Matrix = NDArray[np.float32]
KIND = "vector mapping"
_ROWS = 1 << 14


def unit_rows(matrix: Matrix) -> Matrix:
    """Return rows scaled to length 1, float32; rows of length 0 stay 0."""
    lengths = np.linalg.norm(matrix, axis=1)
    lengths[lengths == 0] = 1
    result: Matrix = matrix / lengths[:, None].astype(np.float32)
    return result


def prepared(matrix: Matrix, centre: Matrix | None = None) -> tuple[Matrix, Matrix]:
    """Return unit rows minus their mean (or `centre`), scaled to 1 again, and that mean: float32 [n, d] and [d]."""
    unit = unit_rows(np.asarray(matrix, np.float32))
    mean = unit.mean(axis=0, dtype=np.float64).astype(np.float32) if centre is None else centre
    return unit_rows(unit - mean), mean


def check_sides(source: Matrix, target: Matrix) -> None:
    """Raise `DataError` unless both sides have vectors, of finite numbers and equally many."""
    for side, matrix in (("source", source), ("target", target)):
        if not len(matrix):
            raise DataError(f"there are no {side} vectors")
        finite = np.isfinite(np.linalg.norm(matrix, axis=1))
        if not finite.all():
            raise DataError(f"vector {int(np.argmin(finite)) + 1} of the {side} words is not finite")
    if source.shape[1] != target.shape[1]:
        raise DataError(f"vectors of {source.shape[1]} and of {target.shape[1]} dimensions cannot be aligned")


def procrustes(source: Matrix, target: Matrix) -> Matrix:
    """Return the orthogonal W, float32 [d, d], that minimises |source W - target| (Schoenemann 1966).

    U V' of the cross-covariance U S V', computed in float64: unique where that has full rank.
    """
    covariance = source.astype(np.float64).T @ target.astype(np.float64)
    left, _, right = np.linalg.svd(covariance)
    rotation: Matrix = (left @ right).astype(np.float32)
    return rotation


def reweighted(source: Matrix, target: Matrix, power: float = 0.5) -> tuple[Matrix, Matrix]:
    """Return maps of both sides: whitening, rotation, weights S^power, de-whitening (Artetxe et al. 2018).

    source, target: paired rows. Singular vectors are signed so that the largest entry of each is positive: the
    files of two machines agree.
    """
    x, y = source.astype(np.float64), target.astype(np.float64)
    (white_x, colour_x), (white_y, colour_y) = _whitening(x), _whitening(y)
    left, values, right = np.linalg.svd((x @ white_x).T @ (y @ white_y))
    sign = np.sign(left[np.abs(left).argmax(axis=0), np.arange(len(values))])
    left, other = left * sign, right.T * sign
    weight = values**power
    source_map = (white_x @ left * weight) @ (left.T @ colour_x @ left)
    target_map = (white_y @ other * weight) @ (other.T @ colour_y @ other)
    return source_map.astype(np.float32), target_map.astype(np.float32)


def _whitening(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (X'X)^-1/2 and (X'X)^1/2."""
    values, vectors = np.linalg.eigh(x.T @ x)
    roots = np.sqrt(np.maximum(values, max(float(values[-1]), 1e-300) * 1e-12))
    return vectors / roots @ vectors.T, vectors * roots @ vectors.T


@dataclass(frozen=True)
class Mapping:
    """Maps of the source and the target side, float32 [d, d]; None leaves a side as it is.

    With centres, float32 [d], vectors are prepared (unit, minus the centre, unit) first; without, the map is a plain
    rotation, which keeps lengths and all cosines within a language.
    """

    source: Matrix
    target: Matrix | None = None
    source_centre: Matrix | None = None
    target_centre: Matrix | None = None

    def rows(self, matrix: Matrix, side: str = "source") -> MappedRows:
        """Return mapped vectors, computed when they are asked for."""
        chosen, centre = (
            (self.source, self.source_centre) if side == "source" else (self.target, self.target_centre)
        )
        if chosen is None:
            raise DataError(f"this mapping leaves the {side} vectors as they are")
        if matrix.shape[1] != chosen.shape[0]:
            raise DataError(f"a mapping for {chosen.shape[0]} dimensions, the vectors have {matrix.shape[1]}")
        return MappedRows(matrix, chosen, centre)

    def save(self, path: PathLike) -> None:
        """Write the mapping as a safetensors file."""
        held = {
            "source": self.source, "target": self.target,
            "source_centre": self.source_centre, "target_centre": self.target_centre,
        }  # fmt: skip
        tensors = {name: array for name, array in held.items() if array is not None}
        save_model(path, KIND, {"dimension": len(self.source)}, tensors)

    @classmethod
    def load(cls, path: PathLike) -> Mapping:
        """Read what `save` wrote; raises `ModelError`."""
        header, tensors = load_model(path, KIND)
        size = header.get("dimension")
        shapes: dict[str, tuple[Any, ...]] = {"source": (size, size), "target": (size, size)}
        shapes |= {"source_centre": (size,), "target_centre": (size,)}
        for name, array in tensors.items():
            if array.shape != shapes.get(name) or array.dtype != np.float32 or not np.isfinite(array).all():
                raise ModelError(f"damaged mapping: tensor {name!r}", path=path)
        if "source" not in tensors:
            raise ModelError("damaged mapping: no tensor 'source'", path=path)
        return cls(**{name: tensors[name] for name in shapes if name in tensors})


class MappedRows:
    """A matrix of mapped vectors whose blocks are computed on demand: what a memory map holds is never held whole."""

    ndim = 2

    def __init__(self, matrix: Matrix, mapping: Matrix, centre: Matrix | None) -> None:
        self.matrix, self.mapping, self.centre = matrix, mapping, centre
        self.shape = (len(matrix), mapping.shape[1])
        self.size = self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Matrix:
        block = np.asarray(self.matrix[rows], np.float32)
        if self.centre is not None:
            block = prepared(block, self.centre)[0]
        result: Matrix = np.ascontiguousarray(block @ self.mapping)
        release(self.matrix)
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Matrix:
        whole = np.empty(self.shape, np.float32)
        for begin in range(0, len(self), _ROWS):
            whole[begin : begin + _ROWS] = self[begin : begin + _ROWS]
        return whole

    def save(self, path: PathLike, words: Sequence[str], format: str | None = None) -> None:
        """Write the vectors as `mlkit.formats.vectors.save_vectors` does: in blocks, unless as safetensors."""
        save_vectors(path, words, cast(Matrix, self), format)


def release(matrix: NDArray[Any]) -> None:
    """Let go of the pages of a memory-mapped matrix that were read; anything else stays as it is."""
    base: Any = matrix
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
