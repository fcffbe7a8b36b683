"""fastText in plain Python: hashes, n-grams, the training steps one pair at a time in float64."""

from __future__ import annotations

import math

import numpy as np

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def token_hash(token: bytes) -> int:
    value = 2166136261
    for byte in token:
        signed = byte - 256 if byte > 127 else byte
        value = ((value ^ (signed & 0xFFFFFFFF)) * 16777619) % 2**32
    return value


def ngrams(word: str, minn: int, maxn: int) -> list[bytes]:
    text = f"<{word}>"
    found = []
    for i in range(len(text)):
        for n in range(minn, maxn + 1):
            lone = n == 1 and (i == 0 or i == len(text) - 1)
            if i + n <= len(text) and n > 0 and not lone:
                found.append(text[i : i + n].encode())
    return found


def word_ngrams(tokens: list[bytes], size: int, bucket: int) -> list[int]:
    hashes = [token_hash(token) for token in tokens]
    signed = [h - 2**32 if h >= 2**31 else h for h in hashes]
    found = []
    for i in range(len(tokens)):
        value = signed[i] & MASK
        for j in range(i + 1, min(len(tokens), i + size)):
            value = (value * 116049371 + signed[j]) & MASK
            found.append(value % bucket)
    return found


def mixed(counter: int) -> int:
    bits = ((counter ^ (counter >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
    return bits ^ (bits >> 31)


class Random:
    """The random numbers of one chunk."""

    def __init__(self, seed: int) -> None:
        self.counter = mixed(seed)

    def bits(self) -> int:
        self.counter = (self.counter + GOLDEN) & MASK
        return mixed(self.counter)

    def below(self, bound: int) -> int:
        return ((self.bits() & 0xFFFFFFFF) * bound) >> 32

    def noise(self, table: list[int], target: int) -> int:
        chosen = target
        while chosen == target:
            bits = self.bits()
            slot = ((bits & 0xFFFFFFFF) * len(table)) >> 32
            chosen = slot if bits >> 32 <= table[slot] >> 32 else table[slot] & 0xFFFFFFFF
        return chosen


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def binary(hidden, output, rows, goals, rate):
    """Train output rows as binary classifiers of one hidden vector; return (loss, its gradient)."""
    gradient = np.zeros_like(hidden)
    fires = [sigmoid(float(output[row] @ hidden)) for row in rows]
    loss = 0.0
    for row, goal, fire in zip(rows, goals, fires, strict=True):
        step = rate * (goal - fire)
        gradient += step * output[row]
        output[row] += step * hidden
        loss -= math.log(fire if goal else 1 - fire)
    return loss, gradient


def softmax(hidden, output, target, rate):
    scores = output @ hidden
    share = np.exp(scores - scores.max())
    share /= share.sum()
    steps = -rate * share
    steps[target] += rate
    gradient = steps @ output
    output += np.outer(steps, hidden)
    return -math.log(share[target]), gradient


def target_step(loss, hidden, output, target, path, noise, negative, rate, random):
    if loss == "softmax":
        return softmax(hidden, output, target, rate)
    if loss == "hs":
        return binary(hidden, output, [s >> 1 for s in path[target]], [s & 1 for s in path[target]], rate)
    rows = [target] + [random.noise(noise, target) for _ in range(negative)]
    return binary(hidden, output, rows, [1] + [0] * negative, rate)


def train_lines(lines, matrix, output, loss, rate, rate_step, path, noise, negative, seed):
    """Train on (rows, labels, tokens) of every line in place; return the sum of losses."""
    random = Random(seed)
    total = 0.0
    for rows, labels, tokens in lines:
        rate -= rate_step * tokens
        if not rows or not labels:
            continue
        hidden = matrix[rows].mean(axis=0)
        if loss == "ova":
            goals = [int(label in labels) for label in range(len(output))]
            value, gradient = binary(hidden, output, range(len(output)), goals, rate)
        else:
            target = labels[random.below(len(labels))] if len(labels) > 1 else labels[0]
            value, gradient = target_step(loss, hidden, output, target, path, noise, negative, rate, random)
        total += value
        for row in rows:
            matrix[row] += gradient / len(rows)
    return total


def train_words(
    model, lines, rows, matrix, output, loss, window, rate, rate_step, path, noise, negative, seed
):
    """Train skip-gram or CBOW on lines of word ids, without subsampling; return the sum of losses."""
    random = Random(seed)
    total = 0.0
    for line in lines:
        for _ in line:
            random.bits()  # the draw of subsampling
        step = rate
        rate -= rate_step * len(line)
        if model == "skipgram":
            total += _skipgram(line, rows, matrix, output, loss, window, step, path, noise, negative, random)
        else:
            total += _cbow(line, rows, matrix, output, loss, window, step, path, noise, negative, random)
    return total


def _skipgram(line, rows, matrix, output, loss, window, rate, path, noise, negative, random):
    total = 0.0
    for centre, word in enumerate(line):
        reach = 1 + random.below(window)
        contexts = [
            line[c] for c in range(max(0, centre - reach), min(len(line), centre + reach + 1)) if c != centre
        ]
        start = matrix[rows[word]].mean(axis=0)
        gradient = np.zeros_like(start)
        if loss == "ns":
            pairs = []
            for context in contexts:
                pairs.append((context, 1))
                pairs += [(random.noise(noise, context), 0) for _ in range(negative)]
            for begin in range(0, len(pairs), 16):
                part = pairs[begin : begin + 16]
                value, change = binary(
                    start + gradient, output, [p[0] for p in part], [p[1] for p in part], rate
                )
                total += value
                gradient = gradient + change
        else:
            for context in contexts:
                value, change = target_step(loss, start, output, context, path, noise, negative, rate, random)
                total += value
                gradient = gradient + change
        for row in rows[word]:
            matrix[row] += gradient
    return total


def _cbow(line, rows, matrix, output, loss, window, rate, path, noise, negative, random):
    total = 0.0
    sums: dict[int, np.ndarray] = {}
    changes: dict[int, np.ndarray] = {}
    for centre in range(len(line) + window):
        for place in range(len(line)):
            if place <= centre + window and place not in sums:
                sums[place] = matrix[rows[line[place]]].sum(axis=0)
                changes[place] = np.zeros(matrix.shape[1])
        if centre < len(line):
            reach = 1 + random.below(window)
            around = [
                c for c in range(centre - reach, centre + reach + 1) if 0 <= c < len(line) and c != centre
            ]
            parts = sum(len(rows[line[c]]) for c in around)
            if parts:
                hidden = sum(sums[c] for c in around) / parts
                value, gradient = target_step(
                    loss, hidden, output, line[centre], path, noise, negative, rate, random
                )
                total += value
                for c in around:
                    sums[c] = sums[c] + len(rows[line[c]]) * gradient
                    changes[c] = changes[c] + gradient
        if 0 <= centre - window < len(line):
            for row in rows[line[centre - window]]:
                matrix[row] += changes[centre - window]
    return total
