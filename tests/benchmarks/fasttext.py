"""fastText against the original (Debian's package) and gensim: training, prediction, quality, sizes."""

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
    python_command,
    ratio,
    verdict,
)

TITLE = "fastText: classifiers and subword vectors"
PEERS = ("gensim",)
SEEDS = (1, 2, 3)

SETS = [
    ("cooking", 4, "-lr 1 -epoch 10 -wordNgrams 2 -bucket 200000 -dim 50"),
    ("cooking", 4, "-lr .5 -epoch 10 -wordNgrams 2 -bucket 200000 -dim 50 -loss ova"),
    ("lid_tatoeba", 4, "-lr .5 -epoch 5 -minn 2 -maxn 4 -dim 16"),
    ("banking77", 2, "-lr 1 -epoch 25 -wordNgrams 2 -dim 100 -bucket 200000"),
    ("dbpedia_14k", 2, "-lr .5 -epoch 5 -wordNgrams 2 -dim 10"),
]
SKIPGRAM = "-minn 3 -maxn 6 -bucket 2000000 -dim 100 -epoch"
EPOCHS = 2
GENSIM = """
import sys, time; from gensim.models import FastText
from gensim.models.fasttext import save_facebook_model
text, target, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = FastText(vector_size=100, window=5, min_count=5, sg=1, negative=5, workers=1, sample=1e-4, alpha=0.05,
                 min_n=3, max_n=6, bucket=2000000)
model.build_vocab(corpus_file=text)
start = time.process_time()
model.train(corpus_file=text, epochs=epochs, total_examples=model.corpus_count, total_words=model.corpus_total_words)
print(time.process_time() - start)
save_facebook_model(model, target)
"""
QUALITY = """
import sys; import numpy as np; from pathlib import Path; from scipy.stats import spearmanr
from mlkit.fasttext.model import load
from mlkit.fasttext.neighbours import Neighbours
model, folder = load(sys.argv[1]), Path(sys.argv[2])
def unit(words):
    vectors = model.word_vectors([word.lower().encode() for word in words])
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
for name in ("RW-STANFORD", "WS-353-ALL", "SIMLEX-999", "MEN-TR-3k"):
    rows = [line.split() for line in (folder / "word-sim" / f"EN-{name}.txt").read_text().splitlines()]
    rows = [row for row in rows if len(row) > 2 and row[2].replace(".", "").isdigit()]
    cosines = (unit([row[0] for row in rows]) * unit([row[1] for row in rows])).sum(axis=1)
    print(100 * spearmanr(cosines, [float(row[2]) for row in rows])[0])
count = min(20000, model.word_count)
index = {word: i for i, word in enumerate(model.words[:count])}
table = Neighbours(model).vectors[:count]
questions = []
for line in (folder / "questions-words.txt").read_text().lower().splitlines():
    found = [index.get(word.encode(), -1) for word in line.split()]
    if line[0] != ":" and min(found) >= 0:
        questions.append(found)
questions = np.array(questions)
right = 0
for part in np.array_split(questions, 10):
    scores = (table[part[:, 1]] - table[part[:, 0]] + table[part[:, 2]]) @ table.T
    for column in range(3):
        scores[np.arange(len(part)), part[:, column]] = -9
    right += np.count_nonzero(scores.argmax(axis=1) == part[:, 3])
print(100 * right / len(questions))
"""


def run() -> Iterator[Table]:
    """Measure; the original is Debian's `fasttext`."""
    original = shutil.which("fasttext")
    if original is None:
        raise SystemExit("the original is missing: apt-get install fasttext")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield _supervised(original, folder)
        yield _predict(original, folder)
        yield from _vectors(original, folder)


def _train(command: list[str], model: str, text: Path, target: Path, options: str, *more: object) -> Usage:
    return measure([*command, model, "-input", text, "-output", target, *options.split(), *map(str, more)])


def _supervised(original: str, folder: Path) -> Table:
    ours, rows = mlkit_command("fasttext"), []
    for name, target, options in SETS:
        text, test = data(f"classify/{name}.train.txt"), data(f"classify/{name}.test.txt")
        usage: dict[str, list[Usage]] = {"original": [], "mlkit": []}
        precision: dict[str, list[float]] = {"original": [], "mlkit": []}
        fixed: dict[str, Usage] = {}
        for who, command, threads in (("original", [original], 2), ("mlkit", ours, 1)):
            # a run of no epochs: start, vocabulary, matrices, files
            none = re.sub(r"-epoch \d+", "-epoch 0", options)
            fixed[who] = _train(
                command, "supervised", text, folder / who, none, "-thread", threads, "-verbose", 0
            )
            for seed in SEEDS:
                extra = ("-thread", threads, "-seed", seed, "-verbose", 0)
                usage[who].append(_train(command, "supervised", text, folder / who, options, *extra))
                tested = measure([original, "test", folder / f"{who}.bin", test]).stdout.decode()
                precision[who].append(float(tested.split("P@1\t")[1].split()[0]))
        whole = {who: mean(run.cpu for run in runs) for who, runs in usage.items()}
        training = {who: max(whole[who] - fixed[who].cpu, 0.01) for who in whole}
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
        "Training: less the CPU time of the same run with no epoch (start, vocabulary, files). fastText with 2"
        " threads, mlkit with 1. mlkit shuffles the lines of each epoch; fastText goes through the file in order.",
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


def _vectors(original: str, folder: Path) -> Iterator[Table]:
    text, ours = data("corpus/enwiki.10mb.norm.txt"), mlkit_command("fasttext")
    words = EPOCHS * 1_727_725
    runs: dict[str, tuple[float, Usage]] = {}
    for who, command, more in (
        ("fastText", [original], ("-thread", 2, "-verbose", 0)), ("mlkit", ours, ("-thread", 1, "-verbose", 0)),
    ):  # fmt: skip
        fixed = _train(command, "skipgram", text, folder / who, f"{SKIPGRAM} 0", *more)
        usage = _train(command, "skipgram", text, folder / who, f"{SKIPGRAM} {EPOCHS}", *more)
        runs[who] = (usage.cpu - fixed.cpu, usage)
    usage = measure(python_command(GENSIM, text, folder / "gensim.bin", EPOCHS))
    runs["gensim"] = (float(usage.stdout.split()[0]), usage)
    rate = {who: words / training for who, (training, _) in runs.items()}
    rows = []
    for who, (training, used) in runs.items():
        target = {"fastText": 6, "gensim": 2.5}.get(who)
        gain = rate["mlkit"] / rate[who]
        rows.append((
            who, f"{training:.1f}", f"{rate[who] / 1000:.0f} k", f"{used.cpu:.1f}", f"{used.rss_mb:.0f}",
            "" if target is None else f"{gain:.1f}x", "" if target is None else f"{target}x",
            "" if target is None else verdict(gain >= target),
        ))  # fmt: skip
    yield Table(
        f"Skip-gram with character n-grams, enwiki.10mb.norm, {EPOCHS} epochs",
        ("system", "training CPU s", "words per CPU s", "whole CPU s", "memory MB", "mlkit's gain", "target",
         "reached"),
        rows,
        "In-vocabulary words; training less the run of no epoch (gensim: its train() alone).",
    )  # fmt: skip
    quality = []
    for who in runs:
        scores = measure(
            python_command(QUALITY, folder / f"{who}.bin", SHARED / "data/vectors")
        ).stdout.split()
        quality.append((who, *(f"{float(score):.1f}" for score in scores)))
    yield Table(
        "Quality of these vectors: Spearman x 100 with n-gram vectors for unknown words, analogies %",
        ("system", "RW", "WS353", "SimLex", "MEN", "analogies"),
        quality,
    )
    measure([*ours, "convert", folder / "mlkit.bin", folder / "mlkit.safetensors"])
    sizes = [
        (name, f"{(folder / file).stat().st_size / 1e6:.0f}")
        for name, file in (("fastText .bin", "fastText.bin"), ("mlkit .bin", "mlkit.bin"),
                           ("mlkit native", "mlkit.safetensors"))
    ]  # fmt: skip
    yield Table("Size of these models", ("file", "MB"), sizes)
