"""From texts to word vectors in one call: corpus, existing vectors, held-out text, training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.checkpoint import Checkpoints
from mlkit.corpus.prepare import Vocabulary, encode_corpus, prepare_corpus
from mlkit.errors import DataError
from mlkit.formats.streams import Errors, PathLike, display_name
from mlkit.formats.vectors import load_vectors
from mlkit.progress import Progress, Report, silent
from mlkit.range_test import FindRate, Point, Sweep
from mlkit.threads import thread_count
from mlkit.word2vec.train import HeldOut, Matrix, Settings, WordVectors, sweep, train

RATES = (1e-4, 10.0)  # between which a range test looks


@dataclass(frozen=True)
class Texts:
    """Where the text is and which words count: the arguments of `prepare_corpus`.

    init: a vector file to continue; valid: held-out texts, looked at every `valid_every` epochs.
    """

    sources: Sequence[PathLike]
    min_count: int = 5
    max_vocab: int | None = None
    lower: bool = False
    vocabulary: PathLike | None = None
    encoded: PathLike | None = None
    errors: Errors = "strict"
    memory: int | None = None
    tmp_dir: str | None = None
    init: PathLike | None = None
    valid: PathLike | None = None
    valid_every: float = 1.0
    patience: int | None = None


@dataclass(frozen=True)
class Trained:
    """Words and their vectors (float32 [words, dim]): those of the vocabulary, then those only `init` has.

    output_vectors: float32 [vocabulary or inner nodes, dim], for the first words only; record: losses and times;
    settings: as given, but for the rate that was found.
    """

    words: list[str]
    vectors: Matrix
    output_vectors: Matrix
    record: WordVectors
    vocabulary: Vocabulary
    settings: Settings


def train_texts(
    texts: Texts,
    settings: Settings,
    *,
    threads: int | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    find_rate: FindRate | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train word vectors on texts; `find_rate` chooses the learning rate (see `mlkit.range_test`).

    >>> trained = train_texts(Texts(["corpus.txt"]), Settings(dim=50))        # doctest: +SKIP
    >>> save_vectors("vectors.txt", trained.words, trained.vectors)           # doctest: +SKIP

    Raises what `prepare_corpus`, `load_vectors` and `train` raise.
    """
    count = thread_count(threads)
    known = Vocabulary.load_known(texts.vocabulary) if texts.vocabulary is not None else None
    vocabulary, corpus = prepare_corpus(
        texts.sources, min_count=texts.min_count, max_size=texts.max_vocab, lower=texts.lower, vocabulary=known,
        encoded=texts.encoded, errors=texts.errors, threads=count, memory=texts.memory, tmp_dir=texts.tmp_dir,
        progress=watched(progress, checkpoints),
    )  # fmt: skip
    check_words(texts, vocabulary, corpus.tokens)
    existing, held_out, identity = prepared(texts, vocabulary, corpus.tokens, count)
    start = None if existing is None else existing.start
    if find_rate is not None:
        tested = settings

        def run(rates: Sequence[float], repeat: int) -> Iterator[Point]:
            own = replace(tested, seed=tested.seed + repeat)
            return sweep(corpus.ids, vocabulary.counts, own, rates, start=start)

        settings = settings.with_rate(find_rate(Sweep(run, *RATES)))
    record = train(
        corpus.ids, vocabulary.counts, settings, threads=count, held_out=held_out, checkpoints=checkpoints,
        start=start, resume=resume, identity=identity, progress=progress,
    )  # fmt: skip
    return trained_words(record, vocabulary, existing, settings)


def check_words(texts: Texts, vocabulary: Vocabulary, tokens: int) -> None:
    """Raise `DataError` where there is nothing to train on."""
    if len(vocabulary) == 0:
        raise DataError(
            f"no word comes {texts.min_count} times or more", path=display_name(texts.sources[0]),
            hint="lower --min-count, or give more text",
        )  # fmt: skip
    if tokens == 0:
        raise DataError("the text has no word of the vocabulary", path=display_name(texts.sources[0]))


def prepared(
    texts: Texts, vocabulary: Vocabulary, tokens: int, threads: int
) -> tuple[Existing | None, HeldOut | None, dict[str, Any]]:
    """Return existing vectors, held-out text, and the facts about all inputs that a checkpoint must agree on."""
    identity: dict[str, Any] = {"vocabulary": vocabulary.fingerprint, "tokens": tokens}
    existing = None if texts.init is None else Existing.load(texts.init, vocabulary)
    if existing is not None:
        identity["init"] = existing.fingerprint
    held_out = None
    if texts.valid is not None:
        valid = encode_corpus(
            [texts.valid], vocabulary, lower=texts.lower, errors=texts.errors, threads=threads
        )
        held_out = HeldOut(valid.ids, texts.valid_every, texts.patience)
        identity |= {"valid": valid.tokens, "valid_every": texts.valid_every, "patience": texts.patience}
    return existing, held_out, identity


def trained_words(
    record: WordVectors, vocabulary: Vocabulary, existing: Existing | None, settings: Settings
) -> Trained:
    """Return the vectors of the vocabulary, then those of words that only the existing ones have."""
    words, vectors = vocabulary.words(), record.vectors
    if existing is not None:
        words += existing.other_words
        vectors = np.concatenate([vectors, existing.other_rows])
    return Trained(words, vectors, record.outputs, record, vocabulary, settings)


def watched(progress: Progress, checkpoints: Checkpoints | None) -> Progress:
    """Let a stop signal end the reading of the text: there is nothing to save yet."""

    def report(state: Report) -> None:
        progress(state)
        if checkpoints is not None and checkpoints.stop.requested:
            checkpoints.stop.raise_stopped("stopped while reading the text; nothing to save yet")

    return report


@dataclass(frozen=True)
class Existing:
    """Vectors to continue: rows of known word ids, and the words that the new text does not have."""

    known: NDArray[np.int64]
    rows: Matrix
    other_words: list[str]
    other_rows: Matrix
    fingerprint: str

    @property
    def start(self) -> tuple[NDArray[np.int64], Matrix]:
        """What `train` begins with."""
        return self.known, self.rows

    @classmethod
    def load(cls, path: PathLike, vocabulary: Vocabulary) -> Existing:
        words, matrix = load_vectors(path)
        ids = np.array([vocabulary.index(word) for word in words], np.int64)
        others = np.flatnonzero(ids < 0)
        digest = hashlib.sha256(np.ascontiguousarray(matrix).view(np.uint8).data)
        digest.update("\n".join(words).encode())
        other_words = [words[place] for place in others]
        return cls(
            ids[ids >= 0], matrix[ids >= 0], other_words, matrix[others], digest.hexdigest()[:32]
        )  # fmt: skip
