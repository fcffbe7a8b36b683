"""Search for the options of a classifier: random steps from the best trial so far, as fastText's autotune does.

The text is read once for all trials. Options that the user gave stay as they are.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, replace

import numpy as np

from mlkit.errors import DataError, UsageError
from mlkit.fasttext.dictionary import read_corpus
from mlkit.fasttext.evaluate import evaluate, precision_recall
from mlkit.fasttext.loop import Job, Result
from mlkit.fasttext.model import Model, save
from mlkit.fasttext.predict import Classifier
from mlkit.fasttext.quantize import quantise
from mlkit.fasttext.settings import Settings
from mlkit.fasttext.supervised import train_corpus
from mlkit.formats.fasttext_bin import CENTROIDS
from mlkit.formats.streams import read_bytes
from mlkit.progress import Report


@dataclass(frozen=True)
class Search:
    """What to look for and for how long. `model_size` (bytes) has every trial quantised to fit."""

    validation: str
    metric: str = "f1"
    predictions: int = 1
    duration: float = 300.0
    model_size: int | None = None
    most_trials: int = 0


@dataclass
class Tuned:
    """The best trial; `quantised` is its small model where a size was asked for."""

    result: Result
    settings: Settings
    score: float
    trials: int
    quantised: Model | None = None

    @property
    def described(self) -> str:
        """The options found, as they are written on the command line."""
        s = self.settings
        return (
            f"--epoch {s.epoch} --lr {s.lr:.4g} --dim {s.dim} --word-ngrams {s.word_ngrams} --bucket {s.bucket}"
            f" --minn {s.minn} --maxn {s.maxn}"
        )


@dataclass(frozen=True)
class _Step:
    """How an option moves: standard deviation at the start and at the end, bounds, in octaves or units."""

    wide: float
    narrow: float
    low: float
    high: float
    octaves: bool = True


_STEPS = {
    "epoch": _Step(2.8, 2.5, 1, 100),
    "lr": _Step(1.9, 1.0, 0.01, 5.0),
    "dim": _Step(1.4, 0.3, 1, 1000),
    "word_ngrams": _Step(4.3, 2.4, 1, 5, octaves=False),
    "bucket": _Step(2.0, 1.5, 10_000, 10_000_000),
    "minn": _Step(1.5, 0.7, 0, 3, octaves=False),
}


class _TimeOver(Exception):
    """The search's time is up in the middle of a trial."""


def autotune(
    path: str,
    settings: Settings,
    search: Search,
    fixed: Set[str],
    job: Job,
    say: Callable[[str], None] = lambda text: None,
) -> Tuned:
    """Train trials until the time is up; return the best. The first has the options as given."""
    if search.duration <= 0:
        raise UsageError("--autotune-duration must be positive")
    score = scorer(search)
    corpus = read_corpus(
        path, min_count=settings.min_count, min_count_label=settings.min_count_label,
        label_prefix=settings.label_prefix, directory=job.directory, progress=job.progress,
    )  # fmt: skip
    generator = np.random.Generator(np.random.SFC64([settings.seed, 0xA0703]))
    start = time.monotonic()
    best: Tuned | None = None
    trials = 0

    def progress(report: Report) -> None:
        past = time.monotonic() - start
        if past > search.duration and best is not None:
            raise _TimeOver
        shown = min(past / search.duration, 1.0)
        found = None if best is None else best.score
        job.progress(replace(report, stage=f"trial {trials}", done=shown, total=1.0, valid_loss=found))

    trial = settings
    while True:
        trials += 1
        try:
            result = train_corpus(corpus, trial, replace(job, progress=progress), path=path)
            small = None
            if search.model_size is not None:
                small = fitted(result.model, search.model_size)
            value = score(small or result.model)
            say(f"trial {trials}: {value:.4f} {Tuned(result, trial, value, trials).described}")
            if best is None or value > best.score:
                best = Tuned(result, trial, value, trials, small)
        except _TimeOver:
            pass
        except DataError:
            if best is None:
                raise
        share = (time.monotonic() - start) / search.duration
        if best is not None and (share >= 1 or trials == search.most_trials):
            best.trials = trials
            return best
        trial = _moved(best.settings if best else settings, fixed, generator, min(share, 1.0))


def _moved(settings: Settings, fixed: Set[str], generator: np.random.Generator, share: float) -> Settings:
    """Return the settings a random step away; steps grow smaller after a quarter of the time."""
    changes: dict[str, float] = {}
    for name, step in _STEPS.items():
        if name in fixed:
            continue
        width = step.wide + (step.narrow - step.wide) * max(0.0, (share - 0.25) / 0.75)
        value = float(getattr(settings, name))
        move = float(generator.normal(0.0, width))
        value = max(value, step.low) * 2**move if step.octaves else value + move
        value = min(max(value, step.low), step.high)
        changes[name] = value if name == "lr" else round(value)
    if "minn" in changes:
        minn = (0, 2, 2, 3)[int(changes["minn"])]
        changes["minn"] = minn
        if "maxn" not in fixed:
            changes["maxn"] = minn + 3 if minn else 0
    try:
        return replace(settings, **changes).checked()  # type: ignore[arg-type]
    except UsageError:  # a step that the options given by hand do not allow
        return settings


def scorer(search: Search) -> Callable[[Model], float]:
    """Return the function that rates a model by the metric on the validation lines."""
    name, *rest = search.metric.split(":")
    content = read_bytes(search.validation)
    at_level = name in ("precisionAtRecall", "recallAtPrecision")
    if name != "f1" and not at_level:
        raise UsageError(f"unknown metric {search.metric!r}: f1, precisionAtRecall:X or recallAtPrecision:X")
    level = 0.0
    if at_level:
        try:
            level = float(rest.pop(0))
        except (IndexError, ValueError):
            raise UsageError(f"{name} needs a number, as in {name}:0.9") from None
        if level > 1:  # the original takes per cents
            level /= 100
    wanted = ":".join(rest).encode() if rest else None

    def rate(model: Model) -> float:
        classifier = Classifier(model)
        label = None
        if wanted is not None:
            if wanted not in model.labels:
                raise UsageError(
                    f"the label {wanted.decode()!r} of the metric does not occur in the training text"
                )
            label = model.labels.index(wanted)
        if not at_level:
            scores = evaluate(classifier, [content], search.predictions)
            value = scores.f1 if label is None else scores.of_label(label)[0]
        else:
            precision, recall = precision_recall(classifier, [content], label)
            ours, theirs = (precision, recall) if name == "precisionAtRecall" else (recall, precision)
            value = float(ours[theirs >= level].max(initial=0.0))
        return 0.0 if math.isnan(value) else value

    return rate


def fitted(model: Model, size: int) -> Model:
    """Return the model quantised with the largest cutoff whose file is not greater than `size` bytes."""
    if model.input.shape[0] < CENTROIDS:  # too few rows for codes, and few enough to do without
        return model
    qout = len(model.labels) >= CENTROIDS
    per_row = -(-model.args.dim // 2) + 1 + 12
    cutoff = max(CENTROIDS, min(size // per_row, model.input.shape[0]))
    while True:
        small = quantise(model, cutoff=cutoff, qnorm=True, qout=qout)
        written = file_size(small)
        if written <= size:
            return small
        if cutoff <= CENTROIDS:
            raise DataError(
                f"the model cannot be made smaller than {written} bytes",
                hint="allow a larger --autotune-modelsize",
            )
        cutoff = max(CENTROIDS, min(cutoff - 1, int(cutoff * size / written * 0.98)))


def file_size(model: Model) -> int:
    """Return the size of the model's file."""
    buffer = io.BytesIO()
    save(buffer, model)
    return buffer.tell()
