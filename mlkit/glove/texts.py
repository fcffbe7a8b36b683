"""From texts, or a file of co-occurrences of either kind, to GloVe vectors."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.checkpoint import Checkpoints
from mlkit.errors import UsageError
from mlkit.formats.cooccurrence import RECORD, Cooccurrences, is_cooccurrences
from mlkit.formats.streams import Errors, PathLike, is_standard
from mlkit.formats.vectors import load_vectors
from mlkit.formats.vocabulary import Vocabulary
from mlkit.glove.cooccur import count_cooccurrences
from mlkit.glove.records import Records, glove_records, records_of
from mlkit.glove.train import GloveVectors, Matrix, Settings, train_glove
from mlkit.progress import Progress, silent
from mlkit.range_test import FindRate

_LOOK = 256  # records


@dataclass(frozen=True)
class Counting:
    """How texts are counted; see `cooccur.count_cooccurrences`."""

    window: int = 15
    symmetric: bool = True
    distance_weighting: bool = True
    min_count: int = 5
    max_size: int | None = None
    lower: bool = False
    errors: Errors = "strict"


@dataclass(frozen=True)
class Trained:
    """The words, in the order of the vocabulary, and their vectors."""

    words: list[str]
    vectors: GloveVectors


def train_inputs(
    inputs: Sequence[PathLike],
    settings: Settings,
    *,
    counting: Counting | None = None,
    vocabulary: PathLike | None = None,
    initial: PathLike | None = None,
    threads: int = 1,
    memory: int | None = None,
    tmp_dir: str | None = None,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    find_rate: FindRate | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train on texts, on a co-occurrence file of mlkit, or on GloVe's records (which need a `vocabulary` file).

    What an input is, is seen from its content. initial: a vector file to begin with. memory: bytes for the whole
    process while it counts; sorted records then go to a temporary file. find_rate: see `train_glove`.
    """
    given = None if vocabulary is None else Vocabulary.load_known(vocabulary)
    with tempfile.TemporaryDirectory(dir=tmp_dir, prefix="mlkit-") as folder:
        records, words, facts = _records(
            inputs, given, counting or Counting(), threads, memory, tmp_dir, Path(folder), progress
        )
        vectors = train_glove(
            records, settings, initial=None if initial is None else _initial(initial, words, settings.dim),
            identity=facts | {"init": None if initial is None else Path(initial).stat().st_size}, threads=threads,
            on_disk=memory is not None, tmp_dir=tmp_dir, checkpoints=checkpoints, resume=resume, find_rate=find_rate,
            progress=progress,
        )  # fmt: skip
    return Trained(words, vectors)


def _records(
    inputs: Sequence[PathLike],
    vocabulary: Vocabulary | None,
    counting: Counting,
    threads: int,
    memory: int | None,
    tmp_dir: str | None,
    folder: Path,
    progress: Progress,
) -> tuple[Records, list[str], dict[str, Any]]:
    """Return the records, the words, and facts by which a checkpoint knows them."""
    path = inputs[0]
    counted = len(inputs) == 1 and not is_standard(path) and Path(path).is_file() and is_cooccurrences(path)
    if not counted and len(inputs) == 1 and looks_like_records(path, vocabulary):
        if vocabulary is None:
            raise UsageError(
                f"{path}: GloVe's records carry no words; give their vocabulary with --vocab",
            )
        return (
            glove_records(path, len(vocabulary)),
            vocabulary.words(),
            {"vocabulary": vocabulary.fingerprint},
        )
    if not counted:
        path = folder / "cooccurrences"
        count_cooccurrences(
            inputs, path, window=counting.window, symmetric=counting.symmetric,
            distance_weighting=counting.distance_weighting, vocabulary=vocabulary, min_count=counting.min_count,
            max_size=counting.max_size, lower=counting.lower, errors=counting.errors, threads=threads,
            memory=memory, tmp_dir=tmp_dir, progress=progress,
        )  # fmt: skip
    matrix = Cooccurrences.open(path)
    own = matrix.vocabulary()
    if counted and vocabulary is not None and vocabulary.fingerprint != own.fingerprint:
        raise UsageError(f"--vocab is not the vocabulary that {path} was counted with; leave it out")
    names = ("vocabulary", "window", "symmetric", "distance_weighting")
    return records_of(matrix), own.words(), {name: matrix.header[name] for name in names}


def looks_like_records(path: PathLike, vocabulary: Vocabulary | None) -> bool:
    """Say whether a file can be GloVe's records: words from 1 on and not beyond the vocabulary, weights above 0."""
    if is_standard(path) or not Path(path).is_file():
        return False
    size = Path(path).stat().st_size
    if not size or size % RECORD.itemsize:
        return False
    head = np.fromfile(path, RECORD, _LOOK)
    most = len(vocabulary) if vocabulary is not None else 1 << 24
    ids = np.stack((head["word"], head["context"]))
    with np.errstate(invalid="ignore"):
        return bool((ids >= 1).all() and (ids <= most).all() and (head["weight"] > 0).all())


def _initial(path: PathLike, words: list[str], dim: int) -> tuple[Matrix, NDArray[np.bool_]]:
    """Read the vectors to begin with: a row for each of `words`, and which words have one."""
    known, matrix = load_vectors(path)
    if matrix.shape[1] != dim:
        raise UsageError(f"{path} has vectors of {matrix.shape[1]} dimensions: use --dim {matrix.shape[1]}")
    place = {word: row for row, word in enumerate(known)}
    rows = np.array([place.get(word, -1) for word in words])
    found = rows >= 0
    vectors = np.zeros((len(words), dim), np.float32)
    vectors[found] = matrix[rows[found]]
    return vectors, found
