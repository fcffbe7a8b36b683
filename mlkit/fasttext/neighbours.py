"""Nearest neighbours and analogies over the dictionary's words; unknown words have vectors from their n-grams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlkit.fasttext.model import Model, take
from mlkit.fasttext.predict import LINE_END, Encoder
from mlkit.fasttext.subwords import EOS, hash_token, ngram_strings
from mlkit.formats.fasttext_bin import Floats


class Neighbours:
    """The unit vectors of all words of a model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.vectors = np.empty((model.word_count, model.args.dim), np.float32)
        start = 0
        for words, vectors in model.vocabulary_vectors():
            norms = np.linalg.norm(vectors, axis=1, keepdims=True)
            self.vectors[start : start + len(words)] = vectors / np.where(norms > 0, norms, 1)
            start += len(words)

    def nearest(self, query: Floats, k: int, without: Sequence[bytes] = ()) -> list[tuple[bytes, float]]:
        """Return the k words with the greatest cosine to `query`, and the cosines."""
        norm = float(np.linalg.norm(query))
        scores = self.vectors @ (query / (norm if norm > 0 else 1.0))
        for word in without:
            place = self.model.index.get(word, -1)
            if 0 <= place < len(scores):
                scores[place] = -np.inf
        k = min(k, int(np.count_nonzero(scores > -np.inf)))
        if k <= 0:
            return []
        top = np.argpartition(scores, len(scores) - k)[len(scores) - k :]
        top = top[np.argsort(-scores[top], kind="stable")]
        return [(self.model.words[i], float(scores[i])) for i in top.tolist()]

    def of_word(self, word: bytes, k: int) -> list[tuple[bytes, float]]:
        """Return the neighbours of a word, itself left out."""
        return self.nearest(self.model.word_vectors([word])[0], k, [word])

    def analogy(self, a: bytes, b: bytes, c: bytes, k: int) -> list[tuple[bytes, float]]:
        """Return the words nearest to a - b + c (unit vectors), the three left out."""
        vectors = self.model.word_vectors([a, b, c])
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        units = vectors / (norms + 1e-8)
        return self.nearest(units[0] - units[1] + units[2], k, [a, b, c])


def ngram_vectors(model: Model, word: bytes) -> list[tuple[bytes, Floats]]:
    """Return the parts of a word, itself first where it is known, with the vectors of their rows."""
    parts: list[tuple[bytes, Floats]] = []
    own = model.index.get(word, -1)
    if 0 <= own < model.word_count:
        parts.append((word, take(model.input, np.array([own]))[0]))
    for ngram in ngram_strings(word, model.args.minn, model.args.maxn):
        bucket = np.array([hash_token(ngram) % max(model.args.bucket, 1)])
        rows, found = model.rows_of_buckets(bucket)
        if found[0]:
            parts.append((ngram, take(model.input, rows)[0]))
        elif model.sparse:
            parts.append((ngram, np.zeros(model.args.dim, np.float32)))
    return parts


def sentence_vectors(model: Model, text: bytes, encoder: Encoder) -> Floats:
    """Return one vector a line: of a classifier the mean of all rows, else the mean of unit word vectors."""
    if model.supervised:
        return encoder.encode(text).hidden
    lines = text.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    result = np.zeros((len(lines), model.args.dim), np.float32)
    for number, line in enumerate(lines):
        words = line.replace(LINE_END, b" ").split()
        if words:
            vectors = model.word_vectors([word for word in words if word != EOS] or words)
            norms = np.linalg.norm(vectors, axis=1)
            used = norms > 0
            if used.any():
                result[number] = (vectors[used] / norms[used, None]).sum(axis=0) / np.count_nonzero(used)
    return result
