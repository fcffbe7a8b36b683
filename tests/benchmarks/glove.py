"""GloVe: counting co-occurrences and training, against the published update in C and the GloVe that PyPI installs.

Stanford's programs are on no package index; `glove.c` beside this file is their update rule in 70 lines of C,
compiled here (gcc -O3 -march=native -funroll-loops, what their Makefile asks for) and skipped, visibly, without gcc.
``--full`` compares the quality on the larger corpus with that of an almost random order of records.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.harness import (
    SHARED,
    Table,
    Usage,
    best_of,
    data,
    measure,
    mlkit_command,
    python_command,
    verdict,
)

TITLE = "GloVe: mlkit cooccur and train-glove"
PEERS = ("bicleaner-ai-glove",)
DIM, EPOCHS = 100, 3
FLOOR = (
    "15 M records/s are the floor of the arithmetic, 3.3-4 M that of a random order (anchors/embeddings.md)"
)

PYPI = """
import json, sys, time
import numpy as np
try:
    from glove import Corpus, Glove
except ImportError:
    sys.exit(3)
if sys.argv[1] == "count":
    words = dict((line.split("\\t")[0], n) for n, line in enumerate(open(sys.argv[3])))
    corpus = Corpus(dictionary=words)
    begin = time.process_time()
    corpus.fit((line.split() for line in open(sys.argv[2])), window=15, ignore_missing=True)
    print(json.dumps({"cpu_seconds": time.process_time() - begin, "records": corpus.matrix.nnz}))
else:
    from scipy.sparse import coo_matrix
    kind = np.dtype([("word", "<i4"), ("context", "<i4"), ("weight", "<f8")])
    records = np.fromfile(sys.argv[2], kind)
    size = int(records["word"].max())
    matrix = coo_matrix((records["weight"].copy(), (records["word"] - 1, records["context"] - 1)), (size, size))
    model = Glove(no_components=int(sys.argv[3]), learning_rate=0.05, alpha=0.75, max_count=100)
    begin = time.process_time()
    model.fit(matrix, epochs=1, no_threads=1)
    print(json.dumps({"cpu_seconds": time.process_time() - begin, "records": len(records)}))
"""
ALMOST_RANDOM = """
import sys
from mlkit.embeddings import glove_records
glove_records.LARGEST_GROUP, glove_records.FEWEST_GROUPS = 60_000, 2
from mlkit.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run() -> Iterator[Table]:
    """Yield tables of counting, of the memory bound, of speed and cost of the training, and of quality."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = data("corpus/enwiki.10mb.norm.txt")
        measure(mlkit_command("vocab", corpus, "--min-count", 5, "-o", folder / "vocab.txt", "-q"))
        yield _counting(corpus, folder)
        yield _bound(folder)
        yield from _training(folder)
        if "--full" in sys.argv:
            yield _quality(folder)


def _report(usage: Usage) -> dict[str, Any]:
    return json.loads(usage.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def _counting(corpus: Path, folder: Path) -> Table:
    """Count enwiki.10mb and 100mb; the peer counts the smaller one."""
    small = folder / "small.txt"
    small.write_text("one two\n" * 5)
    vocab = folder / "vocab.txt"
    large = data("corpus/enwiki.100mb.norm.txt")

    def count(text: Path, output: str, *options: object) -> list[str]:
        return mlkit_command("cooccur", text, "-o", folder / output, "-t", 1, "-q", *options)

    start, own, records, whole = best_of(
        2,
        count(small, "small.bin"),
        count(corpus, "own.bin", "--vocab", vocab),
        count(corpus, "records.bin", "--vocab", vocab, "--format", "glove"),
        count(large, "large.bin"),
    )
    rows = []
    for name, usage, output, tokens in (
        ("mlkit cooccur, enwiki.10mb", own, "own.bin", 1_727_725),
        ("mlkit cooccur --format glove, enwiki.10mb", records, "records.bin", 1_727_725),
        ("mlkit cooccur, enwiki.100mb (vocabulary included)", whole, "large.bin", 17_416_587),
    ):
        seconds = usage.cpu - start.cpu
        rate = tokens / seconds
        rows.append([
            name, f"{usage.cpu:.2f}", f"{seconds:.2f}", f"{rate / 1e6:.2f} M", f"{rate / 0.7e6:.1f}x",
            f"{(folder / output).stat().st_size / 1e6:.0f}", f"{usage.rss_mb:.0f}", verdict(rate >= 4 * 0.7e6),
        ])  # fmt: skip
    peer = measure(python_command(PYPI, "count", corpus, vocab), check=False)
    if peer.returncode == 0:
        seconds = _report(peer)["cpu_seconds"]
        rate = 1_727_725 / seconds
        rows.append([
            "glove (PyPI) Corpus.fit, enwiki.10mb", f"{peer.cpu:.2f}", f"{seconds:.2f}", f"{rate / 1e6:.2f} M",
            f"{rate / 0.7e6:.1f}x", "", f"{peer.rss_mb:.0f}", "",
        ])  # fmt: skip
    return Table(
        "Counting co-occurrences, window 15, symmetric, 1 thread",
        [
            "",
            "CPU s",
            "less start-up",
            "tokens/CPU-s",
            "x cooccur.c",
            "file MB",
            "peak MB",
            ">= 4x cooccur.c",
        ],
        rows,
        "cooccur.c was measured on another day on this kind of machine (0.70 M tokens/s, 339 MB of records for "
        "32 MB of text); it cannot be installed here.",
    )


def _bound(folder: Path) -> Table:
    corpus = data("corpus/enwiki.100mb.norm.txt")
    reference = (folder / "large.bin").read_bytes()
    rows = []
    for limit in (130, 150, 200):
        usage = measure(
            mlkit_command(
                "cooccur", corpus, "-o", folder / "bound.bin", "-t", 1, "-q", "--memory", f"{limit}M"
            )
        )
        same = (folder / "bound.bin").read_bytes() == reference
        rows.append([
            f"--memory {limit}M", f"{usage.rss_mb:.0f}", f"{usage.cpu:.1f}", verdict(usage.rss_mb <= limit),
            verdict(same),
        ])  # fmt: skip
    return Table("The memory bound, enwiki.100mb", ["", "peak MB", "CPU s", "kept", "same bytes"], rows)


def _training(folder: Path) -> Iterator[Table]:
    """Train on the same records: the C program, mlkit on both formats, the package of PyPI."""
    records = np.fromfile(folder / "records.bin", "V16")
    np.random.default_rng(1).shuffle(records)
    records.tofile(folder / "shuffled.bin")
    words = len((folder / "vocab.txt").read_text().splitlines())
    common = ("--dim", DIM, "--epochs", EPOCHS, "--json", "-q")

    def train(source: str, threads: int, *options: object) -> list[str]:
        return mlkit_command(
            "train-glove", folder / source, "-o", folder / "vectors.bin", "-t", threads, *common, *options
        )

    ours = measure(train("own.bin", 1))
    again = measure(train("own.bin", 1))
    two = measure(train("own.bin", 2))
    theirs = measure(train("shuffled.bin", 1, "--vocab", folder / "vocab.txt"))
    best = min((_report(ours), _report(again)), key=lambda report: report["cpu_seconds"])
    rates = [
        ("mlkit, own records, 1 thread", best["cpu_seconds"], EPOCHS, ours.rss_mb),
        ("mlkit, own records, 2 threads", _report(two)["cpu_seconds"], EPOCHS, two.rss_mb),
        ("mlkit, GloVe's records, 1 thread", _report(theirs)["cpu_seconds"], EPOCHS, theirs.rss_mb),
    ]
    yardstick, costs = 0.0, []
    if shutil.which("gcc") is None:
        rates.append(("C, the published update: skipped, there is no gcc", 0.0, 0, 0.0))
    else:
        usage, costs = _c_program(folder, words)
        yardstick = EPOCHS * len(records) / usage.cpu
        rates.append(("C, the published update in double precision", usage.cpu, EPOCHS, usage.rss_mb))
    peer = measure(python_command(PYPI, "train", folder / "records.bin", DIM), check=False)
    if peer.returncode == 0:
        rates.append(("glove (PyPI), 1 epoch, 1 thread", _report(peer)["cpu_seconds"], 1, peer.rss_mb))
    rows = []
    for name, seconds, epochs, peak in rates:
        rate = epochs * len(records) / seconds if seconds else 0.0
        times = rate / yardstick if yardstick else 0.0
        reached = verdict(times >= 15) if name.startswith("mlkit") and yardstick else ""
        rows.append([name, f"{seconds:.2f}", f"{rate / 1e6:.2f} M", f"{times:.1f}x", f"{peak:.0f}", reached])
    wall = _report(two)["records"] * EPOCHS / _report(two)["seconds"] / 1e6
    yield Table(
        f"Training, enwiki.10mb, {len(records):,} records, dimension {DIM}, {EPOCHS} epochs",
        ["", "CPU s of training", "records/CPU-s", "x C", "peak MB", ">= 15x"],
        rows,
        f"2 threads: {wall:.1f} M records/s of wall time. {FLOOR}.",
    )
    if costs:
        rows = []
        for epoch, cost in enumerate(costs):
            row: list[object] = [epoch + 1, f"{cost:.6f}"]
            for report in (_report(ours), _report(theirs)):
                loss = report["losses"][epoch]
                row += [
                    f"{loss:.6f}",
                    f"{100 * (loss / cost - 1):+.2f} %",
                    verdict(abs(loss / cost - 1) <= 0.01),
                ]
            rows.append(row)
        yield Table(
            "Mean cost per record after every epoch, on the same records",
            [
                "epoch",
                "C",
                "mlkit, own records",
                "",
                "within 1 %",
                "mlkit, GloVe's records",
                "",
                "within 1 %",
            ],
            rows,
        )


def _c_program(folder: Path, words: int) -> tuple[Usage, list[float]]:
    program = folder / "glove"
    source = Path(__file__).with_name("glove.c")
    subprocess.run(
        ["gcc", "-O3", "-march=native", "-funroll-loops", "-o", program, source, "-lm"], check=True
    )
    usage = measure(
        [program, folder / "shuffled.bin", str(words), str(DIM), str(EPOCHS), "100", folder / "c.vectors"]
    )
    return usage, [float(line) for line in usage.stdout.split()]


def _quality(folder: Path) -> Table:
    """Train 15 epochs on enwiki.100mb, tile by tile and almost at random."""
    questions = SHARED / "data/vectors/questions-words.txt"
    pairs = SHARED / "data/vectors/word-sim/EN-WS-353-ALL.txt"
    rows = []
    for name, seed, command in (
        ("tiles, seed 1", 1, mlkit_command()),
        ("tiles, seed 2", 2, mlkit_command()),
        ("almost random, seed 1", 1, python_command(ALMOST_RANDOM)),
        ("almost random, seed 2", 2, python_command(ALMOST_RANDOM)),
    ):
        output = folder / "quality.bin"
        trained = _report(
            measure([
                *command, "train-glove", folder / "large.bin", "-o", output, "--dim", str(DIM), "--epochs", "15",
                "--seed", str(seed), "-t", "2", "--json", "-q",
            ])
        )  # fmt: skip
        evaluated = measure(
            mlkit_command(
                "vectors", "eval", output, "--analogies", questions, "--similarity", pairs,
                "--restrict-vocab", 30_000, "--json", "-q",
            )
        )  # fmt: skip
        analogies, similarity = _scores(evaluated.stdout)
        rate = 15 * trained["records"] / trained["cpu_seconds"]
        rows.append([
            name, f"{trained['losses'][0]:.6f}", f"{trained['losses'][-1]:.6f}", f"{rate / 1e6:.2f} M",
            analogies, similarity,
        ])  # fmt: skip
    return Table(
        "Quality of the tiled order, enwiki.100mb, 53.6 M records, 15 epochs, 2 threads",
        ["order", "cost, epoch 1", "cost, epoch 15", "records/CPU-s", "analogies %", "WS-353"],
        rows,
        "Almost random: four groups of words, so that a tile holds a sixteenth of all records, shuffled.",
    )


def _scores(output: bytes) -> tuple[str, str]:
    """Return the accuracy over all analogies in percent, and Spearman's correlation in percent."""
    analogies, similarity = map(json.loads, output.splitlines())
    return f"{100 * analogies['total']['accuracy']:.1f}", f"{100 * similarity['spearman']:.1f}"
