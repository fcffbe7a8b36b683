"""N-gram models by their definitions: dictionaries of tuples and recursion."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

Gram = tuple[str, ...]
Counts = dict[Gram, float]


def count(lines: Sequence[Sequence[str]], order: int, weights: Sequence[float] | None = None) -> Counts:
    """Count all n-grams of 1 to `order` words that end in a word or `</s>`; one `<s>` begins every line."""
    counts: Counter[Gram] = Counter()
    for number, line in enumerate(lines):
        words = ["<s>", *line, "</s>"]
        for end in range(1, len(words)):
            for size in range(1, min(order, end + 1) + 1):
                counts[tuple(words[end + 1 - size : end + 1])] += 1 if weights is None else weights[number]
    return dict(counts)


def adjusted(counts: Counts, order: int) -> Counts:
    """Kneser-Ney counts: distinct left neighbours, but raw for the highest order and after `<s>`."""
    left: dict[Gram, set[str]] = defaultdict(set)
    for gram in counts:
        if len(gram) > 1:
            left[gram[1:]].add(gram[0])
    return {
        gram: value if len(gram) == order or gram[0] == "<s>" else len(left[gram])
        for gram, value in counts.items()
    }


def modified_discounts(counts: Counts, size: int) -> list[float]:
    """D1, D2, D3+ of one order (Chen and Goodman), with lmplz's fallback."""
    of = Counter(value for gram, value in counts.items() if len(gram) == size)
    if not all(of[i] for i in (1, 2, 3)):
        return [0.5, 1.0, 1.5]
    y = of[1] / (of[1] + 2 * of[2])
    found = [i - (i + 1) * y * of[i + 1] / of[i] for i in (1, 2, 3)]
    return found if all(0 <= d <= i for i, d in enumerate(found, 1)) else [0.5, 1.0, 1.5]


class Model:
    """p(w | h) = u(w | h) + gamma(h) p(w | h'), or the back-off form, straight from counts."""

    def __init__(
        self, lines: Sequence[Sequence[str]], order: int, method: str, *, backs_off: bool = False,
        alpha: float = 1.0, prune: Sequence[float] = (),
    ) -> None:  # fmt: skip
        self.order, self.method, self.backs_off, self.alpha = order, method, backs_off, alpha
        self.raw = count(lines, order)
        kneser_ney = method in ("modified-kneser-ney", "kneser-ney")
        self.counts = adjusted(self.raw, order) if kneser_ney else self.raw
        self.words = sorted({gram[0] for gram in self.counts if len(gram) == 1} | {"<unk>", "</s>"})
        self.thresholds = [*prune, *[prune[-1] if prune else 0.0] * order][:order]
        self.followers: dict[Gram, list[str]] = defaultdict(list)
        for gram in self.counts:
            self.followers[gram[:-1]].append(gram[-1])
        self.discounts = {size: self._discounts(size) for size in range(1, order + 1)}

    def _discounts(self, size: int) -> list[float]:
        of = Counter(value for gram, value in self.counts.items() if len(gram) == size)
        if self.method == "modified-kneser-ney":
            return modified_discounts(self.counts, size)
        if self.method in ("kneser-ney", "absolute"):
            return [of[1] / (of[1] + 2 * of[2])] if of[1] and of[2] else [0.5]
        return [0.0]

    def discount(self, gram: Gram) -> float:
        """D of the count of an n-gram."""
        table = self.discounts[len(gram)]
        return table[min(int(self.counts[gram]), len(table)) - 1]

    def kept(self, gram: Gram) -> bool:
        """Whether pruning leaves an n-gram in."""
        return self.raw[gram] > self.thresholds[len(gram) - 1] or len(gram) == 1

    def total(self, history: Gram) -> float:
        """Sum of the counts after a history."""
        return sum(self.counts[(*history, word)] for word in self.followers[history])

    def share(self, gram: Gram) -> float:
        """u(w | h)."""
        history = gram[:-1]
        if gram not in self.counts or not self.kept(gram):
            return 0.0
        types = len(self.followers[history]) if self.method == "witten-bell" else 0
        return (self.counts[gram] - self.discount(gram)) / (self.total(history) + types)

    def gamma(self, history: Gram) -> float:
        """What a history leaves to the lower order."""
        return 1.0 - sum(self.share((*history, word)) for word in self.followers[history])

    def p(self, word: str, history: Gram) -> float:
        """p(w | h); the history is cut to order - 1 words."""
        history = history[len(history) - (self.order - 1) :] if len(history) >= self.order else history
        if self.method in ("laplace", "mle"):
            return self._additive(word, history)
        if self.method == "stupid-backoff":
            return self._stupid(word, history)
        gram = (*history, word)
        if not history:
            return self.share(gram) + self.gamma(()) / len(self.words)
        if not self.followers.get(history):
            return self.p(word, history[1:])
        if not self.backs_off:
            return self.share(gram) + self.gamma(history) * self.p(word, history[1:])
        if gram in self.counts:
            return self.share(gram)
        seen = self.followers[history]
        left = 1.0 - sum(self.share((*history, w)) for w in seen)
        below = 1.0 - sum(self.p(w, history[1:]) for w in seen)
        return left / below * self.p(word, history[1:])

    def _additive(self, word: str, history: Gram) -> float:
        alpha = self.alpha if self.method == "laplace" else 0.0
        top = self.counts.get((*history, word), 0) + alpha
        bottom = (
            self.total(history) + alpha * len(self.words)
            if self.followers.get(history)
            else alpha * len(self.words)
        )
        return top / bottom if top else 0.0

    def _stupid(self, word: str, history: Gram) -> float:
        gram = (*history, word)
        if gram in self.counts:
            return self.counts[gram] / self.total(history)
        return 0.4 * self._stupid(word, history[1:]) if history else 0.0


def log10_of_line(model: Model, line: Sequence[str]) -> list[float]:
    """log10 p of every word of a line and of its end; words that the model lacks are `<unk>`."""
    known = set(model.words)
    words = ["<s>", *(word if word in known else "<unk>" for word in line), "</s>"]
    out = []
    for end in range(1, len(words)):
        p = model.p(words[end], tuple(words[max(0, end - model.order + 1) : end]))
        out.append(math.log10(p) if p > 0 else -math.inf)
    return out
