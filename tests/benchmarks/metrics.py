"""BLEU, TER and chrF against sacreBLEU's command: CPU seconds of whole processes, warm caches, side by side."""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.harness import Table, best_of, data, mlkit_command, ratio, verdict

TITLE = "BLEU, TER and chrF: mlkit and sacreBLEU"
PEERS = ("sacrebleu",)

# both sides with byte code on disk, as installed packages have it; one thread of BLAS for both
ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": None, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "SACREBLEU_FORMAT": None,
}  # fmt: skip
COLUMNS = (
    "case",
    "mlkit CPU s",
    "sacreBLEU CPU s",
    "ratio",
    "to reach",
    "reached",
    "mlkit MB",
    "sacreBLEU MB",
)


def _paths(pair: str, *names: str) -> list[str]:
    return [str(data(f"mt/{pair}/{name}")) for name in names]


def _systems(pair: str) -> list[str]:
    return sorted(map(str, data(f"mt/{pair}/ref.A.de").parent.glob("hyp.*")))


def _large(folder: Path) -> tuple[str, str]:
    """Write 200,000 lines of text as a reference, and a noisy copy of it."""
    rng = random.Random(1)
    with open(data("corpus/enwiki.100mb.norm.txt"), encoding="utf-8") as source:
        lines = []
        for line in source:
            words = line.split()
            lines += [" ".join(words[k : k + 25]) for k in range(0, len(words), 25)]
            if len(lines) >= 200_000:
                break
    reference, hypothesis = folder / "reference", folder / "hypothesis"
    with open(reference, "w", encoding="utf-8") as ref, open(hypothesis, "w", encoding="utf-8") as hyp:
        for line in lines[:200_000]:
            ref.write(line.capitalize() + ".\n")
            words = [
                word if rng.random() < 0.85 else word[::-1] for word in line.split() if rng.random() < 0.95
            ]
            hyp.write(", ".join(" ".join(words).capitalize().split(" and ")) + ".\n")
    return str(reference), str(hypothesis)


def run() -> Iterator[Table]:
    """Yield the table of the cases; ``--quick`` leaves out those that take minutes."""
    quick = "--quick" in sys.argv
    german = _paths("en-de", "ref.A.de")
    one = _paths("en-de", "hyp.Online-W.de")
    chinese, from_chinese = _paths("zh-en", "ref.A.en"), _paths("zh-en", "hyp.Online-G.en")
    nine = _systems("en-de")
    bleu = ["-m", "bleu"]
    cases: list[tuple[str, float, int, Sequence[str], Sequence[str], Sequence[str], Sequence[str]]] = [
        ("bleu, 2,037 lines (en-de)", 0.5, 5, german, one, ["bleu"], ["-m", "bleu"]),
        (f"bleu, {len(nine)} systems", 0.33, 3, german, nine, ["bleu"], ["-m", "bleu"]),
        ("bleu --confidence", 0.5, 5, german, one, ["bleu", "--confidence"], ["-m", "bleu", "-ci"]),
        (f"bleu --paired-bs, {len(nine)} systems", 0.25, 3, german, nine, ["bleu", "--paired-bs"], [*bleu, "-pbs"]),
        (f"bleu --paired-ar, {len(nine)} systems", 0.13, 2, german, nine, ["bleu", "--paired-ar"], [*bleu, "-par"]),
        ("ter, 2,037 short lines (en-de)", 0.12, 3, german, one, ["ter"], ["-m", "ter"]),
        ("chrf, 2,037 lines", 0.5, 5, german, one, ["chrf"], ["-m", "chrf"]),
        (f"chrf, {len(nine)} systems", 0.15, 2, german, nine, ["chrf"], ["-m", "chrf"]),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        if not quick:
            reference, hypothesis = _large(Path(folder))
            cases += [
                ("ter, 1,875 long lines (zh-en)", 0.025, 1, chinese, from_chinese, ["ter"], ["-m", "ter"]),
                ("bleu, 200,000 lines", 0.15, 1, [reference], [hypothesis], ["bleu"], ["-m", "bleu"]),
            ]
        rows = [_row(*case) for case in cases]
    yield Table(
        "Whole processes", COLUMNS, rows, "CPU seconds: the best of several runs in turns. Scores are equal."
    )


def _row(
    name: str, target: float, times: int, references: Sequence[str], systems: Sequence[str],
    own: Sequence[str], peer: Sequence[str],
) -> list[object]:  # fmt: skip
    score = ["-w", "6", "-f", "json"]
    ours = mlkit_command(own[0], *references, "-i", *systems, *own[1:], *score)
    sacrebleu = str(Path(sys.executable).with_name("sacrebleu"))
    theirs = [sacrebleu, *references, "-i", *systems, *peer, *score]
    best_of(1, ours, env=ENVIRONMENT)  # kernels and byte code
    mine, peers = best_of(times, ours, theirs, env=ENVIRONMENT)
    if "--paired-bs" not in own and mine.runs[0].stdout != peers.runs[0].stdout:
        raise RuntimeError(f"{name}: the outputs differ")
    return [
        name, f"{mine.cpu:.3f}", f"{peers.cpu:.3f}", ratio(mine.cpu, peers.cpu), f"<= {target}x",
        verdict(mine.cpu <= target * peers.cpu), f"{mine.rss_mb:.0f}", f"{peers.rss_mb:.0f}",
    ]  # fmt: skip
