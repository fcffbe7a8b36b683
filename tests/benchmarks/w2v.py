"""train-w2v against gensim: speed, memory and quality of the same work, side by side.

Every mode runs two or three seeds, gensim and mlkit in turns: speed is the best run (CPU seconds, so that a busy
machine counts for both alike), quality their mean. ``--full`` adds the large corpus (an hour of gensim).
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.harness import (
    Table,
    Usage,
    data,
    measure,
    mlkit_command,
    python_command,
    ratio,
    verdict,
)

TITLE = "Word vectors: mlkit train-w2v"
PEERS = ("gensim",)
SEEDS = (1, 2, 3)
EPOCHS = 5
SETTINGS = ("--dim", 100, "--window", 5, "--negative", 5, "--sample", 1e-4, "--epochs", EPOCHS)
QUALITY = ("analogies", "WS-353", "SimLex")

GENSIM = """
import json, sys, time
from gensim.models import Word2Vec
corpus, output, seed, threads, model, loss, epochs = sys.argv[1:]
skipgram, hierarchical, epochs = model == "skipgram", loss == "hs", int(epochs)
w2v = Word2Vec(
    vector_size=100, window=5, negative=0 if hierarchical else 5, hs=hierarchical, sg=skipgram, sample=1e-4,
    min_count=5, epochs=epochs, alpha=0.025 if skipgram else 0.05, seed=int(seed), workers=int(threads),
)
w2v.build_vocab(corpus_file=corpus)
began, cpu = time.perf_counter(), time.process_time()
w2v.train(
    corpus_file=corpus, total_examples=w2v.corpus_count, total_words=w2v.corpus_total_words, epochs=epochs
)
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
words = epochs * int(sum(w2v.wv.get_vecattr(word, "count") for word in w2v.wv.index_to_key))
w2v.wv.save_word2vec_format(output, binary=True)
print(json.dumps({"words_read": words, "seconds": seconds, "cpu_seconds": cpu}))
"""


@dataclass
class Side:
    """The runs of one system in one mode."""

    usages: list[Usage] = field(default_factory=list)
    reports: list[dict[str, float]] = field(default_factory=list)
    quality: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, usage: Usage) -> None:
        self.usages.append(usage)
        self.reports.append(json.loads(usage.stdout))

    @property
    def cpu_rate(self) -> float:
        """Words per CPU second of training."""
        return max(report["words_read"] / report["cpu_seconds"] for report in self.reports)

    @property
    def wall_rate(self) -> float:
        """Words per second of training."""
        return max(report["words_read"] / report["seconds"] for report in self.reports)

    @property
    def cpu(self) -> float:
        return min(usage.cpu for usage in self.usages)

    @property
    def rss(self) -> float:
        return max(usage.rss_mb for usage in self.usages)


def run() -> Iterator[Table]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield _start(folder)
        yield from _corpus("enwiki.10mb.norm.txt", folder)
        if "--full" in sys.argv:
            yield from _corpus("enwiki.100mb.norm.txt", folder)


def _corpus(name: str, folder: Path) -> Iterator[Table]:
    corpus = data(f"corpus/{name}")
    modes = [
        ("skip-gram NS, 1 thread", "skipgram", "ns", SEEDS, 7.0),
        ("CBOW NS, 1 thread", "cbow", "ns", SEEDS, 3.0),
        ("skip-gram HS, 1 thread", "skipgram", "hs", SEEDS, 3.0),
        ("CBOW HS, 1 thread", "cbow", "hs", SEEDS[:2], 0.0),
    ]
    speed, quality = [], []
    for title, model, loss, seeds, target in modes:
        peer, ours = _sides(corpus, folder, model, loss, 1, seeds)
        times = ours.cpu_rate / peer.cpu_rate
        speed.append(_speed_row(title, "words per CPU-s", peer.cpu_rate, ours.cpu_rate, times, target))
        quality += _quality_rows(title, peer, ours)
        if (model, loss) == ("skipgram", "ns"):
            whole = peer.cpu / ours.cpu
            figures = [f"{peer.cpu:.1f}", f"{ours.cpu:.1f}", f"{whole:.1f}x"]
            speed.append(["whole process", "CPU-s", *figures, ">= 5x", verdict(whole >= 5)])
            limit = 130 if "10mb" in name else None
            speed.append(
                ["peak memory, 1 thread", "MB", f"{peer.rss:.0f}", f"{ours.rss:.0f}", ratio(ours.rss, peer.rss),
                 f"<= {limit}" if limit else "", verdict(ours.rss <= limit) if limit else ""]
            )  # fmt: skip
            single = ours
    peer, ours = _sides(corpus, folder, "skipgram", "ns", 2, SEEDS[:2])
    times = ours.wall_rate / peer.wall_rate
    speed.append(
        _speed_row("skip-gram NS, 2 threads", "words per s", peer.wall_rate, ours.wall_rate, times, 6.0)
    )
    gain = ours.wall_rate / single.wall_rate
    figures = ["", f"{ours.wall_rate:,.0f}", f"{gain:.2f}x"]
    speed.append(["2 threads against 1", "words per s", *figures, ">= 1.7x", verdict(gain >= 1.7)])
    note = (
        "Training only (vocabulary, imports and output excluded) unless it says whole process; the best run."
    )
    columns = ["", "unit", "gensim corpus_file", "mlkit", "mlkit / gensim", "to reach", "reached"]
    yield Table(f"Speed, {name}, {EPOCHS} epochs", columns, speed, note)
    note = (
        "Google analogies over the 30,000 most frequent words (accuracy), Spearman of WordSim-353 and SimLex-999, "
        "x 100; mean and standard deviation of the seeds. Reached: not below gensim's mean by more than one deviation."
    )
    columns = ["mode", "set", "gensim", "mlkit", "reached"]
    yield Table(f"Quality, {name}", columns, quality, note)


def _speed_row(title: str, unit: str, peer: float, ours: float, times: float, target: float) -> list[object]:
    wanted = [f">= {target:g}x", verdict(times >= target)] if target else ["", ""]
    return [title, unit, f"{peer:,.0f}", f"{ours:,.0f}", f"{times:.1f}x", *wanted]


def _sides(
    corpus: Path, folder: Path, model: str, loss: str, threads: int, seeds: tuple[int, ...]
) -> tuple[Side, Side]:
    peer, ours = Side(), Side()
    for seed in seeds:
        output = folder / "gensim.bin"
        peer.add(measure(python_command(GENSIM, corpus, output, seed, threads, model, loss, EPOCHS)))
        peer.quality.append(_quality(output))
        output = folder / "mlkit.bin"
        command = mlkit_command("train-w2v", corpus, "-o", output, "--json", "-q", *SETTINGS)
        options = ["--model", model, "--loss", loss, "--seed", str(seed), "--threads", str(threads)]
        ours.add(measure([*command, *options]))
        ours.quality.append(_quality(output))
    return peer, ours


def _quality(vectors: Path) -> tuple[float, ...]:
    """Return the three figures of `QUALITY`, by the same evaluation for both systems."""
    questions = data("vectors/questions-words.txt")
    common = ["vectors", "eval", vectors, "--json", "-q"]
    (record,) = _records(*common, "--analogies", questions, "--restrict-vocab", 30000)
    pairs = [data(f"vectors/word-sim/{name}.txt") for name in ("EN-WS-353-ALL", "EN-SIMLEX-999")]
    similarities = _records(*common, "--similarity", pairs[0], "--similarity", pairs[1])
    values = record["total"]["accuracy"], *(record["spearman"] for record in similarities)
    return tuple(100 * value for value in values)


def _records(*arguments: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in measure(mlkit_command(*arguments)).stdout.splitlines()]


def _quality_rows(title: str, peer: Side, ours: Side) -> Iterator[list[object]]:
    for place, name in enumerate(QUALITY):
        theirs = [row[place] for row in peer.quality]
        mine = [row[place] for row in ours.quality]
        deviation = max(statistics.stdev(theirs), statistics.stdev(mine))
        reached = statistics.mean(mine) >= statistics.mean(theirs) - deviation
        show = lambda values: f"{statistics.mean(values):.1f} +- {statistics.stdev(values):.1f}"  # noqa: E731
        yield [title.partition(",")[0], name, show(theirs), show(mine), verdict(reached)]


def _start(folder: Path) -> Table:
    """The first update comes before the end of a whole run on a few lines."""
    text = folder / "small.txt"
    text.write_text("".join(f"one two three four five six w{number % 50}\n" for number in range(200)))
    command = mlkit_command(
        "train-w2v", text, "-o", folder / "small.bin", "--epochs", 1, "--threads", 1, "-q"
    )
    measure(command)  # the kernels are in the cache now
    runs = [measure(command) for _ in range(7)]
    wall, cpu = min(run.wall for run in runs), min(run.cpu for run in runs)
    row = [
        "whole run on 200 lines",
        f"{wall:.2f}",
        f"{cpu:.2f}",
        "< 0.8 s to the first update",
        verdict(wall < 0.8),
    ]
    return Table("Start with a warm cache", ["", "wall s", "CPU-s", "to reach", "reached"], [row])
