"""fastText's training on several workers: a shard of the text each, common vocabulary and weights.

The vocabulary, the rows and the matrices at the start are those of one machine, whatever the number of workers: every
shard numbers its own tokens, in the order in which they appear, and the shards' lists are joined in their order. How
the weights are put together is told in `mlkit.cluster.data_parallel`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mlkit.arrays import aligned_zeros
from mlkit.checkpoint import Checkpoints
from mlkit.cluster import Tasks
from mlkit.cluster.data_parallel import DataParallelTrainer, TrainingStats, WorkerGroup
from mlkit.cluster.parameter_exchange import Rows as ChangedRows
from mlkit.cluster.parameter_exchange import Weights, put, whole
from mlkit.errors import DataError, MlkitError
from mlkit.fasttext import kernels_dictionary
from mlkit.fasttext.dictionary import Corpus, TypeTable, number_types
from mlkit.fasttext.loop import (
    CHUNK_TOKENS,
    COMMAND,
    NOISE_EXPONENT,
    Job,
    Result,
    Rows,
    begin,
    chunk_seed,
    collect_rows,
    finished,
    identity,
    padded,
    survey_of,
    tree_paths,
    with_rate,
)
from mlkit.fasttext.model import read_pretrained
from mlkit.fasttext.settings import Settings
from mlkit.fasttext.supervised import Best, LineTrainer, Score, no_label
from mlkit.fasttext.unsupervised import WordTrainer, keep_thresholds
from mlkit.formats.input_shards import Part, input_parts
from mlkit.formats.streams import open_text
from mlkit.progress import Progress, Report
from mlkit.range_test import FindRate
from mlkit.signals import StopSignals
from mlkit.threads import map_chunks, thread_count

PIECE = 1 << 20  # ids at a time


def train_on(
    crew: WorkerGroup,
    path: str,
    settings: Settings,
    job: Job,
    *,
    score: Score | None = None,
    patience: int = 0,
    find_rate: FindRate | None = None,
) -> Result:
    """Train a classifier or word vectors as `train_supervised` and `train_vectors` do, one shard on each worker.

    With one thread a worker the result depends on the number of workers only, and one worker makes what one machine
    makes. `job.threads` and `job.directory` do not count: those of `crew` do. Raises `UsageError` for a pipe.
    """
    supervised = settings.model == "supervised"
    with StopSignals() as stop:
        checkpoints = Checkpoints(job.checkpoint, job.checkpoint_every, stop)
        reading = _stoppable(job.progress, checkpoints)
        corpus, tokens = _read(crew, path, settings, reading)
        if supervised and not corpus.labels:
            raise no_label(path, settings)
        survey = _survey_shards(crew, settings, tokens, reading) if supervised else None
        rows = collect_rows(corpus, settings, survey)
        _publish(crew, corpus, rows)
        outputs = padded(len(corpus.labels if supervised else corpus.words))

        def fresh(own: Settings) -> LineTrainer | WordTrainer:
            trainer = _trainer(
                _Folder(crew.engine.folder), int(np.argmax(np.array(tokens) > 0)), own, crew.sync
            )
            trainer.matrix = begin(corpus, own, rows)
            trainer.output = aligned_zeros(outputs * padded(own.dim))
            return trainer

        settings = with_rate(settings, fresh, find_rate)
        size = padded(settings.dim)
        weights = {
            "input": begin(corpus, settings, rows).reshape(-1, size),
            "output": aligned_zeros(outputs * size).reshape(-1, size),
        }
        best = Best(
            corpus, settings, rows, weights["input"].ravel(), weights["output"].ravel(), score, patience
        )
        known = _ShardTrainer(settings, crew.sync, crew.threads, _Folder(crew.engine.folder))
        rounds = DataParallelTrainer(
            crew.engine, known, [shard for shard, count in enumerate(tokens) if count], len(tokens),
            settings.epoch, crew.sync, weights, updates(corpus, settings, rows, len(tokens)),
            lambda part: settings.lr * (1 - part), checkpoints, COMMAND, identity(settings, corpus),
            float(sum(tokens) * settings.epoch), job.progress, kept=best.arrays, state=best.state,
        )  # fmt: skip
        rounds.after = _after_epoch(rounds, best)
        if job.resume:
            rounds.resume()
        losses = [each.mean for each in rounds.run()]
    if not np.isfinite(weights["output"].sum(dtype=np.float64)):
        raise MlkitError("training diverged", hint="lower --lr, or raise --sync")
    best.restore()
    model = finished(corpus, settings, rows, weights["input"].ravel(), weights["output"].ravel())
    return Result(model, losses, best.state["scores"], best.state["best_epoch"])


def _after_epoch(rounds: DataParallelTrainer, best: Best) -> Callable[[int], bool]:
    def after(done: int) -> bool:
        epoch, place = divmod(done, rounds.sync)
        return place > 0 or best.after_epoch(epoch - 1, rounds.epoch_figures[-1].mean)

    return after


def _stoppable(progress: Progress, checkpoints: Checkpoints) -> Progress:
    def report(state: Report) -> None:
        progress(state)
        if checkpoints.stop.requested:
            checkpoints.stop.raise_stopped("stopped while reading the text; nothing to save yet")

    return report


@dataclass(frozen=True)
class _Folder:
    """The files that workers share."""

    path: str

    def array(self, name: str) -> NDArray[np.generic]:
        """Map an array."""
        return np.asarray(np.load(self.file(name), mmap_mode="r"))

    def file(self, name: str) -> str:
        """Return the path of a file."""
        return f"{self.path}/{name}"


# The text


def _read(crew: WorkerGroup, path: str, settings: Settings, progress: Progress) -> tuple[Corpus, list[int]]:
    """Number the tokens of all shards; return the vocabulary, and how many ids each shard's file has."""
    engine, count = crew.engine, crew.engine.workers
    folder, names = _Folder(engine.folder), [f"shard {shard + 1}/{count}" for shard in range(count)]
    parts = [input_parts([path], (shard, count)) for shard in range(count)]
    items = [(part, folder, shard, crew.tmp_dir) for shard, part in enumerate(parts)]
    totals: list[int] = engine.run(Tasks(_number, items, names, "reading"), progress)
    if not any(totals):
        raise DataError("the training text is empty", path=path)
    types: dict[bytes, int] = {}
    counts = np.zeros(0, np.int64)
    places = []
    for shard in range(count):
        own = Path(folder.file(f"types-{shard}")).read_bytes().split(b"\n")
        place = np.array([types.setdefault(word, len(types)) for word in own], np.int64)
        counts = np.concatenate([counts, np.zeros(len(types) - len(counts), np.int64)])
        counts[place] += cast("NDArray[np.int64]", folder.array(f"counts-{shard}.npy"))
        places.append(place)
    supervised = settings.model == "supervised"
    extra = read_pretrained(settings.pretrained, settings.dim)[0] if settings.pretrained else ()
    corpus, numbers, bound = number_types(
        path, list(types), counts, min_count=settings.min_count, min_count_label=settings.min_count_label,
        label_prefix=settings.label_prefix, extra_words=extra, keep_rare=supervised,
    )  # fmt: skip
    corpus.tokens = sum(totals)
    if not supervised:
        corpus.rare.clear()
        corpus.hashes = corpus.hashes[: len(corpus.words) + len(corpus.labels)]
    put(folder.file("hashes.npy"), corpus.hashes)
    put(folder.file("counts.npy"), corpus.counts)
    put(folder.file("sizes.npy"), np.array(
        [len(corpus.words), len(corpus.labels), len(corpus.rare), corpus.end_of_line, corpus.tokens], np.int64
    ))  # fmt: skip
    for shard, place in enumerate(places):
        put(folder.file(f"numbers-{shard}.npy"), numbers[place])
    steps = [(folder, shard, bound, supervised) for shard in range(count)]
    return corpus, engine.run(Tasks(_renumber, steps, names, "numbering"), progress)


def _number(item: tuple[list[Part], _Folder, int, str | None], progress: Progress) -> int:
    """Number the tokens of a shard by first appearance; return how many it has."""
    parts, folder, shard, _ = item
    table = TypeTable()
    with whole(folder.file(f"raw-{shard}")) as spool:
        for part in parts:
            with open_text(part.path) as stream:
                if part.start:
                    stream.seek(part.start)
                size = None if part.stop is None else part.stop - stream.tell()
                table.read(stream, spool, progress, size)
    types = table.finish()
    with whole(folder.file(f"types-{shard}")) as file:
        file.write(b"\n".join(types))
    put(folder.file(f"counts-{shard}.npy"), table.counts[: len(types)])
    return table.total


def _renumber(item: tuple[_Folder, int, int, bool], progress: Progress) -> int:
    """Give the ids of a shard their numbers in the common vocabulary; return how many are left."""
    folder, shard, bound, lines = item
    numbers = cast("NDArray[np.int32]", folder.array(f"numbers-{shard}.npy"))
    left = 0
    with open(folder.file(f"raw-{shard}"), "rb") as source, whole(folder.file(f"ids-{shard}")) as target:
        size = os.fstat(source.fileno()).st_size
        while len(ids := np.frombuffer(bytearray(source.read(4 * PIECE)), np.int32)):
            stay = int(kernels_dictionary.renumber(ids, numbers, bound))
            target.write(ids[:stay].data)
            left += stay
            progress(Report("numbering", source.tell(), size, "bytes"))
    if lines and left:
        put(folder.file(f"bounds-{shard}.npy"), _corpus(folder, shard).line_bounds())
    return left


def _survey_shards(
    crew: WorkerGroup, settings: Settings, tokens: Sequence[int], progress: Progress
) -> Callable[[NDArray[np.int64], NDArray[np.uint8]], NDArray[np.int64]]:
    """Return the survey of the whole text: that of all shards."""

    def survey(starts: NDArray[np.int64], used: NDArray[np.uint8]) -> NDArray[np.int64]:
        folder = _Folder(crew.engine.folder)
        put(folder.file("starts.npy"), starts)
        shards = [shard for shard, count in enumerate(tokens) if count]
        items = [(folder, shard, settings) for shard in shards]
        names = [f"shard {shard + 1}/{len(tokens)}" for shard in shards]
        most = crew.engine.run(Tasks(_survey, items, names, "surveying"), progress)
        for shard in shards:
            marks = cast("NDArray[np.uint8]", folder.array(f"used-{shard}.npy"))
            used |= np.unpackbits(marks, count=len(used))
        largest: NDArray[np.int64] = np.array(most, np.int64).max(axis=0)
        return largest

    return survey


def _survey(item: tuple[_Folder, int, Settings], progress: Progress) -> list[int]:
    folder, shard, settings = item
    used = np.zeros(max(settings.args().bucket, 1), np.uint8)
    bounds = cast("NDArray[np.int64]", folder.array(f"bounds-{shard}.npy"))
    starts = cast("NDArray[np.int64]", folder.array("starts.npy"))
    most = survey_of(_corpus(folder, shard), settings, bounds)(starts, used)
    put(folder.file(f"used-{shard}.npy"), np.packbits(used))
    return [int(number) for number in most]


def _publish(crew: WorkerGroup, corpus: Corpus, rows: Rows) -> None:
    """Write what all workers read."""
    folder = _Folder(crew.engine.folder)
    longest = np.array([rows.longest_line, rows.most_labels], np.int64)
    for name, array in (
        ("starts", rows.starts), ("subs", rows.subs), ("buckets", rows.buckets),
        ("bucket_rows", rows.bucket_rows), ("longest", longest),
    ):  # fmt: skip
        put(folder.file(f"{name}.npy"), array)


# A worker's rounds


@dataclass
class _ShardCorpus(Corpus):
    """The ids of a shard; its words have no names, there are only so many of them."""

    last: int = -1

    @property
    def end_of_line(self) -> int:
        """The id of `</s>`."""
        return self.last


def _corpus(folder: _Folder, shard: int) -> _ShardCorpus:
    words, labels, rare, end, tokens = cast("NDArray[np.int64]", folder.array("sizes.npy")).tolist()
    ids = np.asarray(np.memmap(folder.file(f"ids-{shard}"), np.int32, "r"))
    return _ShardCorpus(
        ids, [b""] * words, [b""] * labels, cast("NDArray[np.int64]", folder.array("counts.npy")), [b""] * rare,
        cast("NDArray[np.uint32]", folder.array("hashes.npy")), tokens, end,
    )  # fmt: skip


@lru_cache(maxsize=2)
def _trainer(folder: _Folder, shard: int, settings: Settings, sync: int) -> LineTrainer | WordTrainer:
    """Return what trains a shard, without matrices."""
    corpus = _corpus(folder, shard)
    starts, subs, buckets, bucket_rows, longest = (
        cast("NDArray[np.int64]", folder.array(f"{name}.npy"))
        for name in ("starts", "subs", "buckets", "bucket_rows", "longest")
    )
    rows = Rows(
        starts, cast("NDArray[np.int32]", subs), cast("NDArray[np.int32]", buckets),
        cast("NDArray[np.int32]", bucket_rows), *longest.tolist(),
    )  # fmt: skip
    none = np.zeros(0, np.float32)
    trainer: LineTrainer | WordTrainer
    if settings.model == "supervised":
        bounds = cast("NDArray[np.int64]", folder.array(f"bounds-{shard}.npy"))
        trainer = LineTrainer(corpus, settings, rows, bounds, none, none)
    else:
        trainer = WordTrainer(corpus, settings, rows, none, none)
    trainer.chunk_tokens = min(CHUNK_TOKENS, max(len(corpus.ids) // sync, 256))
    return trainer


@dataclass(frozen=True)
class _ShardTrainer:
    """Trains rounds of a shard; everything else is in files of `folder`."""

    settings: Settings
    sync: int
    threads: int | None
    folder: _Folder

    def train(self, shard: int, number: int, weights: Weights, progress: Progress) -> TrainingStats:
        began = time.process_time()
        trainer = self._trainer(shard)
        trainer.matrix, trainer.output = weights["input"].reshape(-1), weights["output"].reshape(-1)
        epoch, place = divmod(number, self.sync)
        chunks = trainer.chunks(epoch)
        first, last = (len(chunks) * edge // self.sync for edge in (place, place + 1))
        loss = predictions = 0.0
        work = map_chunks(
            lambda chunk: trainer.work(epoch, chunk, chunks[chunk]),
            range(first, last),
            thread_count(self.threads),
        )
        for done, (found, examples) in enumerate(work, 1):
            loss, predictions = loss + found, predictions + examples
            progress(Report("training", done, last - first))
        return TrainingStats(loss, predictions, 0, time.process_time() - began)

    def touched(self, shard: int, number: int) -> dict[str, ChangedRows]:
        """Return the input rows of a text's words and of their n-grams."""
        trainer = self._trainer(shard)
        if not isinstance(trainer, WordTrainer):
            return {}
        epoch, place = divmod(number, self.sync)
        chunks = trainer.chunks(epoch)
        first, last = (len(chunks) * edge // self.sync for edge in (place, place + 1))
        words = np.zeros(len(trainer.corpus.words), np.bool_)
        for chunk in chunks[first:last]:
            words[trainer.text(epoch, chunk)] = True
        starts, subs = trainer.rows.starts, trainer.rows.subs
        rows = np.zeros(len(words) + len(trainer.rows.buckets), np.bool_)
        rows[subs[: starts[len(words)]][np.repeat(words, np.diff(starts[: len(words) + 1]))]] = True
        return {"input": np.flatnonzero(rows).astype(np.int32)}

    def _trainer(self, shard: int) -> LineTrainer | WordTrainer:
        seed = (
            self.settings.seed if shard == 0 else chunk_seed(self.settings.seed, ~shard, 0) & ((1 << 63) - 1)
        )
        return _trainer(self.folder, shard, replace(self.settings, seed=seed), self.sync)


def updates(corpus: Corpus, settings: Settings, rows: Rows, workers: int) -> dict[str, NDArray[np.float64]]:
    """Return how often one worker updates each row of both matrices in an epoch, about."""
    words = len(corpus.words)
    counts = corpus.counts[:words] / workers
    args, supervised = settings.args(), settings.model == "supervised"
    if supervised:
        # the gradient of a line is divided by its rows
        lines = max(float(corpus.counts[words:].sum()), 1.0) / workers
        share = lines / max(float(counts.sum()), 1.0)
        occurrences = counts * share
        targets, predictions = corpus.counts[words:] / workers, lines
    else:
        keep = (keep_thresholds(corpus.counts[:words], corpus.tokens, settings.sample) + 1.0) / 2.0**32
        occurrences = counts * keep * (1 + settings.window)
        targets = occurrences if settings.model == "skipgram" else counts * keep
        predictions = float(targets.sum())
    sizes = np.diff(rows.starts)[:words]
    inputs = np.bincount(
        rows.subs[: rows.starts[words]], np.repeat(occurrences, sizes), words + len(rows.buckets)
    )
    if supervised and args.word_ngrams > 1 and len(rows.buckets):
        # of word n-grams there are about as many as words, in each size
        inputs[words:] += occurrences.sum() * (args.word_ngrams - 1) / len(rows.buckets)
    outputs = np.zeros(padded(len(targets)))
    if settings.loss in ("softmax", "ova"):
        outputs[: len(targets)] = predictions
    elif settings.loss == "hs":
        starts, path = tree_paths(np.asarray(np.round(targets * workers), np.int64), "hs")
        outputs[:] = np.bincount(path >> 1, np.repeat(targets, np.diff(starts)), len(outputs))
    else:
        noise = np.maximum(targets, 0.0) ** NOISE_EXPONENT
        outputs[: len(targets)] = targets + settings.negative * predictions * noise / max(noise.sum(), 1e-9)
    return {"input": np.asarray(inputs, np.float64), "output": outputs}
