"""What a trainer offers to a learning-rate range test, and how the rate that was found comes back.

A trainer with a `find_rate` argument reads its data, makes a `Sweep` of what it is about to train, and trains with the
rate that ``find_rate(sweep)`` returns (`mlkit.lr_find.choose` runs the test). So the data is read once, from a stream
too, and the test trains what the trainer would train: same options, same rows, same beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Point = tuple[float, float]  # a rate and the mean loss of the step made with it


@dataclass(frozen=True)
class Sweep:
    """A training whose rate is set from outside, on a fresh model each time.

    run: (rates, repeat) -> points, one step of training per rate; repeats (from 0) draw other random numbers. low,
    high: the rates between which this trainer is tried.
    """

    run: Callable[[Sequence[float], int], Iterator[Point]]
    low: float
    high: float


FindRate = Callable[[Sweep], float]


def piece_of(number: int, steps: int, pieces: int) -> tuple[int, int]:
    """Return (epoch, piece) of a step of a test: spread over all pieces of a text, or round and round the few."""
    if pieces > steps:
        return 0, number * pieces // steps
    return divmod(number, pieces)
