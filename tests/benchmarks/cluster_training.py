"""Synchronous training on several workers: what it costs in quality, and what it gains in speed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Table, data, measure, mlkit_command, ratio
from tests.benchmarks.w2v import QUALITY, SETTINGS, _quality

TITLE = "Training on several workers: --processes and --cluster"
CORPUS = "corpus/enwiki.10mb.norm.txt"
SHARES = ((1, 1), (2, 10), (2, 30), (4, 10), (4, 30), (8, 30))  # workers, rounds of an epoch
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
        yield _classifiers(folder)
        yield _speed(folder)


def _vectors(folder: Path) -> Table:
    rows = []
    for workers, sync in SHARES:
        _train(folder / "v.bin", "--processes", workers, "--sync", sync, "--threads", 1)
        found = _quality(folder / "v.bin")
        rows.append((workers, sync if workers > 1 else "one machine", *(f"{value:.1f}" for value in found)))
    return Table(
        "Word vectors, enwiki.10mb.norm, skip-gram NS, 5 epochs, one seed",
        ("workers", "--sync", *QUALITY), rows,
        "Analogies over the 30,000 most frequent words (accuracy), Spearman x 100.",
    )  # fmt: skip


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
        "By the clock, without reading the text. A round costs the writing and reading of both matrices (18 MB here).",
    )  # fmt: skip


def _train(output: Path, *options: object) -> dict[str, float]:
    command = mlkit_command("train-w2v", data(CORPUS), "-o", output, "--json", "-q", *SETTINGS, *options)
    record: dict[str, float] = json.loads(measure(command).stdout)
    return record
