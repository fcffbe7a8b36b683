"""How good vectors are: analogy questions and word pairs rated by people, with gensim's rules to the letter.

Analogies follow gensim's `evaluate_word_analogies` (itself word2vec's compute-accuracy): upper-casing, the first of
several case variants, the first `restrict_vocab` words, the words of a question (in any case) never predicted.
Pairs follow `evaluate_word_pairs`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mlkit.errors import DataError
from mlkit.formats.streams import Errors, PathLike, read_lines
from mlkit.progress import Progress, Report, silent
from mlkit.threads import map_chunks
from mlkit.vectors.keyed_vectors import KeyedVectors, Matrix
from mlkit.vectors.queries import Query, add_scores, mul_scores, scaled
from mlkit.vectors.statistics import correlation_p_value, pearson, spearman

RESTRICT_VOCAB = 300_000
_BATCH = 512
_TILE = 1 << 20  # scores held at a time
_CLOSE = 2e-6  # two scores nearer than this may change places by rounding
_SHOWN = 5  # gensim looks at this many predictions


@dataclass
class Section:
    """The score of one section of a question file, or of all of them; `listed` counts its questions."""

    name: str
    correct: int = 0
    answered: int = 0
    unknown: int = 0
    listed: int = 0

    @property
    def accuracy(self) -> float:
        """Return the share of answered questions that are right; 0 if there are none."""
        return self.correct / self.answered if self.answered else 0.0

    def add(self, other: Section) -> None:
        """Add the counts of another section."""
        self.correct += other.correct
        self.answered += other.answered
        self.unknown += other.unknown
        self.listed += other.listed


@dataclass(frozen=True)
class AnalogyScores:
    """What `evaluate_analogies` found. `skipped` lines were no questions; `total` adds up `sections`."""

    sections: list[Section]
    skipped: int

    @property
    def total(self) -> Section:
        """Return all sections together."""
        return self._sum("total", self.sections)

    @property
    def groups(self) -> list[Section]:
        """Return the semantic and the syntactic total, where sections named "gram..." tell them apart."""
        syntactic = [section for section in self.sections if section.name.startswith("gram")]
        semantic = [section for section in self.sections if not section.name.startswith("gram")]
        if not syntactic or not semantic:
            return []
        return [self._sum("semantic", semantic), self._sum("syntactic", syntactic)]

    @property
    def listed(self) -> int:
        """Return how many questions the file has."""
        return sum(section.listed for section in self.sections)

    @staticmethod
    def _sum(name: str, sections: Sequence[Section]) -> Section:
        total = Section(name)
        for section in sections:
            total.add(section)
        return total


@dataclass(frozen=True)
class PairScores:
    """What `evaluate_pairs` found: correlations of `pairs` ratings with cosines, two-sided p-values.

    `listed` pairs are in the file, `unknown` of them have a word without a vector, `skipped` lines are no pairs.
    """

    pairs: int
    listed: int
    unknown: int
    skipped: int
    spearman: float
    spearman_p: float
    pearson: float
    pearson_p: float

    @property
    def unknown_ratio(self) -> float:
        """Return the share of the pairs that have an unknown word."""
        return self.unknown / self.listed


@dataclass
class _Vocabulary:
    """The searched words: form (upper case, if case does not matter) -> first row; rows of forms with several."""

    size: int
    first: dict[str, int]
    variants: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, vectors: KeyedVectors, restrict_vocab: int | None, case_sensitive: bool) -> _Vocabulary:
        words = vectors.words[:restrict_vocab]
        forms = words if case_sensitive else [word.upper() for word in words]
        first: dict[str, int] = {}
        variants: dict[int, list[int]] = {}
        for row, form in enumerate(forms):
            known = first.setdefault(form, row)
            if known != row:
                variants.setdefault(known, [known]).append(row)
        return cls(len(words), first, variants)

    def rows(self, first: int) -> list[int]:
        return self.variants.get(first, [first])


def evaluate_analogies(
    vectors: KeyedVectors,
    path: PathLike,
    *,
    restrict_vocab: int | None = RESTRICT_VOCAB,
    case_sensitive: bool = False,
    count_unknown: bool = False,
    method: str = "add",
    errors: Errors = "strict",
    threads: int = 1,
    progress: Progress = silent,
) -> AnalogyScores:
    """Answer the questions of a file such as questions-words.txt: lines "a b c d" under ": section" lines.

    Right is d as the word nearest to b - a + c (`method` "add": 3CosAdd; "mul": 3CosMul). Questions with a word
    outside the first `restrict_vocab` words are left out, or wrong with `count_unknown` (gensim: dummy4unknown).
    Batches of questions are spread over `threads`; then numpy's own threads are better off (`blas_threads(1)`).
    Raises `DataError` for a file without questions.
    """
    vocabulary = _Vocabulary.of(vectors, restrict_vocab, case_sensitive)
    sections: list[Section] = []
    questions: list[tuple[int, int, int, int]] = []
    owners: list[Section] = []
    skipped = 0
    for line in read_lines(path, errors):
        if line.startswith(": "):
            sections.append(Section(line.lstrip(": ").strip()))
            continue
        parts = (line if case_sensitive else line.upper()).split()
        if len(parts) != 4:
            skipped += 1
            continue
        if not sections:
            sections.append(Section("questions"))
        sections[-1].listed += 1
        found = [vocabulary.first.get(word) for word in parts]
        if None in found:
            sections[-1].unknown += 1
            sections[-1].answered += count_unknown
        else:
            a, b, c, d = (row for row in found if row is not None)
            questions.append((a, b, c, d))
            owners.append(sections[-1])
    if not questions and not any(section.unknown for section in sections):
        raise DataError("no questions of the form 'a b c d'", path=path)
    vectors.lengths(0, vocabulary.size)  # measured before threads ask for them
    batches = [questions[begin : begin + _BATCH] for begin in range(0, len(questions), _BATCH)]
    answers = map_chunks(lambda batch: _answer(vectors, vocabulary, batch, method), batches, threads)
    done = 0
    for batch in answers:
        for owner, right in zip(owners[done:], batch, strict=False):
            owner.answered += 1
            owner.correct += right
        done += len(batch)
        progress(Report("analogies", done, len(questions), "questions"))
    return AnalogyScores(sections, skipped)


def _answer(
    vectors: KeyedVectors, vocabulary: _Vocabulary, batch: list[tuple[int, int, int, int]], method: str
) -> list[bool]:
    """Say for each question whether the expected word scores above all others.

    No ranking is needed: the highest score apart from the question's words and the expected word is compared
    with the expected word's own. What rounding could turn is decided by gensim's own steps.
    """
    queries = [Query("", (vectors.words[b], vectors.words[c]), (vectors.words[a],)) for a, b, c, _ in batch]
    score = mul_scores(vectors, queries) if method == "mul" else add_scores(vectors, _targets(vectors, batch))
    own: list[set[int]] = []
    hidden_question, hidden_row = [], []
    for number, (a, b, c, d) in enumerate(batch):
        own.append({row for first in (a, b, c) for row in vocabulary.rows(first)})
        for row in own[-1].union(vocabulary.rows(d)):
            hidden_question.append(number)
            hidden_row.append(row)
    order = np.argsort(hidden_row, kind="stable")
    questions, rows = np.array(hidden_question)[order], np.array(hidden_row)[order]
    others = np.full(len(batch), -np.inf, np.float32)
    expected = np.full(len(batch), -np.inf, np.float32)
    is_expected = np.array([row not in own[number] for number, row in zip(questions, rows, strict=True)])
    width = max(1024, _TILE // len(batch))
    for begin in range(0, vocabulary.size, width):
        end = min(begin + width, vocabulary.size)
        tile = score(begin, end)
        inside = slice(*np.searchsorted(rows, [begin, end]))
        who, where = questions[inside], rows[inside] - begin
        chosen = is_expected[inside]
        np.maximum.at(expected, who[chosen], tile[who[chosen], where[chosen]])
        tile[who, where] = -np.inf
        np.maximum(others, tile.max(axis=1), out=others)
    right = expected > others
    reachable = np.isfinite(expected)
    doubtful = reachable & (np.abs(np.where(reachable, expected, 0) - others) <= _CLOSE)
    # with many case variants, all the predictions that gensim looks at may be words of the question
    doubtful |= np.array(
        [len(rows) - len({a, b, c}) >= _SHOWN for rows, (a, b, c, _) in zip(own, batch, strict=True)]
    )
    for number in np.flatnonzero(doubtful).tolist():
        right[number] = _decide(vectors, vocabulary, batch[number], method)
    return [bool(answer) for answer in right]


def _targets(vectors: KeyedVectors, batch: list[tuple[int, int, int, int]]) -> Matrix:
    """Return the unit vectors of b + c - a, rounded in gensim's order."""
    a, b, c = (vectors.unit([question[place] for question in batch]) for place in range(3))
    return scaled((b + c) - a, np.full(len(batch), 3))


def _decide(
    vectors: KeyedVectors, vocabulary: _Vocabulary, question: tuple[int, int, int, int], method: str
) -> bool:
    """Answer one question by the steps of gensim, in its precision: for scores that nearly tie."""
    a, b, c, d = question
    matrix, lengths = vectors.matrix[: vocabulary.size], vectors.lengths(0, vocabulary.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        if method == "mul":
            up_b, up_c, down = ((1 + matrix @ vectors.unit([row])[0] / lengths) / 2 for row in (b, c, a))
            scores = up_b * up_c / (down + np.float32(0.000001))
        else:
            scores = matrix @ _targets(vectors, [question])[0] / lengths
    wanted = _SHOWN + 3
    negated = -scores
    if wanted >= len(negated):
        best = np.argsort(negated)[:wanted]
    else:
        best = np.argpartition(negated, wanted)[:wanted]
        best = best[np.argsort(negated[best])]
    shown: list[int] = [row for row in best.tolist() if row not in (a, b, c)][:_SHOWN]
    own = {row for first in (a, b, c) for row in vocabulary.rows(first)}
    predicted = next((row for row in shown if row not in own), shown[-1] if shown else -1)
    return predicted in vocabulary.rows(d)


def evaluate_pairs(
    vectors: KeyedVectors,
    path: PathLike,
    *,
    restrict_vocab: int | None = RESTRICT_VOCAB,
    case_sensitive: bool = False,
    count_unknown: bool = False,
    errors: Errors = "strict",
) -> PairScores:
    """Correlate cosines with the ratings of a file of lines "word<TAB>word<TAB>rating" (spaces or commas do too).

    Lines that begin with # or are of another shape (a heading) are passed over. Pairs with an unknown word
    are left out, or count as similarity 0 with `count_unknown`. Raises `DataError` for a file without pairs.
    """
    vocabulary = _Vocabulary.of(vectors, restrict_vocab, case_sensitive)
    ratings: list[float] = []
    cosines: list[float] = []
    unknown = skipped = 0
    for line in read_lines(path, errors):
        pair = None if line.startswith("#") else _split_pair(line if case_sensitive else line.upper())
        if pair is None:
            skipped += 1
            continue
        rows = [vocabulary.first.get(word) for word in pair[:2]]
        if None in rows:
            unknown += 1
            if count_unknown:
                ratings.append(pair[2])
                cosines.append(0.0)
            continue
        first, second = (vectors.words[row] for row in rows if row is not None)
        ratings.append(pair[2])
        cosines.append(vectors.similarity(first, second))
    if not ratings and not unknown:
        raise DataError("no pairs of the form 'word<TAB>word<TAB>rating'", path=path)
    listed = len(ratings) + (0 if count_unknown else unknown)
    x, y = np.array(ratings), np.array(cosines)
    by_value, by_rank = pearson(x, y), spearman(x, y)
    return PairScores(
        pairs=len(x),
        listed=listed,
        unknown=unknown,
        skipped=skipped,
        spearman=by_rank,
        spearman_p=correlation_p_value(by_rank, len(x)),
        pearson=by_value,
        pearson_p=correlation_p_value(by_value, len(x)),
    )


def _split_pair(line: str) -> tuple[str, str, float] | None:
    for separator in ("\t", None, ","):
        parts = line.split(separator)
        if len(parts) == 3:
            try:
                rating = float(parts[2])
            except ValueError:
                return None
            return (parts[0], parts[1], rating) if math.isfinite(rating) else None
    return None
