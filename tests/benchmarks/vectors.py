"""Vector files and queries against gensim: loading, saving, neighbours, questions-words.txt."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Best, Table, data, measure, mlkit_command, python_command, ratio, verdict

TITLE = "Word vectors: files, queries, evaluation"
PEERS = ("gensim",)
WORDS, DIMENSION = 75_000, 100

# a random direction for each word, plus one for each of 500 groups
MAKE = """
import sys; from pathlib import Path; import numpy as np
from mlkit.formats.vectors import save_vectors
folder, dimension = Path(sys.argv[1]), int(sys.argv[2])
words = [line.split("\\t")[0] for line in (folder / "vocab").read_text().split("\\n") if line]
generator = np.random.default_rng(1)
matrix = generator.standard_normal((len(words), dimension), dtype=np.float32)
matrix += generator.standard_normal((500, dimension), dtype=np.float32)[generator.integers(0, 500, len(words))]
for suffix in ("txt", "bin", "safetensors"):
    save_vectors(folder / f"v.{suffix}", words, matrix)
(folder / "queries").write_text("\\n".join(words))
"""
GENSIM_LOAD = """
import sys, time; from gensim.models import KeyedVectors
start = time.process_time()
KeyedVectors.load_word2vec_format(sys.argv[1], binary=sys.argv[1].endswith("bin"))
print(time.process_time() - start)
"""
# what a long-lived process sees: numba and the kernels are there
MLKIT_LOAD = """
import sys, time; from mlkit.formats.vectors import load_vectors
if sys.argv[1].endswith("txt"): load_vectors(sys.argv[1], limit=1000)
start = time.process_time()
load_vectors(sys.argv[1])
print(time.process_time() - start)
"""
GENSIM_CONVERT = """
import sys; from gensim.models import KeyedVectors
vectors = KeyedVectors.load_word2vec_format(sys.argv[1], binary=True)
vectors.save_word2vec_format(sys.argv[2])
"""
GENSIM_NEAREST = """
import sys; from gensim.models import KeyedVectors
vectors = KeyedVectors.load_word2vec_format(sys.argv[1], binary=True)
for line in sys.stdin:
    for word, score in vectors.most_similar(line.strip(), topn=10): print(line.strip(), word, score, sep="\\t")
"""
GENSIM_EVALUATE = """
import sys; from gensim.models import KeyedVectors
vectors = KeyedVectors.load_word2vec_format(sys.argv[1], binary=True)
score, sections = vectors.evaluate_word_analogies(sys.argv[2])
print(len(sections[-1]["correct"]), len(sections[-1]["incorrect"]))
"""


def run() -> Iterator[Table]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_vectors(folder)
        yield _loading(folder)
        yield _queries(folder)


def _make_vectors(folder: Path) -> None:
    """Write vectors with real words; a child does it, for a big parent would show in the peaks of its children."""
    corpus = data("corpus/enwiki.100mb.norm.txt")
    measure(mlkit_command("vocab", corpus, "--max-size", WORDS, "-o", folder / "vocab"))
    measure(python_command(MAKE, folder, DIMENSION))
    words = (folder / "queries").read_text().split()
    (folder / "queries").write_text("\n".join(words[100:1100]) + "\n")


def _loading(folder: Path) -> Table:
    megabytes = (folder / "v.txt").stat().st_size / 1e6
    code = {"gensim": GENSIM_LOAD, "mlkit": MLKIT_LOAD}
    rows: list[tuple[object, ...]] = []
    for suffix, what in (
        ("txt", f"text, {megabytes:.0f} MB"),
        ("bin", "binary"),
        ("safetensors", "safetensors"),
    ):
        used = {name: Best() for name in code if suffix != "safetensors" or name == "mlkit"}
        for _ in range(3):
            for name, best in used.items():
                best.add(measure(python_command(code[name], folder / f"v.{suffix}")))
        inside = {name: min(float(run.stdout) for run in best.runs) for name, best in used.items()}
        for name, best in used.items():
            speed = ratio(inside["gensim"], inside[name]) if "gensim" in inside else "-"
            figures = (f"{inside[name]:.2f}", speed, f"{best.cpu:.2f}", f"{best.rss_mb:.0f}")
            rows.append((f"{name}, load {what}", *figures))
    theirs = measure(python_command(GENSIM_CONVERT, folder / "v.bin", folder / "theirs.txt"))
    ours = measure(mlkit_command("vectors", "convert", folder / "v.bin", folder / "ours.txt"))
    same = (folder / "theirs.txt").read_bytes() == (folder / "ours.txt").read_bytes()
    for name, run in (("gensim, binary to text", theirs), ("mlkit vectors convert", ours)):
        rows.append((name, "-", f"{theirs.cpu / run.cpu:.2f}x", f"{run.cpu:.2f}", f"{run.rss_mb:.0f}"))
    note = (
        "Loading is measured inside the process, without imports; conversions are compared as whole processes. "
        f"The two texts written are {'the same, byte for byte' if same else 'DIFFERENT'}."
    )
    return Table(
        f"Loading and writing {WORDS:,} x {DIMENSION} vectors",
        ("", "load, CPU s", "x gensim", "whole process, CPU s", "peak MB"), rows, note,
    )  # fmt: skip


def _queries(folder: Path) -> Table:
    questions = data("vectors/questions-words.txt")
    ours = measure(mlkit_command("vectors", "eval", folder / "v.bin", "--analogies", questions, "--json"))
    theirs = measure(python_command(GENSIM_EVALUATE, folder / "v.bin", questions))
    total = json.loads(ours.stdout)["total"]
    correct, wrong = map(int, theirs.stdout.split())
    equal = (total["correct"], total["answered"]) == (correct, correct + wrong)
    near = measure(mlkit_command("vectors", "nn", folder / "v.bin"), stdin=folder / "queries")
    peer = measure(python_command(GENSIM_NEAREST, folder / "v.bin"), stdin=folder / "queries")
    rows = []
    for what, mine, other, target in (
        (f"questions-words.txt, {total['answered']:,} questions answered", ours, theirs, "seconds"),
        ("10 nearest words of 1,000 words", near, peer, ""),
    ):
        rows.append(
            (
                f"gensim, {what}",
                f"{other.cpu:.1f}",
                f"{other.wall:.1f}",
                "1.00x",
                f"{other.rss_mb:.0f}",
                "",
                "",
            )
        )
        reached = verdict(mine.wall < 10) if target else ""
        rows.append(
            (
                f"mlkit, {what}",
                f"{mine.cpu:.1f}",
                f"{mine.wall:.1f}",
                ratio(other.cpu, mine.cpu),
                f"{mine.rss_mb:.0f}",
                target,
                reached,
            )
        )
    pairs = _neighbour_pairs(near.stdout, skip=1), _neighbour_pairs(peer.stdout, skip=0)
    agree = sum(a == b for a, b in zip(*pairs, strict=True))
    note = (
        f"Whole processes. The evaluation's figures are {'equal' if equal else 'DIFFERENT'}; {agree:,} of "
        f"{len(pairs[1]):,} neighbours are the same word at the same rank (the others tie to 1e-6)."
    )
    columns = ("", "CPU s", "wall s", "x gensim", "peak MB", "to reach", "reached")
    return Table(f"Queries on {WORDS:,} x {DIMENSION} vectors (binary)", columns, rows, note)


def _neighbour_pairs(output: bytes, skip: int) -> list[list[str]]:
    return [line.split("\t")[:2] for line in output.decode().splitlines()[skip:]]
