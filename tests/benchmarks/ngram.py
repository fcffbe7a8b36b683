"""N-gram models: mlkit against lmplz (by a yardstick), KenLM's loader and NLTK."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import (
    Table,
    Usage,
    best_of,
    data,
    measure,
    mlkit_command,
    python_command,
    verdict,
)

TITLE = "N-gram language models"
PEERS = ("kenlm", "nltk")

# lmplz and build_binary are not on PyPI: CPU seconds and MB of one session (anchors, same class of machine), and what
# `tr | sort | uniq -c` took there on the same text. Their cost here is taken to scale as that of this job does.
LMPLZ = {3: (19.2, 708), 5: (51.4, 1052)}
LMPLZ_AND_BUILD = {3: 30.3, 5: 91.6}
SORT_THEN = 11.7
SORT = "tr -s ' ' '\\n' < \"$0\" | LC_ALL=C sort -S 2G | uniq -c > /dev/null"

KENLM = """
import sys, kenlm
if len(sys.argv) > 1:
    config = kenlm.Config()
    config.show_progress = False
    kenlm.Model(sys.argv[1], config)
"""
NLTK_FIT = """
import sys
from nltk.lm import Laplace
from nltk.lm.preprocessing import padded_everygram_pipeline
if len(sys.argv) > 1:
    lines = [line.split() for line in open(sys.argv[1], encoding="utf-8")]
    train, words = padded_everygram_pipeline(3, lines)
    model = Laplace(3)
    model.fit(train, words)
    if len(sys.argv) > 2:
        test = [["<s>", "<s>", *line.split(), "</s>"] for line in open(sys.argv[2], encoding="utf-8")]
        grams = [tuple(w[i - 2 : i + 1]) for w in map(model.vocab.lookup, test) for i in range(2, len(w))]
        print(model.perplexity(grams))
"""
OWN_FIT = """
import sys, time
from mlkit.ngram.model import load_model
from mlkit.ngram.query import measure
from mlkit.ngram.smoothing import Smoothing
from mlkit.ngram.train import TrainSettings, train
settings = TrainSettings(smoothing=Smoothing("laplace"))
for _ in range(2):
    start = time.process_time()
    train(sys.argv[3], settings, texts=[sys.argv[1]])
    fit = time.process_time() - start
    start = time.process_time()
    measure(load_model(sys.argv[3]), [sys.argv[2]])
    score = time.process_time() - start
print(fit, score)
"""
SCORE = """
import sys, time
from mlkit.ngram.model import load_model
from mlkit.ngram.query import measure
start = time.perf_counter()
model = load_model(sys.argv[1])
loaded = time.perf_counter() - start
measure(model, [sys.argv[3]])
best = 1e9
for _ in range(5):
    start = time.thread_time() if sys.argv[4] == "1" else time.perf_counter()
    totals = measure(model, [sys.argv[2]], threads=int(sys.argv[4]))
    stop = time.thread_time() if sys.argv[4] == "1" else time.perf_counter()
    best = min(best, stop - start)
print(loaded, totals.tokens / best / 1e6)
"""


def run() -> Iterator[Table]:
    """Yield the tables: training, memory, queries, reading ARPA, NLTK."""
    text = data("corpus/enwiki.100mb.norm.txt")
    ten, test = data("corpus/enwiki.10mb.norm.txt"), data("corpus/enwiki.test.norm.txt")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        small = home / "small.txt"
        small.write_text("".join(itertools.islice(ten.open(encoding="utf-8"), 2000)))
        for name in ("small.arpa", "small.bin"):  # the kernels get compiled
            measure(mlkit_command("ngram", "train", small, "-o", home / name, "-q"))
            measure(mlkit_command("ngram", "perplexity", home / name, test))
        yield from _training(text, home)
        yield _queries(home, ten, test)
        yield _reading(home, test)
        yield _nltk(home, ten, test)


def _training(text: Path, home: Path) -> Iterator[Table]:
    sort = measure(["sh", "-c", SORT, text])
    scale = sort.cpu / SORT_THEN
    rows, memory = [], []
    for order in (3, 5):
        for kind, peers in (("arpa", LMPLZ), ("bin", LMPLZ_AND_BUILD)):
            target = 1.5 if kind == "arpa" else 3.0
            out = home / f"o{order}.{kind}"
            used = measure(
                mlkit_command("ngram", "train", text, "-o", out, "--order", order, "--threads", 2, "-q")
            )
            peer = peers[order]
            peer_cpu = (peer[0] if isinstance(peer, tuple) else peer) * scale
            rows.append([
                f"order {order} to {'ARPA' if kind == 'arpa' else 'a model for queries'}", f"{used.wall:.1f}",
                f"{used.cpu:.1f}", f"{peer_cpu:.1f}", f"{peer_cpu / used.cpu:.2f}x", f"{peer_cpu / used.wall:.2f}x",
                f">= {target}x", verdict(peer_cpu / used.wall >= target),
            ])  # fmt: skip
            if kind == "arpa":
                limit = 1.5 * LMPLZ[order][1]
                memory.append([
                    f"order {order}", f"{used.rss_mb:.0f}", f"<= {limit:.0f}", f"{used.cpu:.1f}",
                    verdict(used.rss_mb <= limit),
                ])  # fmt: skip
                if order == 3:
                    memory.append(_bounded(text, home, used))
    yield Table(
        "Training, modified Kneser-Ney, enwiki.100mb.norm, 2 threads",
        [
            "job",
            "wall s",
            "CPU s",
            "lmplz (+ build_binary) CPU s, scaled",
            "ratio of CPU",
            "lmplz CPU / our wall",
            "target",
            "reached",
        ],
        rows,
        f"lmplz is not installable from PyPI: its CPU seconds are those of the anchors, times {scale:.2f}, by which"
        f" `tr | sort | uniq -c` differs between then and now ({SORT_THEN} and {sort.cpu:.1f} s).",
    )
    yield Table(
        "Memory of training to ARPA", ["job", "RSS MB", "target", "CPU s", "reached"], memory,
        "lmplz -S 200M: 208 MB. The interpreter and LLVM alone take about 200 MB here.",
    )  # fmt: skip


def _bounded(text: Path, home: Path, free: Usage) -> list[object]:
    used = measure(
        mlkit_command("ngram", "train", text, "-o", home / "m.arpa", "--threads", 2, "-q", "--memory", "200M")
    )
    more = used.cpu / free.cpu - 1
    return [
        "order 3, --memory 200M", f"{used.rss_mb:.0f}", "<= 208, CPU +10 %", f"{used.cpu:.1f} ({100 * more:+.0f} %)",
        verdict(used.rss_mb <= 208 and more <= 0.1),
    ]  # fmt: skip


def _queries(home: Path, ten: Path, test: Path) -> Table:
    rows = []
    for order in (3, 5):
        speeds = {}
        for threads in (1, 2):
            done = measure(python_command(SCORE, home / f"o{order}.bin", ten, test, threads))
            loaded, speeds[threads] = map(float, done.stdout.split())
        rows.append([
            f"order {order}", f"{1000 * loaded:.1f}", f"{speeds[1]:.2f}", ">= 2.5 (order 3)", f"{speeds[2]:.2f}",
            f"{speeds[2] / speeds[1]:.2f}x", ">= 1.7x", verdict(speeds[1] >= 2.5),
            verdict(speeds[2] >= 1.7 * speeds[1]),
        ])  # fmt: skip
    return Table(
        "Perplexity of enwiki.10mb.norm (1.89 M tokens) from the binary, after loading",
        [
            "model", "load ms", "M tokens/s, 1 thread (CPU)", "target", "M tokens/s, 2 threads (wall)", "gain",
            "target", "speed", "gain reached",
        ],
        rows,
        "KenLM's query, probing model: 2.5 (order 3) and 1.9 M tokens/s (anchors).",
    )  # fmt: skip


def _reading(home: Path, test: Path) -> Table:
    arpa = home / "o3.arpa"
    size = arpa.stat().st_size / 1e6
    empty = home / "empty.txt"
    empty.write_text("\n")
    ours, start, theirs, their_start = best_of(
        2,
        mlkit_command("ngram", "perplexity", arpa, empty, "--threads", 2),
        mlkit_command("ngram", "perplexity", home / "small.arpa", empty, "--threads", 2),
        python_command(KENLM, arpa),
        python_command(KENLM),
    )
    wall, peer = ours.wall - start.wall, theirs.wall - their_start.wall
    cpu, peer_cpu = ours.cpu - start.cpu, theirs.cpu - their_start.cpu
    return Table(
        f"Reading an ARPA file of {size:.0f} MB into tables",
        ["tool", "wall s", "CPU s", "MB/s (wall)", "ratio of wall", "target", "reached"],
        [
            [
                "mlkit, 2 threads", f"{wall:.1f}", f"{cpu:.1f}", f"{size / wall:.0f}", f"{peer / wall:.2f}x", ">= 2x",
                verdict(peer / wall >= 2),
            ],
            ["KenLM", f"{peer:.1f}", f"{peer_cpu:.1f}", f"{size / peer:.0f}", "1", "", ""],
        ],
        "Start-up is taken off.",
    )  # fmt: skip


def _nltk(home: Path, ten: Path, test: Path) -> Table:
    text, held = home / "nltk.txt", home / "held.txt"
    text.write_text("".join(itertools.islice(ten.open(encoding="utf-8"), 20000)))
    held.write_text("".join(itertools.islice(test.open(encoding="utf-8"), 3000)))
    start = measure(python_command(NLTK_FIT)).cpu
    fit = measure(python_command(NLTK_FIT, text)).cpu
    score = measure(python_command(NLTK_FIT, text, held)).cpu - fit
    done = measure(python_command(OWN_FIT, text, held, home / "laplace.bin"))
    own_fit, own_score = map(float, done.stdout.split())
    rows = [
        [job, f"{peer:.2f}", f"{own:.4f}", f"{peer / own:.0f}x", ">= 50x", verdict(peer / own >= 50)]
        for job, peer, own in (
            ("fit, 20,000 lines", fit - start, own_fit),
            ("score, 3,000 lines", score, own_score),
        )
    ]
    return Table(
        "Laplace of order 3 against NLTK", ["job", "NLTK CPU s", "mlkit CPU s", "ratio", "target", "reached"], rows,
        "Start-up is taken off: NLTK's import, and the loading of mlkit's kernels (the second of two runs is timed).",
    )  # fmt: skip
