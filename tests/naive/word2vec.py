"""word2vec the slow way: one pair at a time in float64, with the same random numbers as the kernels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

MASK = (1 << 64) - 1


def random_bits(key: int) -> Iterator[int]:
    """SplitMix64 (Steele, Lea and Flood 2014)."""
    while True:
        key = (key + 0x9E3779B97F4A7C15) & MASK
        bits = key
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
        yield bits ^ (bits >> 31)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def huffman_codes(counts: Sequence[int]) -> list[list[int]]:
    """Return every word's code, by always joining the two smallest (lowest number first among equals)."""
    trees = [(count, word, {word: []}) for word, count in enumerate(counts)]
    while len(trees) > 1:
        trees.sort(key=lambda tree: tree[:2])
        (a, first, left), (b, second, right), *rest = trees
        joined = {word: [0, *code] for word, code in left.items()}
        joined |= {word: [1, *code] for word, code in right.items()}
        trees = [*rest, (a + b, max(first, second) + len(counts), joined)]
    return [trees[0][2][word] for word in range(len(counts))]


def train_chunk(
    ids: Sequence[int],
    inputs: np.ndarray,
    outputs: np.ndarray,
    keep: Sequence[int],
    alias: Sequence[int],
    paths: Sequence[Sequence[int]],
    *,
    cbow: bool,
    window: int,
    negative: int,
    share: int,
    first_rate: float,
    last_rate: float,
    key: int,
) -> tuple[float, int, int]:
    """Train float64 matrices [rows, dim] in place; return the loss, the predictions and the centre words."""
    random = random_bits(key)
    words = len(keep)
    kept: list[int] = []
    for word in ids:
        if word < 0:
            if kept and kept[-1] >= 0:
                kept.append(-1)
        elif next(random) >> 32 <= keep[word]:
            kept.append(word)
    places = [place for place, word in enumerate(kept) if word >= 0]
    noise: list[int] = [-1] * negative

    def draw(centre: int, fresh: bool) -> None:
        for j in range(negative):
            attempt = 0
            while (attempt == 0 and fresh) or (noise[j] == centre and attempt < 16):
                bits = next(random)
                word = ((bits & 0xFFFFFFFF) * words) >> 32
                if bits >> 32 > alias[word] >> 32:
                    word = alias[word] & 0xFFFFFFFF
                noise[j] = word
                attempt += 1
            if noise[j] == centre:
                noise[j] = (centre + 1) % words

    if places and negative:
        draw(kept[places[0]], True)
    loss, predictions = 0.0, 0
    for number, place in enumerate(places):
        centre = kept[place]
        if negative:
            targets = [(centre, 1), *[(word, -1) for word in noise]]
        else:
            targets = [(step >> 1, 1 - 2 * (step & 1)) for step in paths[centre]]
        if number + 1 < len(places) and negative:
            draw(kept[places[number + 1]], (number + 1) % share == 0)
        reach = 1 + (((next(random) & 0xFFFFFFFF) * window) >> 32)
        context = []
        for direction in (range(place - 1, place - reach - 1, -1), range(place + 1, place + reach + 1)):
            for other in direction:
                if not 0 <= other < len(kept) or kept[other] < 0:
                    break
                context.append(other)
        rows = [kept[other] for other in sorted(context)]
        if not rows or not targets:
            continue
        rate = first_rate + (last_rate - first_rate) * place / len(kept)
        if cbow:
            loss += _cbow(inputs, outputs, rows, targets, rate)
            predictions += 1
        elif not negative:
            for first in range(0, len(rows), 2):
                loss += _skipgram_path(inputs, outputs, rows[first : first + 2], targets, rate)
            predictions += len(rows)
        else:
            for first in range(0, len(targets), 6):
                loss += _skipgram_group(inputs, outputs, rows, targets[first : first + 6], rate)
            predictions += len(rows)
    return loss, predictions, len(places)


def _skipgram_group(
    inputs: np.ndarray, outputs: np.ndarray, rows: list[int], targets: list[tuple[int, int]], rate: float
) -> float:
    """All errors first; then inputs one after another with the old outputs, then the outputs."""
    loss = 0.0
    errors = np.zeros((len(rows), len(targets)))
    for i, row in enumerate(rows):
        for j, (target, sign) in enumerate(targets):
            likelihood = sigmoid(sign * float(inputs[row] @ outputs[target]))
            errors[i, j] = rate * sign * (1 - likelihood)
            loss -= math.log(likelihood)
    old = [outputs[target].copy() for target, _ in targets]
    change = [np.zeros(inputs.shape[1]) for _ in targets]
    for i, row in enumerate(rows):
        before = inputs[row].copy()
        for j in range(len(targets)):
            change[j] += errors[i, j] * before
            inputs[row] += errors[i, j] * old[j]
    for (target, _), step in zip(targets, change, strict=True):
        outputs[target] += step
    return loss


def _skipgram_path(
    inputs: np.ndarray, outputs: np.ndarray, rows: list[int], targets: list[tuple[int, int]], rate: float
) -> float:
    """Word after word through the whole path, nodes moving at once; the two words move at the end."""
    loss = 0.0
    changes = []
    for row in rows:
        change = np.zeros(inputs.shape[1])
        for target, sign in targets:
            likelihood = sigmoid(sign * float(inputs[row] @ outputs[target]))
            loss -= math.log(likelihood)
            error = rate * sign * (1 - likelihood)
            change += error * outputs[target]
            outputs[target] += error * inputs[row]
        changes.append(change)
    for row, change in zip(rows, changes, strict=True):
        inputs[row] += change
    return loss


def _cbow(
    inputs: np.ndarray, outputs: np.ndarray, rows: list[int], targets: list[tuple[int, int]], rate: float
) -> float:
    """Predict from the mean; every context word gets the whole gradient of the mean."""
    loss = 0.0
    hidden = inputs[rows].mean(axis=0)
    gradient = np.zeros_like(hidden)
    for first in range(0, len(targets), 6):
        group = targets[first : first + 6]
        errors = []
        for target, sign in group:
            likelihood = sigmoid(sign * float(hidden @ outputs[target]))
            errors.append(rate * sign * (1 - likelihood))
            loss -= math.log(likelihood)
        for (target, _), error in zip(group, errors, strict=True):
            gradient += error * outputs[target]
            outputs[target] += error * hidden
    for row in rows:
        inputs[row] += gradient
    return loss
