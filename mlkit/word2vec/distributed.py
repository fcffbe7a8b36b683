"""Word vectors on several workers: shards of the text, common vocabulary and weights. See `averaging`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np

from mlkit.checkpoint import Checkpoints
from mlkit.cluster import Engine, Tasks, counted_parts
from mlkit.cluster.data_parallel import DataParallelTrainer, Floats, TrainingStats, WorkerGroup
from mlkit.cluster.parameter_exchange import Rows, Weights, put
from mlkit.corpus.prepare import EncodedCorpus, Vocabulary, encode_corpus, merge_vocabularies
from mlkit.corpus.shards import VocabularyShards
from mlkit.errors import UsageError
from mlkit.formats.input_shards import input_parts
from mlkit.formats.streams import Errors
from mlkit.progress import Progress, Report, silent
from mlkit.range_test import FindRate, Point, Sweep
from mlkit.signals import StopSignals
from mlkit.threads import thread_count
from mlkit.word2vec.block_order import Reading
from mlkit.word2vec.sampling import sums_of_places
from mlkit.word2vec.texts import RATES, Texts, Trained, check_words, prepared, trained_words, watched
from mlkit.word2vec.train import (
    CHUNK,
    COMMAND,
    HeldOut,
    Settings,
    WordVectors,
    _initial,
    _key,
    _require_finite,
    _Run,
    _State,
    _Tables,
    reading_of,
    sweep,
)


def train_texts_on(
    crew: WorkerGroup,
    texts: Texts,
    settings: Settings,
    *,
    checkpoints: Checkpoints | None = None,
    resume: bool = False,
    find_rate: FindRate | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train word vectors on texts as `train_texts` does, with the text in one shard for each worker.

    The result depends on the number of workers and, with one thread each, on nothing else that changes between runs;
    one worker makes what `train_texts` makes with one thread. Raises what `train_texts` raises, and `UsageError` for
    pipes, which cannot be cut, and for `texts.encoded`.
    """
    if texts.encoded is not None:
        raise UsageError("--encoded is for one machine: workers encode their own shards")
    input_parts(texts.sources, (0, crew.engine.workers))
    checkpoints = checkpoints or Checkpoints(None, 0.0, StopSignals())
    reading = watched(progress, checkpoints)
    vocabulary = _vocabulary(crew, texts, reading)
    check_words(texts, vocabulary, tokens=1)
    tokens = _encode(crew, texts, vocabulary, reading)
    check_words(texts, vocabulary, sum(tokens))
    existing, held_out, identity = prepared(texts, vocabulary, sum(tokens), threads=1)
    start = None if existing is None else existing.start
    if find_rate is not None:
        first = EncodedCorpus.open(_ids(crew.engine, int(np.argmax(np.array(tokens) > 0))))
        tested = settings

        def test(rates: Sequence[float], repeat: int) -> Iterator[Point]:
            own = replace(tested, seed=tested.seed + repeat)
            return sweep(first.ids, vocabulary.counts, own, rates, start=start)

        settings = settings.with_rate(find_rate(Sweep(test, *RATES)))
    began = time.perf_counter()
    places = _places(crew, len(vocabulary), reading) if settings.loss == "hs" else None
    tables = _Tables.build(vocabulary.counts, settings, places=places)
    state = _initial(len(vocabulary), tables, settings, start)
    weights = {
        "inputs": state.inputs.reshape(-1, tables.dim),
        "outputs": state.outputs.reshape(-1, tables.dim),
    }
    put(crew.engine.file("counts.npy"), vocabulary.counts)
    put(crew.engine.file("places.npy"), np.zeros(0) if places is None else places)
    nothing = reading_of(np.zeros(0, np.int32), settings)
    looks = _Looks(_Run(nothing, settings, tables, state, 1, held_out, checkpoints, {}, silent), weights)
    rounds = DataParallelTrainer(
        crew.engine, _ShardTrainer(settings, crew.sync, crew.threads, crew.engine.folder),
        [shard for shard, count in enumerate(tokens) if count], len(tokens), settings.epochs, crew.sync, weights,
        updates(vocabulary, tables, settings, len(tokens)), lambda part: _rate(settings, part), checkpoints,
        COMMAND, {**asdict(settings), **identity}, float(sum(tokens) * settings.epochs), progress,
        looks.after(crew.sync), looks.state, looks.best,
    )  # fmt: skip
    if resume:
        rounds.resume()
    figures = rounds.run()
    vectors, outputs = (matrix[:, : settings.dim] for matrix in (looks.best or weights).values())
    _require_finite(np.isfinite(vectors.sum(axis=1, dtype=np.float64)).all())
    total = sum(figures, TrainingStats())
    record = WordVectors(
        vectors, outputs, [each.mean for each in figures if each.predictions],
        [(epoch, loss) for epoch, loss in looks.state["valid"]], total.words, time.perf_counter() - began,
        total.cpu_seconds, rounds.done < settings.epochs * crew.sync,
    )  # fmt: skip
    return trained_words(record, vocabulary, existing, settings)


def _vocabulary(crew: WorkerGroup, texts: Texts, progress: Progress) -> Vocabulary:
    if texts.vocabulary is not None:
        return Vocabulary.load_known(texts.vocabulary)
    job = VocabularyShards(
        tuple(map(str, texts.sources)), texts.lower, texts.errors, texts.memory, crew.tmp_dir, crew.threads
    )
    with counted_parts(crew.engine, job, texts.sources, progress) as parts:
        return merge_vocabularies(parts, min_count=texts.min_count, max_size=texts.max_vocab)


def _ids(engine: Engine, shard: int) -> str:
    return engine.file(f"shard-{shard}.ids")


def _encode(crew: WorkerGroup, texts: Texts, vocabulary: Vocabulary, progress: Progress) -> list[int]:
    """Write the word ids of every shard to its file; return how many words each has."""
    engine, count = crew.engine, crew.engine.workers
    words = engine.file("words")
    vocabulary.save(words)
    job = _Encoding(
        tuple(map(str, texts.sources)), texts.lower, texts.errors, crew.threads, crew.tmp_dir, words
    )
    items = [(job, (shard, count), _ids(engine, shard)) for shard in range(count)]
    names = [f"shard {shard + 1}/{count}" for shard in range(count)]
    tokens: list[int] = engine.run(Tasks(_encode_shard, items, names, "reading"), progress)
    return tokens


@dataclass(frozen=True)
class _Encoding:
    sources: tuple[str, ...]
    lower: bool
    errors: Errors
    threads: int | None
    tmp_dir: str | None
    vocabulary: str


def _encode_shard(item: tuple[_Encoding, tuple[int, int], str], progress: Progress) -> int:
    job, shard, target = item
    return encode_corpus(
        job.sources, Vocabulary.load(job.vocabulary), target, lower=job.lower, errors=job.errors,
        threads=thread_count(job.threads), tmp_dir=job.tmp_dir, shard=shard, progress=progress,
    ).tokens  # fmt: skip


def _places(crew: WorkerGroup, words: int, progress: Progress) -> Floats:
    """Return the mean place of every word in the text of all shards."""
    count = crew.engine.workers
    sizes = [len(EncodedCorpus.open(_ids(crew.engine, shard)).ids) for shard in range(count)]
    items = [(_ids(crew.engine, shard), words, sum(sizes[:shard])) for shard in range(count)]
    names = [f"shard {shard + 1}/{count}" for shard in range(count)]
    sums, counts = np.zeros(words), np.zeros(words)
    for own_sums, own_counts in crew.engine.run(Tasks(_shard_places, items, names, "reading"), progress):
        sums += own_sums
        counts += own_counts
    return sums / np.maximum(counts, 1)


def _shard_places(item: tuple[str, int, int], progress: Progress) -> tuple[Floats, Floats]:
    path, words, first = item
    return sums_of_places(EncodedCorpus.open(path).ids, words, first)


def updates(vocabulary: Vocabulary, tables: _Tables, settings: Settings, workers: int) -> dict[str, Floats]:
    """Return how often one worker updates each row of both matrices in an epoch, on average."""
    kept = vocabulary.counts * ((tables.keep + 1.0) / 2.0**32) / workers
    inputs = kept * (1 + int(settings.window or 0))
    if settings.loss == "hs":
        starts, path = tables.paths.starts, tables.paths.path
        outputs = np.bincount(path >> 1, np.repeat(kept, np.diff(starts)), tables.output_rows)
    else:
        noise = np.maximum(vocabulary.counts, 1) ** settings.ns_exponent
        outputs = kept + settings.negative * kept.sum() * noise / noise.sum()
    return {"inputs": inputs, "outputs": np.asarray(outputs, np.float64)}


def _rate(settings: Settings, part: float) -> float:
    return settings.rate - (settings.rate - settings.last_rate) * part


@dataclass(frozen=True)
class _ShardTrainer:
    """Trains rounds of a shard; everything else is in files of `folder`."""

    settings: Settings
    sync: int
    threads: int | None
    folder: str

    def train(self, shard: int, number: int, weights: Weights, progress: Progress) -> TrainingStats:
        own = self._own(shard)
        reading, tables = self._reading(shard), _tables(self.folder, self.settings)
        first, last = self._chunks(reading, number)
        state = _State(
            weights["inputs"].reshape(-1), weights["outputs"].reshape(-1), np.zeros((own.epochs, 3)), first
        )
        begin, end = reading.position(first), reading.position(last)

        def report(whole: Report) -> None:
            progress(replace(whole, done=whole.done - begin, total=float(max(end - begin, 1))))

        began = time.process_time()
        run = _Run(
            reading, own, tables, state, thread_count(self.threads), None,
            Checkpoints(None, 0.0, StopSignals()), {}, report,
        )  # fmt: skip
        run._run_chunks(last)
        loss, predictions, _ = state.totals[number // self.sync].tolist()
        return TrainingStats(loss, predictions, reading.words(first, last), time.process_time() - began)

    def touched(self, shard: int, number: int) -> dict[str, Rows]:
        """Return the input rows of the words in the text; which output rows are drawn is not known."""
        reading = self._reading(shard)
        marks = np.zeros(len(_tables(self.folder, self.settings).keep), np.bool_)
        for chunk in range(*self._chunks(reading, number)):
            text = reading.text(chunk)
            marks[text[text >= 0]] = True
        return {"inputs": np.flatnonzero(marks).astype(np.int32)}

    def _own(self, shard: int) -> Settings:
        seed = self.settings.seed if shard == 0 else int(_key(self.settings.seed, ~shard))
        return replace(self.settings, seed=seed)

    def _reading(self, shard: int) -> Reading:
        return _shard_reading(f"{self.folder}/shard-{shard}.ids", self._own(shard), self.sync)

    def _chunks(self, reading: Reading, number: int) -> tuple[int, int]:
        """Return the first chunk of a round, and that after its last."""
        epoch, place = divmod(number, self.sync)
        first, last = (
            epoch * reading.per_epoch + reading.per_epoch * edge // self.sync for edge in (place, place + 1)
        )
        return first, last


@lru_cache(maxsize=1)
def _tables(folder: str, settings: Settings) -> _Tables:
    counts, places = np.load(f"{folder}/counts.npy"), np.load(f"{folder}/places.npy")
    return _Tables.build(counts, settings, places=places if len(places) else None)


@lru_cache(maxsize=8)
def _shard_reading(path: str, settings: Settings, sync: int) -> Reading:
    """Cut a shard as one machine would, or finer where an epoch has more rounds than such chunks."""
    ids = EncodedCorpus.open(path).ids
    return reading_of(ids, settings, min(CHUNK, max(len(ids) // sync, 256)) if sync > 1 else CHUNK)


class _Looks:
    """Looks at held-out text between rounds; with patience, keeps the best weights."""

    def __init__(self, run: _Run, weights: Weights) -> None:
        self._run, self._weights = run, weights
        patient = run.held_out is not None and run.held_out.patience is not None
        self.best = {f"best {name}": matrix.copy() for name, matrix in weights.items()} if patient else {}
        self.state: dict[str, list[list[float]]] = {"valid": []}

    def after(self, sync: int) -> Callable[[int], bool]:
        """Return what is to be done after every round."""
        held_out, epochs = self._run.held_out, self._run.settings.epochs
        if held_out is None:
            return lambda done: True
        number = max(int(epochs / held_out.every + 1e-9), 1)
        places = {
            min(max(round((look + 1) * held_out.every * sync), 1), epochs * sync) for look in range(number)
        }
        return lambda done: self._look(held_out, done / sync) if done in places else True

    def _look(self, held_out: HeldOut, epoch: float) -> bool:
        valid = self.state["valid"]
        valid.append([epoch, self._run.loss_of(held_out.ids)])
        best = min(range(len(valid)), key=lambda look: valid[look][1])
        if best == len(valid) - 1:
            for name, kept in self.best.items():
                kept[:] = self._weights[name.removeprefix("best ")]
        return held_out.patience is None or len(valid) - 1 - best < held_out.patience
