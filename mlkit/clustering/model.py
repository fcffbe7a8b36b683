"""A k-means model: centres, the space they are in, and how they were found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.clustering.inputs import Reals, Space, space_of
from mlkit.errors import DataError, ModelError
from mlkit.formats.model_file import load_model, save_model
from mlkit.formats.streams import PathLike

KIND = "kmeans"


@dataclass(frozen=True)
class KMeansModel:
    """Centres [k, dimension] in the space of the points (scaled, or of unit length with `cosine`).

    space: of tables; None for vectors. report: inertia, rounds and so on, as JSON holds them.
    """

    centres: Reals
    sizes: NDArray[np.int64]
    cosine: bool = False
    space: Space | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    def require_dimension(self, dimension: int, path: PathLike) -> None:
        """Raise `DataError` for points of another dimension."""
        if dimension != self.centres.shape[1]:
            raise DataError(
                f"vectors of {dimension} numbers for a model of {self.centres.shape[1]}", path=path
            )

    def save(self, path: PathLike) -> None:
        """Write the model."""
        header: dict[str, Any] = {"cosine": self.cosine, "settings": self.settings, "report": self.report}
        if self.space is not None:
            header["columns"] = list(self.space.names)
            header["means"], header["spreads"] = self.space.means.tolist(), self.space.spreads.tolist()
        save_model(path, KIND, header, {"centres": self.centres, "sizes": self.sizes.astype(np.int64)})


def load_kmeans(path: PathLike) -> KMeansModel:
    """Read a model; raises `ModelError` for anything else."""
    header, tensors = load_model(path, KIND)
    try:
        centres, sizes = tensors["centres"], tensors["sizes"]
        space = None
        if "columns" in header:
            space = space_of(header["columns"], header["means"], header["spreads"])
        fits = centres.ndim == 2 and len(sizes) == len(centres) and np.isfinite(centres).all()
        if not fits or (space is not None and len(space.names) != centres.shape[1]):
            raise ValueError
        return KMeansModel(
            np.array(centres, np.float64), sizes, bool(header["cosine"]), space, dict(header["settings"]),
            dict(header["report"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        raise ModelError("a damaged model of k-means", path=path) from None
