"""Classifiers against the original fastText (Debian's package): training and prediction."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from tests.benchmarks.harness import (
    SHARED,
    Table,
    Usage,
    data,
    measure,
    mlkit_command,
    ratio,
    verdict,
)

TITLE = "fastText: classifiers"
SEEDS = (1, 2, 3)

SETS = [
    ("cooking", 4, "-lr 1 -epoch 10 -wordNgrams 2 -bucket 200000 -dim 50"),
    ("cooking", 4, "-lr .5 -epoch 10 -wordNgrams 2 -bucket 200000 -dim 50 -loss ova"),
    ("lid_tatoeba", 4, "-lr .5 -epoch 5 -minn 2 -maxn 4 -dim 16"),
    ("banking77", 2, "-lr 1 -epoch 25 -wordNgrams 2 -dim 100 -bucket 200000"),
    ("dbpedia_14k", 2, "-lr .5 -epoch 5 -wordNgrams 2 -dim 10"),
]
LONGER = 4  # times the epochs of mlkit's runs that training time is taken from


def run() -> Iterator[Table]:
    """Measure; the original is Debian's `fasttext`."""
    original = shutil.which("fasttext")
    if original is None:
        raise SystemExit("the original is missing: apt-get install fasttext")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield _supervised(original, folder)
        yield _predict(original, folder)


def _train(command: list[str], model: str, text: Path, target: Path, options: str, *more: object) -> Usage:
    return measure([*command, model, "-input", text, "-output", target, *options.split(), *map(str, more)])


def _supervised(original: str, folder: Path) -> Table:
    ours, rows = mlkit_command("fasttext"), []
    for name, target, options in SETS:
        text, test = data(f"classify/{name}.train.txt"), data(f"classify/{name}.test.txt")
        usage: dict[str, list[Usage]] = {"original": [], "mlkit": []}
        precision: dict[str, list[float]] = {"original": [], "mlkit": []}
        fixed: dict[str, list[Usage]] = {"original": [], "mlkit": []}
        longer: list[float] = []
        for who, command, threads in (("original", [original], 2), ("mlkit", ours, 1)):
            # a run of no epochs: start, vocabulary, matrices, files
            none = re.sub(r"-epoch \d+", "-epoch 0", options)
            long = re.sub(r"-epoch (\d+)", lambda found: f"-epoch {LONGER * int(found[1])}", options)
            for seed in SEEDS:
                extra = ("-thread", threads, "-seed", seed, "-verbose", 0)
                fixed[who].append(_train(command, "supervised", text, folder / who, none, *extra))
                if who == "mlkit":
                    longer.append(_train(command, "supervised", text, folder / who, long, *extra).cpu)
                usage[who].append(_train(command, "supervised", text, folder / who, options, *extra))
                tested = measure([original, "test", folder / f"{who}.bin", test]).stdout.decode()
                precision[who].append(float(tested.split("P@1\t")[1].split()[0]))
        whole = {who: mean(run.cpu for run in runs) for who, runs in usage.items()}
        none_cpu = {who: min(run.cpu for run in runs) for who, runs in fixed.items()}
        training = {
            "original": min(run.cpu for run in usage["original"]) - none_cpu["original"],
            "mlkit": (min(longer) - none_cpu["mlkit"]) / LONGER,
        }
        gain = training["original"] / training["mlkit"]
        same = mean(precision["mlkit"]) >= mean(precision["original"]) - 0.005
        rows.append((
            f"{name}, {options}", f"{whole['original']:.2f}", f"{whole['mlkit']:.2f}",
            ratio(whole["original"], whole["mlkit"]), f"{training['original']:.2f}", f"{training['mlkit']:.2f}",
            f"{gain:.1f}x", f"{target}x", verdict(gain >= target),
            f"{mean(precision['original']):.3f}", f"{mean(precision['mlkit']):.3f}", verdict(same),
            f"{max(run.rss_mb for run in usage['original']):.0f} / {max(run.rss_mb for run in usage['mlkit']):.0f}",
        ))  # fmt: skip
    return Table(
        "Classifiers, mean of 3 seeds",
        ("set and options", "fastText CPU s", "mlkit CPU s", "gain whole", "fastText training", "mlkit training",
         "gain", "target", "reached", "P@1 fastText", "P@1 mlkit", "not lower", "memory MB"),
        rows,
        "Training: the least CPU time of three runs less the least of three with no epoch (start, vocabulary, files);"
        " for mlkit a quarter of that of four times the epochs, for it would drown in noise. fastText with 2 threads,"
        " mlkit with 1. mlkit shuffles the lines of each epoch; fastText goes through the file in order.",
    )  # fmt: skip


def _predict(original: str, folder: Path) -> Table:
    ours, rows = mlkit_command("fasttext"), []
    options = "-lr .5 -epoch 5 -minn 2 -maxn 4 -dim 16 -thread 2 -verbose 0"
    text, target = data("classify/lid_tatoeba.train.txt"), folder / "lid"
    _train([original], "supervised", text, target, options)
    lines = folder / "lines.txt"
    lines.write_text(re.sub(r"^\S+ ", "", data("classify/lid_tatoeba.test.txt").read_text(), flags=re.M))
    pretrained = SHARED / "data/formats/fasttext/lid.176.ftz"
    for model in (folder / "lid.bin", pretrained):
        pairs = [
            (measure([original, "predict", model, lines]), measure([*ours, "predict", model, lines]))
            for _ in range(5)
        ]
        cpu = [min(pair[i].cpu for pair in pairs) for i in (0, 1)]
        wall = [min(pair[i].wall for pair in pairs) for i in (0, 1)]
        theirs, mine = (pairs[0][i].stdout.splitlines() for i in (0, 1))
        same = sum(a == b for a, b in zip(theirs, mine, strict=True))
        rows.append((
            model.name, f"{cpu[0]:.2f}", f"{cpu[1]:.2f}", f"{wall[0]:.2f}", f"{wall[1]:.2f}",
            f"{same} of {len(theirs)}", verdict(cpu[1] <= cpu[0] * 1.02),
        ))  # fmt: skip
    return Table(
        "predict on the test lines of lid_tatoeba, loading included (least of 5)",
        (
            "model",
            "fastText CPU s",
            "mlkit CPU s",
            "fastText wall",
            "mlkit wall",
            "same labels",
            "not slower",
        ),
        rows,
    )
