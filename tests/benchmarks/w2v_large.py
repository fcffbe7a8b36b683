"""train-w2v against gensim on enwiki.100mb: skip-gram with negative sampling, one seed (six minutes of gensim).

The suite `w2v` with ``--full`` runs every mode and seed on this corpus, which takes gensim an hour.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Table, data, verdict
from tests.benchmarks.w2v import EPOCHS, QUALITY, _sides, _speed_row

TITLE = "Word vectors on the large corpus: mlkit train-w2v"
PEERS = ("gensim",)


def run() -> Iterator[Table]:
    """Yield speed and quality of one seed."""
    with tempfile.TemporaryDirectory() as name:
        corpus = data("corpus/enwiki.100mb.norm.txt")
        peer, ours = _sides(corpus, Path(name), "skipgram", "ns", 1, (1,))
        times, whole = ours.cpu_rate / peer.cpu_rate, peer.cpu / ours.cpu
        rows = [
            _speed_row("skip-gram NS, 1 thread", "words per CPU-s", peer.cpu_rate, ours.cpu_rate, times, 7.0),
            [
                "whole process",
                "CPU-s",
                f"{peer.cpu:.1f}",
                f"{ours.cpu:.1f}",
                f"{whole:.1f}x",
                ">= 5x",
                verdict(whole >= 5),
            ],
            [
                "peak memory",
                "MB",
                f"{peer.rss:.0f}",
                f"{ours.rss:.0f}",
                f"{ours.rss / peer.rss:.2f}x",
                "",
                "",
            ],
        ]
        columns = ["", "unit", "gensim corpus_file", "mlkit", "mlkit / gensim", "to reach", "reached"]
        yield Table(f"Speed, enwiki.100mb.norm.txt, {EPOCHS} epochs", columns, rows)
        figures = [
            ["skip-gram NS", name, f"{theirs:.1f}", f"{mine:.1f}"]
            for name, theirs, mine in zip(QUALITY, peer.quality[0], ours.quality[0], strict=True)
        ]
        note = "One seed each: a difference of a point is noise."
        yield Table("Quality, enwiki.100mb.norm.txt", ["mode", "set", "gensim", "mlkit"], figures, note)
