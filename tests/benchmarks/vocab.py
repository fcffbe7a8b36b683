"""Counting a vocabulary: mlkit against gensim, and the figures of the C tools."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Table, best_of, data, measure, mlkit_command, python_command, verdict

TITLE = "Vocabulary"

GENSIM = """
import sys
from gensim.models import Word2Vec
if len(sys.argv) > 1:
    Word2Vec(min_count=5, workers=1).build_vocab(corpus_file=sys.argv[1])
"""
TARGET = 150  # MB of text per second of CPU


def run() -> Iterator[Table]:
    """Yield the table of speeds and that of the memory bound."""
    corpus = data("corpus/enwiki.100mb.norm.txt")
    size = corpus.stat().st_size / 1e6
    with tempfile.TemporaryDirectory() as folder:
        out, small = Path(folder) / "vocab.txt", Path(folder) / "small.txt"
        small.write_text("one two\n")

        def vocab(text: Path, *options: object) -> list[str]:
            return mlkit_command("vocab", text, "-o", out, "-q", *options)

        start, count, rare, start_gensim = best_of(
            3,
            vocab(small, "-t", 1),
            vocab(corpus, "-t", 1, "--min-count", 5),
            vocab(corpus, "-t", 1),
            python_command(GENSIM),
        )
        two = best_of(3, vocab(corpus, "-t", 2, "--min-count", 5))[0]
        gensim = measure(python_command(GENSIM, corpus))
        base, slow = start.cpu, gensim.cpu - start_gensim.cpu
        rows = []
        for name, usage, before in (
            ("min-count 5, 1 thread", count, base),
            ("min-count 5, 2 threads", two, base),
            ("min-count 1, 1 thread", rare, base),
        ):
            own = usage.cpu - before
            rows.append([
                f"mlkit vocab, {name}", f"{usage.cpu:.2f}", f"{own:.2f}", f"{size / own:.0f}",
                f"{size / usage.cpu:.0f}", f"{slow / own:.1f}x", f"{usage.rss_mb:.0f}", verdict(size / own >= TARGET),
            ])  # fmt: skip
        rows.append([
            "gensim build_vocab(corpus_file)", f"{gensim.cpu:.2f}", f"{slow:.2f}", f"{size / slow:.0f}",
            f"{size / gensim.cpu:.0f}", "1", f"{gensim.rss_mb:.0f}", "",
        ])  # fmt: skip
        yield Table(
            f"Counting words, enwiki.100mb.norm ({size:.1f} MB)",
            [
                "",
                "CPU s",
                "less start-up",
                "MB/s",
                "MB/s, whole process",
                "x gensim",
                "peak MB",
                f">= {TARGET} MB/s",
            ],
            rows,
            "Start-up is a run on a text of two words (mlkit: import numba and load its compiled kernels), for gensim "
            "its import. Measured elsewhere on this kind of machine: word2vec.c 29, fastText 32, GloVe's "
            "vocab_count 38 MB/s.",
        )
        bounds = []
        for limit in (110, 130, 210):
            usage = measure(vocab(corpus, "-t", 1, "--min-count", 5, "--memory", f"{limit}M"))
            same = out.read_bytes()
            own = usage.cpu - base
            measure(vocab(corpus, "-t", 1, "--min-count", 5))
            bounds.append([
                f"--memory {limit}M", f"{usage.rss_mb:.0f}", f"{own:.2f}", verdict(usage.rss_mb <= limit),
                verdict(same == out.read_bytes()),
            ])  # fmt: skip
        yield Table(
            "The memory bound, min-count 5, 1 thread",
            ["", "peak MB", "CPU s less start-up", "kept", "same bytes"],
            bounds,
        )
