"""Train a model from text or count files: the whole way, from the input to the file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mlkit.errors import DataError, UsageError
from mlkit.formats.arpa import ArpaWriter
from mlkit.formats.streams import Errors, PathLike, open_output, plain_suffix, read_lines
from mlkit.formats.text_chunks import Places, clean, text_chunks
from mlkit.memory import resident
from mlkit.ngram.backoff import copy_levels, normalise
from mlkit.ngram.count import Source, TextSource, choose_vocabulary
from mlkit.ngram.count_files import CountSource, read_counts
from mlkit.ngram.estimate import Estimator, Statistics
from mlkit.ngram.jelinek import jelinek_mercer_weights
from mlkit.ngram.model import (
    ADDITIVE,
    BACKOFF,
    BinarySink,
    LanguageModel,
    ModelSettings,
    ModelSink,
    refuse_arpa,
    save_model,
)
from mlkit.ngram.number_words import number_text, weighted_counts
from mlkit.ngram.prune import prune_entropy
from mlkit.ngram.smoothing import Smoothing
from mlkit.ngram.spill import Shelves
from mlkit.progress import Progress, silent

# what the interpreter and the compiled kernels take before the first n-gram is counted; the run that compiles
# them (the first one, or `mlkit warm`) needs 100 MB more
BASE_MEMORY = 100 << 20
_KERNELS = 75 << 20  # the part of it that is not there yet when the bound is first looked at
# what the parts that are being worked on need, in one thread
WORKING_MEMORY = 80 << 20
LEAST_MEMORY = BASE_MEMORY + WORKING_MEMORY
# n-grams that wait for their turn stay in memory up to here, then go to temporary files
DEFAULT_SHELVES = 600 << 20


@dataclass(frozen=True)
class TrainSettings:
    """What to train: see the options of `mlkit ngram train`."""

    order: int = 3
    smoothing: Smoothing = field(default_factory=Smoothing)
    prune: tuple[float, ...] = ()
    prune_entropy: float = 0.0
    min_count: float = 0
    vocab_size: int | None = None
    allowed: tuple[bytes, ...] | None = None
    unknown: str = "<unk>"
    weighted: bool = False
    skip_symbols: bool = False
    errors: Errors = "strict"
    memory: int | None = None
    tmp_dir: str | None = None
    threads: int = 1


def shelves_for(memory: int | None, tmp_dir: str | None = None) -> Shelves:
    """Return shelves that keep the whole process within `memory` bytes (None: 600 MB of shelves).

    A bound below `LEAST_MEMORY` gives the least that is possible: nothing waits in memory.
    """
    if memory is None:
        return Shelves(DEFAULT_SHELVES, tmp_dir)
    return Shelves(max(memory - base_memory() - WORKING_MEMORY, 0), tmp_dir)


@functools.cache
def base_memory() -> int:
    """Return what this process needs beside the n-grams, with what it held before: a worker's libraries, say.

    It is found out once: what earlier tasks leave behind is used again by later ones.
    """
    return max(BASE_MEMORY, resident() + _KERNELS)


def threads_for(memory: int | None, threads: int) -> int:
    """Return how many threads may work within `memory`: each needs room for its parts."""
    if memory is None:
        return threads
    return max(min(threads, (memory - base_memory()) // WORKING_MEMORY), 1)


def is_arpa_name(path: PathLike) -> bool:
    """Say whether a model's file name asks for an ARPA file: all do but .bin and .lm.bin ones."""
    return plain_suffix(path) not in (".bin", ".mlkit")


def train(
    output: PathLike,
    settings: TrainSettings,
    *,
    texts: Sequence[PathLike] = (),
    counts: Sequence[PathLike] = (),
    heldout: Sequence[PathLike] = (),
    progress: Progress = silent,
) -> Statistics:
    """Train a model from texts, or from count files, and write it: ARPA, or binary for a name that ends in
    .bin.

    Raises `DataError` for an empty corpus or an order beyond the data, `UsageError` for settings that
    contradict each other.
    """
    check_training(output, settings, texts=texts, counts=counts, heldout=heldout)
    settings = replace(settings, threads=threads_for(settings.memory, settings.threads))
    shelves = shelves_for(settings.memory, settings.tmp_dir)
    source, close = _source(settings, shelves, texts, counts, progress)
    smoothing = settings.smoothing
    if smoothing.method == "jelinek-mercer" and heldout:
        smoothing = replace(smoothing, weights=_tune(source, settings, heldout))
    estimator = Estimator(
        source, settings.order, smoothing, prune=settings.prune, threads=settings.threads, shelves=shelves,
        counted=close, progress=progress,
    )  # fmt: skip
    if settings.prune_entropy or (smoothing.backs_off and smoothing.method != "stupid-backoff"):
        return _train_in_memory(output, estimator, settings)
    with open_output(output) as stream:
        if is_arpa_name(output):
            writer = ArpaWriter(stream)
            statistics = estimator.run(writer)
            writer.finish()
        else:
            sink = BinarySink(stream, shelves, settings.threads)
            statistics = estimator.run(sink)
            sink.finish(model_settings(settings, statistics))
    return statistics


def _train_in_memory(output: PathLike, estimator: Estimator, settings: TrainSettings) -> Statistics:
    """Back-off weights of back-off models, and entropy pruning, need all n-grams at once."""
    sink = ModelSink()
    statistics = estimator.run(sink)
    model = sink.model(model_settings(settings, statistics), settings.threads)
    if settings.smoothing.backs_off:
        levels = copy_levels(model)
        normalise(levels, settings.threads)
        model = LanguageModel.of_levels(model.vocabulary, model.settings, levels, settings.threads)
    if settings.prune_entropy:
        model = prune_entropy(model, settings.prune_entropy, threads=settings.threads)
        statistics.kept = model.sizes
    save_model(model, output, binary=not is_arpa_name(output))
    return statistics


def model_settings(settings: TrainSettings, statistics: Statistics) -> ModelSettings:
    """Return what a model file says about its making and its use."""
    smoothing = settings.smoothing
    made = {
        "smoothing": smoothing.method, "order": settings.order, "interpolated": not smoothing.backs_off,
        "tokens": statistics.tokens, "sentences": statistics.sentences, "discounts": statistics.discounts,
        "prune": list(settings.prune), "min_count": settings.min_count,
    }  # fmt: skip
    if smoothing.count_model:
        alpha = 0.0 if smoothing.method == "mle" else smoothing.alpha
        return ModelSettings(ADDITIVE, alpha=alpha, closed=True, made=made)
    missing = float(np.log10(smoothing.backoff)) if smoothing.method == "stupid-backoff" else 0.0
    return ModelSettings(BACKOFF, missing=missing, closed=True, made=made)


def check_training(
    output: PathLike,
    settings: TrainSettings,
    *,
    texts: Sequence[PathLike] = (),
    counts: Sequence[PathLike] = (),
    heldout: Sequence[PathLike] = (),
) -> None:
    """Raise `UsageError` for settings that contradict each other, before anything is read."""
    smoothing = settings.smoothing
    if settings.order < 1:
        raise UsageError(f"--order must be at least 1, not {settings.order}")
    if bool(texts) == bool(counts):
        raise UsageError("name texts to learn from, or count files with --counts, and not both")
    if counts and (settings.weighted or settings.skip_symbols):
        raise UsageError("--weights and --skip-symbols are for texts; count files have their counts")
    if heldout and smoothing.method != "jelinek-mercer":
        raise UsageError("--heldout is for --smoothing jelinek-mercer, which learns its weights from it")
    single = smoothing.count_model or smoothing.method == "stupid-backoff"
    if single and (settings.prune_entropy or any(settings.prune)):
        raise UsageError(f"{smoothing.method} cannot be pruned: there is no back-off weight to take the mass")
    if single and smoothing.interpolated is not None:
        raise UsageError(f"{smoothing.method} has one form only")
    if smoothing.method == "jelinek-mercer" and smoothing.interpolated is False:
        raise UsageError("jelinek-mercer interpolates; it has no back-off form")
    if is_arpa_name(output):
        refuse_arpa(model_settings(settings, Statistics(settings.order)))


def _source(
    settings: TrainSettings, shelves: Shelves, texts: Any, counts: Any, progress: Progress
) -> tuple[Source, Callable[[], None]]:
    """Read the input; return it with what forgets it."""
    choice: dict[str, Any] = {
        "min_count": settings.min_count, "vocab_size": settings.vocab_size, "allowed": settings.allowed,
        "unknown": settings.unknown,
    }  # fmt: skip
    if counts:
        table = read_counts(counts, shelves, threads=settings.threads, errors=settings.errors)
        vocabulary, numbers = choose_vocabulary(table.words, table.word_counts, **choice)
        return CountSource(table, vocabulary, numbers, settings.order), table.blocks.close
    small = settings.memory is not None
    text = number_text(
        texts, shelves, threads=settings.threads, errors=settings.errors, weighted=settings.weighted,
        skip_symbols=settings.skip_symbols, chunk_bytes=1 << (21 if small else 22), progress=progress,
    )  # fmt: skip
    if not text.sentences:
        raise DataError("the corpus is empty: there is no line to learn from")
    word_counts = weighted_counts(text) if settings.weighted else text.counts
    vocabulary, numbers = choose_vocabulary(text.words, word_counts, **choice)
    return TextSource(text, vocabulary, numbers), text.close


def _tune(source: Source, settings: TrainSettings, heldout: Sequence[PathLike]) -> Any:
    """Count the training text in a model of its own and let the held-out text choose the weights."""
    plain = replace(settings, smoothing=Smoothing("mle"), prune=())
    sink = ModelSink()
    estimator = Estimator(source, settings.order, plain.smoothing, threads=settings.threads)
    statistics = estimator.run(sink)
    counted = sink.model(model_settings(plain, statistics), settings.threads)
    places, pieces = Places(), []
    for chunk in text_chunks(heldout, whole_lines=True):
        clean(chunk, errors=settings.errors)
        places.pass_by(chunk)
        pieces.append(source.vocabulary.look_up(chunk.data, chunk.size))
    return jelinek_mercer_weights(counted, np.concatenate(pieces))


def read_word_list(path: PathLike, errors: Errors = "strict") -> tuple[bytes, ...]:
    """Return the words of a vocabulary file: the first field of every line (a count may follow).

    Raises `DataError` for a file without words, or with invalid UTF-8 (errors="strict").
    """
    lines = (line.encode("utf-8").split() for line in read_lines(path, errors))
    words = tuple(fields[0] for fields in lines if fields)
    if not words:
        raise DataError("no words: the vocabulary is empty", path=path)
    return words


__all__ = [
    "Statistics",
    "TrainSettings",
    "check_training",
    "is_arpa_name",
    "read_word_list",
    "shelves_for",
    "threads_for",
    "train",
]
