"""The records that GloVe learns from: read from either format, sorted into tiles for training."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError
from mlkit.formats.cooccurrence import Cooccurrences, map_records
from mlkit.formats.streams import PathLike
from mlkit.glove import kernels_cooccur, kernels_train
from mlkit.glove.cooccur import check_rows

Floats = npt.NDArray[np.float32]
Block = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64]]

LARGEST_GROUP = 1024  # rows: the vectors of a tile of 1024 x 1024 words stay in the L2 cache
FEWEST_GROUPS = 64  # so that threads have tiles to share
BLOCK_SIDE = (
    4  # groups: the vectors of 4 x 4 tiles stay in the L3 cache, and a block of them is one piece of work
)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Records:
    """Where records come from: `blocks()` reads them all, as often as wanted.

    A block is (words, contexts, weights), ids from 0; symmetric: each pair comes once and stands for both directions.
    """

    words: int
    symmetric: bool
    blocks: Callable[[], Iterator[Block]]


def records_of(matrix: Cooccurrences) -> Records:
    """Read mlkit's rows; raises `ModelError` where they are damaged."""
    check_rows(matrix)

    def blocks() -> Iterator[Block]:
        for first, last, data in matrix.blocks(2 * _BLOCK):
            room = len(data) // 2  # a record has at least two bytes
            words, contexts, weights = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room)
            count = kernels_cooccur.read_rows(data, first, last, matrix.scale, words, contexts, weights)
            yield words[:count], contexts[:count], weights[:count]

    return Records(matrix.words, matrix.symmetric, blocks)


def glove_records(path: PathLike, words: int) -> Records:
    """Read a file of GloVe's records in any order; raises `DataError` for ids and weights that cannot be."""
    records = map_records(path)

    def blocks() -> Iterator[Block]:
        for first in range(0, len(records), _BLOCK):
            block = records[first : first + _BLOCK]
            pairs = np.ascontiguousarray(block["word"]) - 1, np.ascontiguousarray(block["context"]) - 1
            weights = np.ascontiguousarray(block["weight"])
            faulty = ~((weights > 0) & np.isfinite(weights))
            for ids in pairs:
                faulty |= (ids < 0) | (ids >= words)
            if faulty.any():
                at = int(np.flatnonzero(faulty)[0])
                raise DataError(
                    f"record {first + at + 1} has word {pairs[0][at] + 1}, context {pairs[1][at] + 1}, weight "
                    f"{weights[at]:g}; words are 1 to {words}, weights above 0",
                    path=path, hint="is --vocab the vocabulary that the records were counted with?",
                )  # fmt: skip
            yield *pairs, weights

    return Records(words, False, blocks)


@dataclass(frozen=True)
class Tiles:
    """Records in tiles, with log x and f(x); see `kernels_glove`.

    starts: int64, where each tile begins, and the end; held_pairs, held_values: the records held out.
    """

    groups: int
    symmetric: bool
    packed: npt.NDArray[np.uint32]
    logs: Floats
    factors: Floats
    starts: npt.NDArray[np.int64]
    held_pairs: npt.NDArray[np.int32]
    held_values: Floats
    records: int
    held: int

    def records_of(self, blocks: npt.NDArray[np.int64]) -> int:
        """Return how many records the training of these tiles [..., 2] visits (both directions of a symmetric pair)."""
        g, h = blocks.reshape(-1, 2).T
        if self.symmetric:
            low, high = np.minimum(g, h), np.maximum(g, h)
            sizes = np.diff(self.starts)
            same = g[g == h]
            twice = int(sizes[same * self.groups + same].sum())
            return int(sizes[low * self.groups + high].sum() + twice + sizes[self.groups**2 + same].sum())
        return int(np.diff(self.starts)[g * self.groups + h].sum())


def group_count(words: int) -> int:
    """Return into how many groups words are dealt: whole blocks of them, and independent of the threads."""
    groups = max(FEWEST_GROUPS, -(-words // LARGEST_GROUP))
    return -(-groups // BLOCK_SIDE) * BLOCK_SIDE


def sort_into_tiles(
    records: Records,
    *,
    x_max: float,
    alpha: float,
    held_out: float = 0.0,
    seed: int = 1,
    on_disk: bool = False,
    tmp_dir: str | None = None,
) -> Tiles:
    """Read all records twice and put each into its tile (12 bytes a record, in memory or in a temporary file).

    The order inside a tile is random.
    held_out: the share of records to leave out of the training.
    """
    groups = group_count(records.words)
    threshold = np.uint64(round(held_out * 2**32))
    key = np.uint64(seed * 0x9E3779B9)
    common = groups, records.symmetric, key, threshold
    counts = np.zeros(groups * groups + groups + 1, np.int64)
    with np.errstate(over="ignore"):
        for words, contexts, _ in records.blocks():
            kernels_train.count_tiles(words, contexts, *common, counts)
    held = int(counts[-1])
    starts = np.zeros(len(counts), np.int64)
    np.cumsum(counts[:-1], out=starts[1:])
    total = int(starts[-1])
    packed, logs, factors = _arrays(total, on_disk, tmp_dir)
    held_pairs, held_values = np.empty((held, 2), np.int32), np.empty((held, 2), np.float32)
    heads = starts.copy()
    heads[-1] = 0
    with np.errstate(over="ignore"):
        for words, contexts, weights in records.blocks():
            kernels_train.place_records(
                words, contexts, weights, *common, x_max, alpha, heads, packed, logs, factors, held_pairs, held_values
            )  # fmt: skip
    with np.errstate(over="ignore"):
        kernels_train.shuffle_tiles(packed, logs, factors, starts, key)
    both = 2 if records.symmetric else 1
    diagonal = int(starts[-1] - starts[groups * groups])
    alone = int(np.count_nonzero(held_pairs[:, 0] == held_pairs[:, 1])) if records.symmetric else 0
    return Tiles(
        groups, records.symmetric, packed, logs, factors, starts, held_pairs, held_values,
        both * (total - diagonal) + diagonal, both * (held - alone) + alone,
    )  # fmt: skip


def _arrays(total: int, on_disk: bool, tmp_dir: str | None) -> tuple[npt.NDArray[np.uint32], Floats, Floats]:
    if not on_disk or not total:
        return np.empty(total, np.uint32), np.empty(total, np.float32), np.empty(total, np.float32)
    with tempfile.TemporaryFile(dir=tmp_dir) as file:
        file.truncate(12 * total)
        content = np.memmap(file, np.uint8, "r+", shape=(12 * total,))
    parts = [content[4 * k * total : 4 * (k + 1) * total] for k in range(3)]
    return parts[0].view(np.uint32), parts[1].view(np.float32), parts[2].view(np.float32)
