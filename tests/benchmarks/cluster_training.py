"""Synchronous training on several workers: what it costs in quality, and what it gains in speed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev

from tests.benchmarks import fasttext_vectors
from tests.benchmarks.harness import Table, data, measure, mlkit_command, python_command, ratio
from tests.benchmarks.w2v import QUALITY, SEEDS, SETTINGS, _quality
from tests.conftest import SHARED

TITLE = "Training on several workers: --processes and --cluster"
CORPUS = "corpus/enwiki.10mb.norm.txt"
SHARES = ((1, 1), (2, 10), (2, 30), (4, 10), (4, 30), (8, 30))  # workers, rounds of an epoch
SUBWORDS = ((1, 1), (4, 30))  # likewise, for fastText
SETS = (
    ("cooking", "-lr 1 -epoch 10 -wordNgrams 2 -bucket 200000 -dim 50"),
    ("lid_tatoeba", "-lr .5 -epoch 5 -minn 2 -maxn 4 -dim 16"),
    ("dbpedia_14k", "-lr .5 -epoch 5 -wordNgrams 2 -dim 10"),
)


def run() -> Iterator[Table]:
    """Measure with one thread in every worker."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield _vectors(folder)
        for model, epochs in (("skipgram", 2), ("cbow", 2)):
            yield _subwords(folder, model, epochs)
        yield _classifiers(folder)
        yield _speed(folder)


def _vectors(folder: Path) -> Table:
    rows = []
    for workers, sync in SHARES:
        found = []
        for seed in SEEDS:
            share = ("--processes", workers, "--sync", sync) if workers > 1 else ()
            _train(folder / "v.bin", *share, "--threads", 1, "--seed", seed)
            found.append(_quality(folder / "v.bin"))
        rows.append((workers, sync if workers > 1 else "one machine", *_shown(found)))
    return Table(
        "Word vectors, enwiki.10mb.norm, skip-gram NS, 5 epochs", ("workers", "--sync", *QUALITY), rows,
        "Analogies over the 30,000 most frequent words (accuracy), Spearman x 100; mean and standard deviation of "
        f"{len(SEEDS)} seeds.",
    )  # fmt: skip


def _subwords(folder: Path, model: str, epochs: int) -> Table:
    rows = []
    for workers, sync in SUBWORDS:
        found = []
        for seed in SEEDS:
            share = (
                ("--processes", workers, "--sync", sync, "--threads", 1) if workers > 1 else ("-thread", 1)
            )
            options = (
                "-input",
                data(CORPUS),
                "-output",
                folder / "m",
                "-epoch",
                epochs,
                "-seed",
                seed,
                "-dim",
                100,
            )
            measure(mlkit_command("fasttext", model, *options, "--no-vec", "-q", *share))
            scores = measure(
                python_command(fasttext_vectors.QUALITY, folder / "m.bin", SHARED / "data/vectors")
            )
            found.append([float(value) for value in scores.stdout.split()])
        rows.append((workers, sync if workers > 1 else "one machine", *_shown(found)))
    return Table(
        f"fasttext {model}, enwiki.10mb.norm, {epochs} epochs", ("workers", "--sync", *fasttext_vectors.SETS), rows,
        f"Spearman x 100, analogies %; mean and standard deviation of {len(SEEDS)} seeds.",
    )  # fmt: skip


def _shown(runs: Sequence[Sequence[float]]) -> list[str]:
    return [f"{mean(values):.1f} +- {stdev(values):.1f}" for values in zip(*runs, strict=True)]


def _classifiers(folder: Path) -> Table:
    rows = []
    for name, options in SETS:
        precision = []
        for workers, sync in ((1, 1), (2, 10), (4, 10), (4, 30)):
            command = mlkit_command("fasttext", "supervised", "-input", data(f"classify/{name}.train.txt"))
            share = ("--processes", str(workers), "--sync", str(sync), "--threads", "1", "-q", "--no-vec")
            measure([*command, "-output", folder / "m", *options.split(), *share])
            test = mlkit_command("fasttext", "test", folder / "m.bin", data(f"classify/{name}.test.txt"))
            precision.append(measure(test).stdout.decode().split("P@1\t")[1].split()[0])
        rows.append((f"{name}, {options}", *precision))
    columns = ("P@1", "one machine", "2 workers, --sync 10", "4 workers, --sync 10", "4 workers, --sync 30")
    return Table("Classifiers", columns, rows)


def _speed(folder: Path) -> Table:
    rows, alone = [], 0.0
    for title, options in (
        ("1 process, 1 thread", ("--threads", 1)),
        ("1 process, 2 threads (Hogwild)", ("--threads", 2)),
        ("2 processes, --sync 10", ("--processes", 2, "--sync", 10, "--threads", 1)),
        ("2 processes, --sync 30", ("--processes", 2, "--sync", 30, "--threads", 1)),
        ("2 processes, --sync 100", ("--processes", 2, "--sync", 100, "--threads", 1)),
    ):
        record = _train(folder / "v.bin", *options)
        rate = record["words_read"] / record["seconds"]
        alone = alone or rate
        rows.append((title, f"{rate:,.0f}", ratio(rate, alone)))
    return Table(
        "Speed of training, enwiki.10mb.norm, 5 epochs", ("", "words per s", "against 1 process"), rows,
        "By the clock, without reading the text. Rows that changed in a round travel from the workers and back.",
    )  # fmt: skip


def _train(output: Path, *options: object) -> dict[str, float]:
    command = mlkit_command("train-w2v", data(CORPUS), "-o", output, "--json", "-q", *SETTINGS, *options)
    record: dict[str, float] = json.loads(measure(command).stdout)
    return record
