"""Generate text: sampling, and beam search for the most probable continuations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlkit.errors import UsageError
from mlkit.formats.lm_words import BEGIN, END, NOTHING, UNKNOWN
from mlkit.ngram.backoff import Index, contexts_of
from mlkit.ngram.model import ADDITIVE, LanguageModel

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hypothesis:
    """Words that were generated after a prefix; score: their log10 p (that of `</s>` too, when `finished`)."""

    words: tuple[int, ...]
    score: float
    finished: bool

    @property
    def length(self) -> int:
        """The number of scored tokens."""
        return len(self.words) + self.finished

    @property
    def per_token(self) -> float:
        """Length-normalised log10 p: minus the log10 of the perplexity."""
        return self.score / max(self.length, 1)


class Generator:
    """Distributions over the next word, for any history."""

    def __init__(self, model: LanguageModel, threads: int = 1) -> None:
        self.model = model
        self._index = Index(model.levels, threads)
        self._children = []
        for order in range(2, model.order + 1):
            contexts = contexts_of(self._index, order)
            sorting = np.argsort(contexts, kind="stable")
            starts = np.searchsorted(contexts[sorting], np.arange(len(model.levels[order - 2]) + 1))
            self._children.append((sorting, starts))

    def log_probs(self, history: Sequence[int]) -> Floats:
        """Return log10 p of every word (by id) after a history that begins with `<s>`, or part of one."""
        history = list(history)[-(self.model.order - 1) :] if self.model.order > 1 else []
        if self.model.settings.kind == ADDITIVE:
            return self._additive(history)
        out = self.model.word_values.astype(np.float64)
        for length in range(1, len(history) + 1):
            context = np.array([history[-length:]], np.int32)
            place = int(self._index.find(context)[0])
            if place < 0:
                out += self.model.settings.missing
                continue
            out += float(self.model.levels[length - 1].contexts[place])
            words, values = self._continuations(length, place)
            out[words] = values
        out[[NOTHING, BEGIN]] = -np.inf
        out[out <= -98.0] = -np.inf
        return out

    def _additive(self, history: list[int]) -> Floats:
        model, alpha = self.model, self.model.settings.alpha
        counts = np.zeros(len(model.vocabulary))
        total = 0.0
        if not history:
            counts = model.word_values.astype(np.float64)
            total = float(model.word_contexts[0])
        else:
            place = int(self._index.find(np.array([history], np.int32))[0])
            if place >= 0:
                words, values = self._continuations(len(history), place)
                counts[words] = values
                total = float(model.levels[len(history) - 1].contexts[place])
        bottom = total + alpha * model.vocabulary.types
        with np.errstate(divide="ignore"):
            out = np.log10((counts + alpha) / bottom) if bottom else np.full(len(counts), -np.inf)
        out[[NOTHING, BEGIN]] = -np.inf
        return np.asarray(out)

    def _continuations(
        self, length: int, place: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        sorting, starts = self._children[length - 1]
        entries = sorting[starts[place] : starts[place + 1]]
        level = self.model.levels[length]
        return level.grams[entries, -1], level.values[entries]

    def history_of(self, prefix: str) -> list[int]:
        """Return `<s>` and the ids of the words of a prefix."""
        return [BEGIN, *(int(word) for word in self.model.vocabulary.ids(prefix.split()))]

    def text(self, words: Sequence[int]) -> str:
        """Return words as text."""
        return " ".join(self.model.vocabulary.word(word) for word in words)


def sample(
    generator: Generator,
    prefix: Sequence[int],
    length: int,
    random: np.random.Generator,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    unknown: bool = False,
) -> Hypothesis:
    """Draw words until `</s>` or until there are `length` of them.

    temperature: divides log p; 0 takes the most probable word. top_k: only the k most probable words (0:
    all). top_p: only the most probable words that together have this mass. The score is that of the model
    itself.
    """
    if temperature < 0 or top_k < 0 or not 0 < top_p <= 1:
        raise UsageError("--temperature and --top-k must be 0 or more, --top-p above 0 and at most 1")
    words: list[int] = []
    score = 0.0
    while len(words) < length:
        log_probs = generator.log_probs([*prefix, *words])
        if not unknown:
            log_probs[UNKNOWN] = -np.inf
        word = _draw(log_probs, random.random(), temperature, top_k, top_p)
        if word < 0:
            break
        score += float(log_probs[word])
        if word == END:
            return Hypothesis(tuple(words), score, True)
        words.append(word)
    return Hypothesis(tuple(words), score, False)


def _draw(log_probs: Floats, point: float, temperature: float, top_k: int, top_p: float) -> int:
    """Return a word for a random number in 0..1, -1 when no word is possible."""
    best = float(log_probs.max())
    if best == -np.inf:
        return -1
    if temperature == 0:
        return int(log_probs.argmax())
    weights = 10.0 ** ((log_probs - best) / temperature)
    chosen = np.arange(len(weights))
    if top_k or top_p < 1:
        chosen = np.argsort(-weights, kind="stable")
        if top_k:
            chosen = chosen[:top_k]
        if top_p < 1:
            share = np.cumsum(weights[chosen]) / weights.sum()
            chosen = chosen[: int(np.searchsorted(share, top_p)) + 1]
    sums = np.cumsum(weights[chosen])
    at = min(int(np.searchsorted(sums, point * sums[-1], side="right")), len(chosen) - 1)
    while weights[chosen[at]] == 0:
        at -= 1
    return int(chosen[at])


def beam_search(
    generator: Generator, prefix: Sequence[int], length: int, beam: int, *, unknown: bool = False
) -> list[Hypothesis]:
    """Return the best continuations of at most `length` words, by length-normalised log p.

    At every step the `beam` best of all continuations of the `beam` best hypotheses are taken; those that end
    in `</s>` are kept as finished, whatever their length; those alive after the last step compete as they
    are.
    """
    if beam < 1:
        raise UsageError(f"--beam must be at least 1, not {beam}")
    alive = [Hypothesis((), 0.0, False)]
    finished: list[Hypothesis] = []
    for _ in range(length):
        candidates: list[tuple[float, int, int]] = []
        for number, hypothesis in enumerate(alive):
            log_probs = generator.log_probs([*prefix, *hypothesis.words])
            if not unknown:
                log_probs[UNKNOWN] = -np.inf
            # one more than the beam, so that `</s>` does not push a live one out
            best = np.argpartition(-log_probs, min(beam + 1, len(log_probs) - 1))[: beam + 1]
            candidates.extend(
                (hypothesis.score + float(log_probs[word]), number, int(word))
                for word in best if log_probs[word] > -np.inf
            )  # fmt: skip
        candidates.sort(key=lambda c: (-c[0], c[1], c[2]))
        following: list[Hypothesis] = []
        for rank, (score, number, word) in enumerate(candidates):
            words = alive[number].words
            if word == END:
                if rank < beam:
                    finished.append(Hypothesis(words, score, True))
            elif len(following) < beam:
                following.append(Hypothesis((*words, word), score, False))
        alive = following
        if not alive:
            break
    finished.extend(hypothesis for hypothesis in alive if hypothesis.words)
    return sorted(finished, key=lambda h: (-h.per_token, h.words))
