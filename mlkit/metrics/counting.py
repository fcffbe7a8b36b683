"""The way from Python's lists of tokens to the compiled kernels and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from mlkit.metrics.encoding import (
    Encoded,
    Offsets,
    character_statistics,
    encode_characters,
    encode_words,
    offsets,
    vocabulary,
)
from mlkit.metrics.kernels import count_letters, count_matches
from mlkit.metrics.kernels_ter import tercom_edits
from mlkit.metrics.shifts import Edits, Shift

Words = Sequence[str]
BLOCK = 20_000
_LETTERS = np.frombuffer(b" SID", np.uint8)


def matches(
    hypotheses: Sequence[Words], references: Sequence[Sequence[Words]], orders: int
) -> list[list[int]]:
    """Return the clipped n-gram matches of each segment for orders 1 to `orders`."""
    numbers = vocabulary()
    rows: list[list[int]] = []
    for begin in range(0, len(hypotheses), BLOCK):
        own = encode_words(hypotheses[begin : begin + BLOCK], numbers)
        block = references[begin : begin + BLOCK]
        other = encode_words(list(chain.from_iterable(block)), numbers)
        rows += clipped_matches(own, other, offsets(map(len, block), len(block)), orders).tolist()
    return rows


def clipped_matches(
    hypotheses: Encoded, references: Encoded, first_reference: Offsets, orders: int
) -> npt.NDArray[np.int64]:
    """Return matches (segments, orders) of encoded segments; see `kernels.count_matches`."""
    found = np.empty((len(hypotheses[1]) - 1, orders), np.int64)
    count_matches(*hypotheses, *references, first_reference, found)
    return found


def beamed_edits(pairs: Sequence[tuple[Words, Words]]) -> list[Edits]:
    """Return the edits of each (hypothesis, reference), by the compiled kernel."""
    numbers = vocabulary()
    result: list[Edits] = []
    for begin in range(0, len(pairs), BLOCK):
        result += _edits_of_block(pairs[begin : begin + BLOCK], numbers)
    return result


def _edits_of_block(pairs: Sequence[tuple[Words, Words]], numbers: defaultdict[str, int]) -> list[Edits]:
    own, own_at = encode_words([hypothesis for hypothesis, _ in pairs], numbers)
    other, other_at = encode_words([reference for _, reference in pairs], numbers)
    room = own_at + other_at
    path = np.empty(int(room[-1]), np.uint8)
    shifts = np.empty((int(room[-1]), 3), np.int32)
    path_size, shift_count = np.empty((2, len(pairs)), np.int64)
    tercom_edits(own, own_at, other, other_at, room, path, path_size, shifts, shift_count)
    text = _LETTERS[path & 3].tobytes().decode()
    result = []
    for at, size, count in zip(room.tolist(), path_size.tolist(), shift_count.tolist(), strict=False):
        moves = tuple(Shift(*row) for row in shifts[at : at + count].tolist())
        result.append(Edits(moves, text[at : at + size]))
    return result


def compiled_characters(
    hypotheses: Sequence[str], references: Sequence[str], orders: int
) -> list[list[float]]:
    """Return for each pair and order: character n-grams of the hypothesis, of the reference, matches."""
    own, other = encode_characters(hypotheses), encode_characters(references)
    found = np.empty((len(hypotheses), orders), np.int64)
    if not count_letters(*own, *other, found):
        found = clipped_matches(own, other, np.arange(len(hypotheses) + 1, dtype=np.int64), orders)
    return character_statistics(own, other, found)
