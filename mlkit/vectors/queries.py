"""Nearest words: of words, of sums of words, and analogies by 3CosAdd and 3CosMul.

Mikolov et al. 2013 (3CosAdd: cosine to the sum of unit vectors) and Levy & Goldberg 2014 (3CosMul, cosines shifted to
[0, 1]); both give the neighbours and scores of gensim's `most_similar` and `most_similar_cosmul`. Queries are
answered in batches by products of blocks; the winners are scored again in float64, so that the answer
does not depend on the batch. Equal scores are in the order of the file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import UsageError
from mlkit.threads import map_chunks
from mlkit.vectors.keyed_vectors import KeyedVectors, Matrix, UnknownWord

METHODS = ("add", "mul")
BATCH = 256
_TILE = 1 << 21  # scores held at a time
_MARGIN = 8  # candidates beyond k that are scored again
_EPSILON = 0.000001  # keeps 3CosMul's denominator from 0, as Levy & Goldberg and gensim choose it

Score = Callable[[int, int], Matrix]


class Neighbour(NamedTuple):
    """A word near a query, and how near: the cosine, or 3CosMul's ratio."""

    word: str
    score: float


@dataclass(frozen=True)
class Query:
    """Words to add and words to subtract; `text` is how the user wrote it."""

    text: str
    positive: tuple[str, ...]
    negative: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """Return all words of the query."""
        return self.positive + self.negative


def parse_query(text: str) -> Query:
    """Return the query that `text` stands for: a word, or a sum such as ``biggest - big + worst``.

    Signs stand alone, between spaces: ``well-known`` is a word, and so is a lone ``-``.
    """
    tokens = text.split()
    if len(tokens) == 1:
        return Query(tokens[0], (tokens[0],))
    if tokens and tokens[0] not in ("+", "-"):
        tokens.insert(0, "+")
    signs, words = tokens[::2], tokens[1::2]
    if not words or len(signs) != len(words) or not set(signs) <= {"+", "-"}:
        raise UsageError(f"{text!r} is not a query: give a word, or a sum such as 'biggest - big + worst'")
    signed = list(zip(signs, words, strict=True))
    positive = tuple(word for sign, word in signed if sign == "+")
    negative = tuple(word for sign, word in signed if sign == "-")
    return Query(text.strip(), positive, negative)


def parse_arguments(arguments: Sequence[str]) -> list[Query]:
    """Return the queries of a command line: each argument is one, unless a lone + or - makes all of them one sum."""
    if len(arguments) > 1 and any(argument in ("+", "-") for argument in arguments):
        return [parse_query(" ".join(arguments))]
    return [parse_query(argument) for argument in arguments]


def parse_analogy(text: str) -> Query:
    """Return the query "a is to b as c is to ?" of a line with three words: b - a + c."""
    words = text.split()
    if len(words) != 3:
        raise UsageError(f"{text!r} is not an analogy: give three words, as in 'man king woman'")
    return Query(" ".join(words), (words[1], words[2]), (words[0],))


def only_known(
    vectors: KeyedVectors, queries: Iterable[Query], unknown: Counter[str] | None
) -> Iterator[Query]:
    """Yield the queries whose words all have vectors; count the other words in `unknown`.

    With `unknown` None an unknown word raises `UnknownWord`.
    """
    for query in queries:
        missing = vectors.unknown(query.words)
        if not missing:
            yield query
        elif unknown is None:
            raise UnknownWord(missing[0])
        else:
            unknown.update(missing)


def neighbours(
    vectors: KeyedVectors,
    query: Query | str,
    k: int = 10,
    *,
    restrict_vocab: int | None = None,
    method: str = "add",
) -> list[Neighbour]:
    """Return the `k` words nearest to a query, best first; the words of the query are left out.

    Only the first `restrict_vocab` words are searched. Raises `UnknownWord`.
    """
    one = parse_query(query) if isinstance(query, str) else query
    return next(answer(vectors, [one], k, restrict_vocab=restrict_vocab, method=method))[1]


def answer(
    vectors: KeyedVectors,
    queries: Iterable[Query],
    k: int = 10,
    *,
    restrict_vocab: int | None = None,
    method: str = "add",
    batch: int = BATCH,
    threads: int = 1,
) -> Iterator[tuple[Query, list[Neighbour]]]:
    """Yield each query with the answer of `neighbours`, computed for `batch` queries at a time on `threads`.

    With several threads, numpy's own are better off (`mlkit.threads.blas_threads(1)`).
    """
    if k < 1:
        raise UsageError(f"the number of neighbours must be at least 1, not {k}")
    if method not in METHODS:
        raise UsageError(f"no method {method!r}; choose add or mul")
    total = min(len(vectors), restrict_vocab or len(vectors))
    vectors.lengths(0, total)  # measured before threads ask for them

    def work(chunk: list[Query]) -> list[tuple[Query, list[Neighbour]]]:
        return _answer_batch(vectors, chunk, k, total, method)

    for answers in map_chunks(work, _batches(queries, batch), threads):
        yield from answers


def _batches(queries: Iterable[Query], size: int) -> Iterator[list[Query]]:
    waiting: list[Query] = []
    for query in queries:
        waiting.append(query)
        if len(waiting) == size:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _answer_batch(
    vectors: KeyedVectors, queries: Sequence[Query], k: int, total: int, method: str
) -> list[tuple[Query, list[Neighbour]]]:
    own = [[vectors.row(word) for word in query.words] for query in queries]
    if method == "add":
        targets = mean_vectors(vectors, queries)
        score = add_scores(vectors, targets)
    else:
        score = mul_scores(vectors, queries)
    wanted = k + max(map(len, own)) + _MARGIN
    candidates = best_rows(score, len(queries), total, wanted)
    answers = []
    for number, query in enumerate(queries):
        rows = np.setdiff1d(candidates[number], own[number])
        if method == "add":
            exact = cosines(vectors, rows, targets[number])
        else:
            exact = _ratios(vectors, rows, query)
        order = np.lexsort((rows, -exact))[:k]
        best = [Neighbour(vectors.words[rows[place]], float(exact[place])) for place in order]
        answers.append((query, best))
    return answers


def mean_vectors(vectors: KeyedVectors, queries: Sequence[Query]) -> Matrix:
    """Return the unit vector of each query's sum of unit vectors, float32 [queries, dimension].

    Roundings are those of gensim: the sum in float32, its scaling in float64.
    """
    sums = np.zeros((len(queries), vectors.dimension), np.float32)
    for number, query in enumerate(queries):
        for sign, words in ((1, query.positive), (-1, query.negative)):
            for unit in vectors.unit([vectors.row(word) for word in words]):
                sums[number] += sign * unit
    counts = np.array([len(query.words) for query in queries])
    return scaled(sums, counts)


def scaled(sums: Matrix, counts: NDArray[np.int64]) -> Matrix:
    """Return sums of `counts` unit vectors as unit vectors; a zero sum stays zero."""
    means = sums.astype(np.float64) / counts[:, None]
    lengths = np.sqrt(np.einsum("ij,ij->i", means, means))
    lengths[lengths == 0] = 1
    unit: Matrix = (means * (1 / lengths)[:, None]).astype(np.float32)
    return unit


def add_scores(vectors: KeyedVectors, targets: Matrix) -> Score:
    """Return the function (begin, end) -> cosines [queries, end - begin] of unit `targets` with rows."""

    def score(begin: int, end: int) -> Matrix:
        return _cosine_tile(vectors, targets, begin, end)

    return score


def mul_scores(vectors: KeyedVectors, queries: Sequence[Query]) -> Score:
    """Return the function (begin, end) -> 3CosMul ratios [queries, end - begin]."""
    terms = vectors.unit([vectors.row(word) for query in queries for word in query.words])
    ends = np.cumsum([len(query.words) for query in queries])

    def score(begin: int, end: int) -> Matrix:
        shifted = (1 + _cosine_tile(vectors, terms, begin, end)) / 2
        out = np.empty((len(queries), end - begin), np.float32)
        for number, query in enumerate(queries):
            rows = shifted[ends[number] - len(query.words) : ends[number]]
            positive = len(query.positive)
            out[number] = rows[:positive].prod(axis=0) / (rows[positive:].prod(axis=0) + np.float32(_EPSILON))
        return out

    return score


def _cosine_tile(vectors: KeyedVectors, targets: Matrix, begin: int, end: int) -> Matrix:
    """Return cosines; words without a direction (length 0, or not a number) get -inf."""
    lengths = vectors.lengths(begin, end)
    usable = (lengths > 0) & np.isfinite(lengths)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if len(targets) > vectors.dimension:
            # fewer divisions in the vectors than in the products
            tile: Matrix = targets @ (vectors.matrix[begin:end] / lengths[:, None]).T
        else:
            tile = targets @ vectors.matrix[begin:end].T / lengths
    if not usable.all():
        tile[:, ~usable] = -np.inf
    return tile


def best_rows(score: Score, queries: int, total: int, wanted: int) -> list[NDArray[np.int64]]:
    """Return the rows with the `wanted` highest scores for each query, in no order; -inf is no candidate."""
    width = max(1024, _TILE // queries, 4 * wanted)
    rows = np.empty((queries, 0), np.int64)
    scores = np.empty((queries, 0), np.float32)
    for begin in range(0, total, width):
        end = min(begin + width, total)
        tile = score(begin, end)
        chosen = _highest(tile, wanted)
        rows = np.hstack([rows, chosen + begin])
        scores = np.hstack([scores, np.take_along_axis(tile, chosen, 1)])
        if begin:
            kept = _highest(scores, wanted)
            rows, scores = np.take_along_axis(rows, kept, 1), np.take_along_axis(scores, kept, 1)
    return [row[points > -np.inf] for row, points in zip(rows, scores, strict=True)]


def _highest(scores: Matrix, wanted: int) -> NDArray[np.int64]:
    count = scores.shape[1]
    if count <= wanted:
        return np.broadcast_to(np.arange(count), scores.shape)
    return np.argpartition(scores, count - wanted, axis=1)[:, count - wanted :]


def cosines(vectors: KeyedVectors, rows: NDArray[np.int64], target: Matrix) -> NDArray[np.float64]:
    """Return the cosines of some rows with one vector in float64, each by itself: equal rows score the same."""
    chosen = vectors.matrix[rows].astype(np.float64)
    wide = target.astype(np.float64)
    length = math.sqrt((wide * wide).sum()) or 1.0
    result: NDArray[np.float64] = (
        (chosen * wide).sum(axis=1) / np.sqrt((chosen * chosen).sum(axis=1)) / length
    )
    return result


def _ratios(vectors: KeyedVectors, rows: NDArray[np.int64], query: Query) -> NDArray[np.float64]:
    result = np.ones(len(rows))
    below = np.ones(len(rows))
    for word in query.positive:
        result *= (1 + cosines(vectors, rows, vectors[word])) / 2
    for word in query.negative:
        below *= (1 + cosines(vectors, rows, vectors[word])) / 2
    return result / (below + _EPSILON)
