"""The way from Python's lists of tokens to the compiled kernels and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from mlkit.metrics import kernels_ngrams
from mlkit.metrics.kernels_characters import count_letters
from mlkit.metrics.kernels_ter import tercom_edits
from mlkit.metrics.ter_shifts import Edits, Shift
from mlkit.metrics.token_ids import (
    Encoded,
    Offsets,
    character_statistics,
    encode_words,
    offsets,
    vocabulary,
    without_spaces,
)
from mlkit.metrics.tokenizers import ALONE, ENTITIES, SKIPPED
from mlkit.threads import map_chunks

Words = Sequence[str]
BLOCK = 20_000
LINES = 2_000  # segments that one thread takes at a time
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
    kernels_ngrams.count_matches(*hypotheses, *references, first_reference, found)
    return found


def line_statistics(
    hypotheses: Sequence[str],
    streams: Sequence[Sequence[str | None]],
    orders: int,
    *,
    western: bool,
    threads: int = 1,
) -> npt.NDArray[np.int64]:
    """Tokenize lines and return BLEU's statistics, int64 (segments, 2 + 2 * orders); see `kernels.match_lines`.

    `western` is the tokenizer 13a, else white space alone divides. `streams`: one per reference, None for none. No
    line holds a line end.
    """
    classes, rules = _byte_classes(western)

    def count(begin: int) -> npt.NDArray[np.int64]:
        segments = zip(
            hypotheses[begin : begin + LINES], *(s[begin : begin + LINES] for s in streams), strict=True
        )
        lines: list[str] = []
        first_reference = [0]
        for segment in segments:
            present = [line for line in segment if line is not None]
            lines += present
            first_reference.append(first_reference[-1] + len(present) - 1)
        text = bytearray(("\n".join(lines) + "\n" + " " * 8).encode("utf-8", "surrogatepass"))
        found = np.empty((len(first_reference) - 1, 2 + orders), np.int64)
        kernels_ngrams.match_lines(
            np.frombuffer(text, np.uint8), classes, rules, np.array(first_reference), found
        )
        return found

    found = np.concatenate(list(map_chunks(count, range(0, len(hypotheses), LINES), threads)))
    return np.hstack([found, np.maximum(found[:, :1] - np.arange(orders), 0)])


def _byte_classes(western: bool) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return what each byte is to `kernels.match_lines`, and what is replaced before."""
    classes = np.full(256, kernels_ngrams.PART, np.uint8)
    classes[list(b"\t\n\v\f\r\x1c\x1d\x1e\x1f ")] = kernels_ngrams.SPACE
    classes[[0xC2, 0xE1, 0xE2, 0xE3]] = kernels_ngrams.LEAD  # with these begins white space beyond ASCII
    if not western:
        return classes, np.zeros((0, 2), np.uint8)
    classes[list(ALONE.encode())] = kernels_ngrams.ALONE
    classes[list(b".,")] = kernels_ngrams.STOP
    classes[list(b"-")] = kernels_ngrams.DASH
    rules = np.zeros((1 + len(ENTITIES), 2 + len(SKIPPED)), np.uint8)
    for row, (pattern, replacement) in enumerate([(SKIPPED, "\0"), *ENTITIES]):
        rules[row, : 2 + len(pattern)] = [len(pattern), ord(replacement), *pattern.encode()]
    return classes, rules


def beamed_edits(pairs: Sequence[tuple[Words, Words]], threads: int = 1) -> list[Edits]:
    """Return the edits of each (hypothesis, reference), by the compiled kernel."""
    # an even share of the long segments, which take most of the time, for every thread
    size = max(1, min(LINES, len(pairs) // (4 * threads)))
    blocks = (pairs[begin : begin + size] for begin in range(0, len(pairs), size))
    return list(chain.from_iterable(map_chunks(_edits_of_block, blocks, threads)))


def _edits_of_block(pairs: Sequence[tuple[Words, Words]]) -> list[Edits]:
    numbers = vocabulary()
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
    hypotheses: Encoded, references: Encoded, orders: int, *, whitespace: bool = False, threads: int = 1
) -> list[list[float]]:
    """Return for each pair and order: character n-grams of the hypothesis, of the reference, matches.

    White space does not count unless `whitespace`.
    """
    segments = len(hypotheses[1]) - 1

    def count(begin: int) -> npt.NDArray[np.int64]:
        end = min(begin + LINES, segments)
        own = hypotheses[0], hypotheses[1][begin : end + 1]
        other = references[0], references[1][begin : end + 1]
        found = np.empty((end - begin, 3 * orders), np.int64)
        if count_letters(*own, *other, whitespace, found):
            return found
        # an alphabet too large for packed n-grams
        if not whitespace:
            own, other = without_spaces(own), without_spaces(other)
        matched = clipped_matches(own, other, np.arange(end - begin + 1, dtype=np.int64), orders)
        return np.array(character_statistics(own, other, matched)).reshape(end - begin, 3 * orders)

    rows: list[list[float]] = []
    for found in map_chunks(count, range(0, segments, LINES), threads):
        rows += found.tolist()
    return rows


def compiled_words(
    hypotheses: Sequence[Words], references: Sequence[Words], orders: int
) -> list[list[float]]:
    """Return for each pair and order: n-grams of the hypothesis, of the reference, matches."""
    numbers = vocabulary()
    own, other = encode_words(hypotheses, numbers), encode_words(references, numbers)
    places = np.arange(len(hypotheses) + 1, dtype=np.int64)
    return character_statistics(own, other, clipped_matches(own, other, places, orders))
