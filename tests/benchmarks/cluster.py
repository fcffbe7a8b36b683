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
from tests.benchmarks.harness import Best, Table, best_of, data, measure, mlkit_command, verdict
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


def _overhead(large: Path, flights: Path, folder: Path) -> Table:
    tiny = folder / "tiny.txt"
    tiny.write_text("a b\n" * 4)
    start = [
        best_of(3, mlkit_command("vocab", tiny, "-o", folder / "v", *where), env=QUIET)[0]
        for where in (POOL, DASK)
    ]
    rows: list[list[object]] = [
        [
            "start and end (vocab of 4 lines)",
            "-",
            "-",
            *_seconds(start[0]),
            *_seconds(start[1]),
            "",
            "",
            "<= 10 %",
            "",
        ]
    ]
    for title, job in _jobs(large, flights, folder).items():
        alone, pool, dask = best_of(
            ROUNDS, *(mlkit_command(*job, *where) for where in (("--threads", "1"), POOL, DASK)), env=QUIET
        )
        more = [
            (getattr(dask, kind) - getattr(start[1], kind)) / (getattr(pool, kind) - getattr(start[0], kind))
            - 1
            for kind in ("cpu", "wall")
        ]
        rows.append([
            title, *_seconds(alone), *_seconds(pool), *_seconds(dask), f"{100 * more[0]:+.0f} %",
            f"{100 * more[1]:+.0f} %", "<= 10 %", verdict(more[0] <= 0.1),
        ])  # fmt: skip
    columns = [
        "job", "1 process, 1 thread: CPU s", "wall s", "pool of 2: CPU s", "wall s", "Dask, 2 workers: CPU s",
        "wall s", "Dask over pool, CPU", "wall", "target", "reached",
    ]  # fmt: skip
    note = (
        "Dask over pool: both less their own start and end. The verdict goes by CPU seconds: walls on a shared machine "
        "are weather. All results have the same bytes (tests/cli/test_workers.py)."
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
        rates[title] = Rates(large.stat().st_size / whole.cpu, read / merged.cpu, factor, exponent)
        rows.append([
            title, f"{rates[title].count / 1e6:.0f}", f"{rates[title].merge / 1e6:.0f}",
            f"{part.stat().st_size / large.stat().st_size:.2f}", f"{exponent:.2f}",
        ])  # fmt: skip
    columns = ["job", "counting, MB of text per CPU s", "merging 4 parts, MB of parts per CPU s",
               "part / text at 106 MB", "parts grow as text to the power"]  # fmt: skip
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
    columns = ["job", "workers", "shards", "counting", "merges on workers", "last merge", "in all", "traffic, TB",
               "most parts on disk, TB", "result, GB"]  # fmt: skip
    note = (
        "mlkit/cluster/estimate.py: shards of 256 MB, merges of eight parts, each level waits for the one before; "
        "1 GB/s for a node, 10 GB/s for the file system; parts extrapolated by their power law, which was not checked "
        "at this size."
    )
    yield Table("1 TB of text on paper, simulated", columns, rows, note)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
