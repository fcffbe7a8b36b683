"""Jobs on workers: Dask against a process pool on the same shards, memory, a killed worker, 1 TB on paper."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mlkit.cluster.estimate import Rates, law, simulate
from tests.benchmarks.harness import (
    Best,
    Table,
    best_of,
    data,
    measure,
    mlkit_command,
    python_command,
    verdict,
)
from tests.conftest import command_environment, workers_of

TITLE = "Jobs on workers"
PEERS = ("dask", "distributed")
QUIET: dict[str, str | None] = {"PYTHONWARNINGS": "ignore"}
POOL, DASK = ("--processes", "2"), ("--cluster", "local:2")
ROUNDS = 2


def run() -> Iterator[Table]:
    """Yield the tables."""
    large, small = data("corpus/enwiki.100mb.norm.txt"), data("corpus/enwiki.10mb.norm.txt")
    flights = data("tabular/flights_cls.csv")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield _overhead(large, flights, folder)
        yield _memory(large, folder)
        yield _killed(large, folder)
        yield from _on_paper(large, small, folder)


def _jobs(large: Path, flights: Path, folder: Path) -> dict[str, list[object]]:
    return {
        "vocab, 106 MB": ["vocab", large, "-o", folder / "vocab"],
        "ngram count, order 3, 106 MB": ["ngram", "count", large, "--order", "3", "-o", folder / "counts"],
        "bpe count, 106 MB": ["bpe", "count", large, "-o", folder / "words"],
        "cooccur, 106 MB": ["cooccur", large, "-o", folder / "cooc"],
        "bag train, flights, 50 trees": [
            "bag", "train", flights, "--target", "late", "--rounds", "50", "--features", "sqrt",
            "-o", folder / "forest",
        ],
    }  # fmt: skip


def _long_jobs(large: Path, folder: Path) -> dict[str, list[object]]:
    """Return the short jobs with their text given several times: what is constant weighs less there."""
    return {
        "vocab, the text 12 times": ["vocab", *[large] * 12, "-o", folder / "long"],
        "bpe count, the text 4 times": ["bpe", "count", *[large] * 4, "-o", folder / "long"],
        "cooccur, the text 3 times": ["cooccur", *[large] * 3, "-o", folder / "long"],
    }


def _overhead(large: Path, flights: Path, folder: Path) -> Table:
    tiny = folder / "tiny.txt"
    tiny.write_text("a b\n" * 4)
    start = best_of(
        3, *(mlkit_command("vocab", tiny, "-o", folder / "v", *where) for where in (POOL, DASK)), env=QUIET
    )
    empty = ["", "", "", "<= 10 %", ""]
    rows: list[list[object]] = [
        ["start and end (vocab of 4 lines)", "-", "-", *_seconds(start[0]), *_seconds(start[1]), *empty]
    ]
    short, long = _jobs(large, flights, folder), _long_jobs(large, folder)
    for title, job in {**short, **long}.items():
        alone = ["-", "-"]
        if title in short:
            alone = _seconds(best_of(1, mlkit_command(*job, "--threads", "1"), env=QUIET)[0])
        pool, dask = best_of(ROUNDS, *(mlkit_command(*job, *where) for where in (POOL, DASK)), env=QUIET)
        net = {
            kind: [
                getattr(whole, kind) - getattr(own, kind)
                for whole, own in zip((pool, dask), start, strict=True)
            ]
            for kind in ("cpu", "wall")
        }
        more = {kind: dask_net / pool_net - 1 for kind, (pool_net, dask_net) in net.items()}
        rows.append([
            title, *alone, *_seconds(pool), *_seconds(dask), f"{net['cpu'][1] - net['cpu'][0]:+.2f}",
            f"{100 * more['cpu']:+.0f} %", f"{100 * more['wall']:+.0f} %", "<= 10 %", verdict(more["cpu"] <= 0.1),
        ])  # fmt: skip
    columns = [
        "job", "1 process, 1 thread: CPU s", "wall s", "pool of 2: CPU s", "wall s", "Dask, 2 workers: CPU s",
        "wall s", "Dask over pool, CPU s", "CPU", "wall", "target", "reached",
    ]  # fmt: skip
    note = (
        "Dask over pool: both less their own start and end; the least of the rounds, in turns. The verdict goes by CPU "
        "seconds: walls on a shared machine are weather. Jobs of one or two seconds say little: a tenth of them is as "
        "much as starts differ; the same text several times tells what grows with the work. All results have the same "
        "bytes (tests/cli/test_workers.py)."
    )
    return Table("The same shards in a process pool and on Dask", columns, rows, note)


def _seconds(best: Best) -> list[str]:
    return [f"{best.cpu:.1f}", f"{best.wall:.1f}"]


def _memory(large: Path, folder: Path) -> Table:
    rows = []
    for where in (POOL, DASK):
        usage = measure(
            mlkit_command(
                "ngram", "count", large, "--order", "3", "--memory", "300M", "--threads", "1",
                "-o", folder / "bounded", *where,
            ),
            env=QUIET,
        )  # fmt: skip
        same = (folder / "bounded").read_bytes() == (folder / "counts").read_bytes()
        rows.append([
            " ".join(where), f"{usage.rss_mb:.0f}", "300", verdict(usage.rss_mb <= 300), f"{usage.cpu:.1f}",
            verdict(same),
        ])  # fmt: skip
    columns = [
        "ngram count --order 3 --memory 300M",
        "largest process, MB",
        "target",
        "kept",
        "CPU s",
        "same bytes",
    ]
    return Table("A bound of memory per worker, enwiki.100mb", columns, rows)


def _killed(large: Path, folder: Path) -> Table:
    rows = []
    for where in (POOL, DASK):
        started = time.perf_counter()
        client = subprocess.Popen(
            mlkit_command("ngram", "count", large, "--order", "3", "-q", "-o", folder / "survivor", *where),
            env=command_environment({**QUIET, "TMPDIR": str(folder)}), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while client.poll() is None and not list(folder.glob(".mlkit-*/part-0-*")):
            time.sleep(0.05)
        worker = workers_of(client.pid)[-1]
        os.kill(worker, signal.SIGKILL)
        code = client.wait()
        same = (folder / "survivor").read_bytes() == (folder / "counts").read_bytes()
        rows.append([
            " ".join(where), f"{time.perf_counter() - started:.1f}", str(code), verdict(same),
        ])  # fmt: skip
    columns = ["one of two workers killed (-9) after the first part", "wall s", "exit code", "same bytes"]
    return Table("A lost worker, ngram count of enwiki.100mb", columns, rows)


# merge the count files of argv[2:] in four ranges: print the bytes of the result and the CPU seconds of joining them
JOIN = """
import sys, time
from pathlib import Path
from mlkit import jit
from mlkit.ngram.shards import NgramShards
jit.use_command_cache()
folder, *parts = sys.argv[1:]
job, plan, joined = NgramShards(()), f"{folder}/plan", f"{folder}/joined.bin"
job.plan_merge(parts, 4, plan)
pieces = [f"{folder}/piece{index}" for index in range(4)]
for index, piece in enumerate(pieces):
    job.merge_range(plan, index, piece, lambda report: None)
start = time.process_time()
job.join_ranges(plan, pieces, joined)
print(Path(joined).stat().st_size, time.process_time() - start)
"""

PAPER = {
    "vocab": (["vocab"], ["vocab", "merge"], ".txt"),
    "ngram count, order 3": (
        ["ngram", "count", "--order", "3", "--memory", "1G"], ["ngram", "merge", "--memory", "1G"], ".bin",
    ),
    "bpe count": (["bpe", "count"], ["bpe", "merge"], ".tsv"),
}  # fmt: skip


def _on_paper(large: Path, small: Path, folder: Path) -> Iterator[Table]:
    rates = {}
    rows: list[list[object]] = []
    for title, (count, merge, suffix) in PAPER.items():
        part, little = folder / f"large{suffix}", folder / f"small{suffix}"
        shards = [folder / f"shard{index}{suffix}" for index in range(4)]
        whole = measure(mlkit_command(*count, large, "--threads", "1", "-o", part))
        measure(mlkit_command(*count, small, "--threads", "1", "-o", little))
        for index, shard in enumerate(shards):
            measure(mlkit_command(*count, large, "--threads", "1", "--shard", f"{index + 1}/4", "-o", shard))
        merged = measure(mlkit_command(*merge, *shards, "-o", folder / f"merged{suffix}"))
        factor, exponent = law(
            *((path.stat().st_size, made.stat().st_size) for path, made in ((small, little), (large, part)))
        )
        read = sum(shard.stat().st_size for shard in shards)
        join = None
        if title.startswith("ngram"):
            size, seconds = measure(python_command(JOIN, folder, *shards)).stdout.split()
            join = float(size) / float(seconds)
        rates[title] = Rates(large.stat().st_size / whole.cpu, read / merged.cpu, factor, exponent, join=join)
        rows.append([
            title, f"{rates[title].count / 1e6:.0f}", f"{rates[title].merge / 1e6:.0f}",
            "-" if join is None else f"{join / 1e6:.0f}",
            f"{part.stat().st_size / large.stat().st_size:.2f}", f"{exponent:.2f}",
        ])  # fmt: skip
    columns = ["job", "counting, MB of text per CPU s", "merging 4 parts, MB of parts per CPU s",
               "joining ranges, MB per CPU s", "part / text at 106 MB", "parts grow as text to the power"]  # fmt: skip
    yield Table("Measured rates of shards and merges", columns, rows)
    rows = []
    for title, rate in rates.items():
        for workers in (16, 64, 256):
            steps = simulate(1e12, workers, rate)
            rows.append([
                title, workers, steps[0].tasks, _hours(steps[0].seconds), _hours(sum(s.seconds for s in steps[1:-1])),
                _hours(steps[-1].seconds), _hours(sum(step.seconds for step in steps)),
                f"{sum(step.traffic for step in steps) / 1e12:.1f}", f"{max(s.parts for s in steps) / 1e12:.2f}",
                f"{steps[-1].parts / 1e9:.0f}",
            ])  # fmt: skip
    columns = ["job", "workers", "shards", "counting", "merges on workers", "last step, in the client", "in all",
               "traffic, TB", "most parts on disk, TB", "result, GB"]  # fmt: skip
    note = (
        "mlkit/cluster/estimate.py: shards of 256 MB, merges of eight parts, each level waits for the one before; of "
        "n-grams, levels with fewer merges than workers and the last one in ranges, which are then joined; "
        "1 GB/s for a node, 10 GB/s for the file system; parts extrapolated by their power law, which was not checked "
        "at this size."
    )
    yield Table("1 TB of text on paper, simulated", columns, rows, note)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
