"""The order in which training reads a text: blocks of about a thousand words, shuffled anew for every epoch.

A text in its own order teaches the words of one subject, then those of the next. On 10 MB of an encyclopaedia shuffled
blocks give better vectors in every mode (see `python -m tests.benchmarks w2v`); blocks of 256 to 1,024 words do so
alike, those of 4,096 less. A block is a page of the encoded text, or more where there are very many, so that a text
much larger than the memory is read in large pieces.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Longs = NDArray[np.int64]

BLOCK = 1 << 10  # ids, at least
MOST_BLOCKS = 1 << 20
LONGEST = 4  # times a block: longer sentences are cut
PIECE = 1 << 24  # ids looked at together


def block_bounds(ids: Ids, size: int) -> Longs:
    """Return where the blocks of a text begin, and its length.

    Blocks end with a sentence (-1), the first one after `size` ids; where there is none for long, after `size` ids.
    """
    cuts = [np.zeros(1, np.int64)]
    stretch = 0
    for start in range(0, len(ids), PIECE):
        ends = np.flatnonzero(ids[start : start + PIECE] < 0) + (start + 1)
        stretches = ends // size
        cuts.append(ends[np.diff(stretches, prepend=stretch) > 0])
        stretch = int(stretches[-1]) if len(ends) else stretch
    bounds = np.unique(np.concatenate([*cuts, [len(ids)]]))
    lengths = np.diff(bounds)
    pieces = np.where(lengths > LONGEST * size, -(-lengths // size), 1)
    within = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.append(np.repeat(bounds[:-1], pieces) + size * within, len(ids))


class Order(NamedTuple):
    """An epoch's order: the numbers of the blocks, and how many ids come before each (and in all)."""

    places: Longs
    seen: Longs


class Reading:
    """Cuts the epochs of a text into chunks of blocks, numbered through all epochs.

    ids: int32, -1 ends a sentence; chunk: about how many ids one has. The order depends on the seed and the epoch
    only. per_epoch, chunks: how many chunks an epoch has, and all.
    """

    def __init__(self, ids: Ids, epochs: int, seed: int, *, shuffle: bool, chunk: int) -> None:
        self.ids, self.epochs, self.seed, self.shuffle = ids, epochs, seed, shuffle
        size = min(max(BLOCK, len(ids) // MOST_BLOCKS), chunk)
        self.bounds = block_bounds(ids, size)
        self._each = max(chunk // size, 1)
        self.per_epoch = -(-(len(self.bounds) - 1) // self._each)
        self.chunks = self.per_epoch * epochs
        self._orders: dict[int, Order] = {}

    @property
    def size(self) -> int:
        """How many ids all epochs have."""
        return len(self.ids) * self.epochs

    def order(self, epoch: int) -> Order:
        """Return the blocks in an epoch's order."""
        order = self._orders.get(epoch)
        if order is None:
            places = np.arange(len(self.bounds) - 1)
            if self.shuffle:
                np.random.Generator(np.random.SFC64([self.seed, epoch])).shuffle(places)
            sizes = self.bounds[places + 1] - self.bounds[places]
            order = Order(places, np.concatenate([[0], np.cumsum(sizes)]))
            # another thread may still be in the epoch before
            self._orders = {**{n: known for n, known in self._orders.items() if n == epoch - 1}, epoch: order}
        return order

    def position(self, number: int) -> int:
        """Return how many ids come before a chunk."""
        if number == self.chunks:
            return self.size
        epoch, place = divmod(number, self.per_epoch)
        return epoch * len(self.ids) + int(self.order(epoch).seen[place * self._each])

    def text(self, number: int) -> Ids:
        """Return the ids of a chunk."""
        epoch, place = divmod(number, self.per_epoch)
        bounds, blocks = self.bounds, self.order(epoch).places[place * self._each : (place + 1) * self._each]
        if not self.shuffle:
            return self.ids[bounds[blocks[0]] : bounds[blocks[-1] + 1]]
        return np.concatenate([self.ids[bounds[block] : bounds[block + 1]] for block in blocks])

    def words(self, first: int, last: int) -> int:
        """Return how many words the chunks from `first` up to `last` have."""
        return sum(int(np.count_nonzero(self.text(number) >= 0)) for number in range(first, last))
