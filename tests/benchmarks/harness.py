"""What the benchmark suites share: measuring a process, tables, the data, the results file."""

from __future__ import annotations

import importlib.metadata
import lzma
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import SHARED, command_environment

RESULTS = Path(__file__).with_name("RESULTS.md")
# unpacked texts are kept between runs
UNPACKED = Path(tempfile.gettempdir()) / "shared-text"


# run a command and write its wall seconds, CPU seconds, peak memory in KiB and exit code to a descriptor
STARTER = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
wall = time.perf_counter() - start
code = os.waitstatus_to_exitcode(status)
os.write(int(sys.argv[1]), f"{wall} {usage.ru_utime + usage.ru_stime} {usage.ru_maxrss} {code}".encode())
os._exit(0)
"""


@dataclass(frozen=True)
class Usage:
    """What a process used: wall and CPU (user + system) seconds, peak resident memory in MB."""

    wall: float
    cpu: float
    rss_mb: float
    returncode: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True)
class Table:
    """One table of results; `rows` are shown as they are, `note` stands below."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass
class Best:
    """Keep the run with the least CPU time of several: the machine is shared and noisy."""

    runs: list[Usage] = field(default_factory=list)

    def add(self, usage: Usage) -> None:
        self.runs.append(usage)

    @property
    def cpu(self) -> float:
        return min(run.cpu for run in self.runs)

    @property
    def wall(self) -> float:
        return min(run.wall for run in self.runs)

    @property
    def rss_mb(self) -> float:
        return min(run.rss_mb for run in self.runs)


def measure(
    arguments: Sequence[str | Path],
    *,
    stdin: Path | bytes | None = None,
    env: dict[str, str | None] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> Usage:
    """Run a process and return what it used; CPU and memory are those of this child and its own children."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        if isinstance(stdin, bytes):
            given.write(stdin)
            given.seek(0)
        source = open(stdin, "rb") if isinstance(stdin, Path) else given
        # a new process begins with the peak memory of the one it comes from: a small one starts it, not this one
        report, answer = os.pipe()
        subprocess.run(
            [sys.executable, "-ISc", STARTER, str(answer), *map(str, arguments)], stdin=source, stdout=out, stderr=err,
            env=command_environment(env), cwd=cwd, pass_fds=[answer], check=True,
        )  # fmt: skip
        os.close(answer)
        with open(report) as stream:
            wall, cpu, peak, code = map(float, stream.read().split())
        if source is not given:
            source.close()
        out.seek(0)
        err.seek(0)
        result = Usage(wall, cpu, peak / 1024, int(code), out.read(), err.read())
    if check and result.returncode != 0:
        command = " ".join(map(str, arguments))
        raise RuntimeError(f"{command}: exit {result.returncode}\n{result.stderr.decode(errors='replace')}")
    return result


def best_of(times: int, *commands: Sequence[str | Path], **settings: object) -> list[Best]:
    """Measure several commands in turns, `times` rounds, so that all see the same weather."""
    results = [Best() for _ in commands]
    for _ in range(times):
        for best, command in zip(results, commands, strict=True):
            best.add(measure(command, **settings))  # type: ignore[arg-type]
    return results


def mlkit_command(*arguments: object) -> list[str]:
    """Return the command line of the installed mlkit binary."""
    binary = Path(sys.executable).with_name("mlkit")
    start = [str(binary)] if binary.exists() else [sys.executable, "-m", "mlkit"]
    return [*start, *map(str, arguments)]


def python_command(code: str, *arguments: object) -> list[str]:
    """Return the command line that runs a piece of Python with the same interpreter."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def data(name: str) -> Path:
    """Return a shared data file, unpacked: ``data("corpus/enwiki.10mb.norm.txt")``."""
    packed = SHARED / "data" / f"{name}.xz"
    if not packed.exists():
        plain = SHARED / "data" / name
        if plain.exists():
            return plain
        raise SystemExit(f"{name} is not in ../shared/data: this benchmark needs it")
    UNPACKED.mkdir(parents=True, exist_ok=True)
    target = UNPACKED / Path(name).name
    if not target.exists():
        partial = target.with_suffix(".partial")
        with lzma.open(packed) as source, open(partial, "wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        partial.replace(target)
    return target


def ratio(ours: float, peer: float) -> str:
    """Return ours / peer as ``0.25x``."""
    return f"{ours / peer:.2f}x" if peer else "-"


def verdict(reached: bool) -> str:
    """Return how a target's column says it."""
    return "yes" if reached else "**no**"


def machine() -> str:
    """Describe the machine in one line: CPU, usable cores, memory, Python."""
    model = re.search(r"model name\s*:\s*(.+)", _read("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", _read("/proc/meminfo"))
    gigabytes = f"{int(memory[1]) / 2**20:.0f} GB" if memory else "?"
    name = model[1] if model else platform.processor()
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {gigabytes}, Python {platform.python_version()}"


def versions(names: Iterable[str]) -> str:
    """Return the versions of installed packages, for a table's head."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    lines = [
        f"### {table.title}",
        "",
        "| " + " | ".join(table.columns) + " |",
        "|---" * len(table.columns) + "|",
    ]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in table.rows]
    return "\n".join([*lines, "", *([table.note, ""] if table.note else [])])


def write_results(name: str, title: str, tables: Sequence[Table], command: str, peers: Sequence[str]) -> None:
    """Replace the section of suite `name` in RESULTS.md."""
    about = f"`{command}` on {machine()}; {versions(['mlkit', 'numpy', 'numba', *peers])}."
    body = "\n".join([f"## {title}", "", about, "", *(markdown(table) for table in tables)])
    start, stop = f"<!-- {name} -->", f"<!-- /{name} -->"
    text = RESULTS.read_text() if RESULTS.exists() else "# Results\n\n"
    section = f"{start}\n{body}\n{stop}\n"
    pattern = re.compile(re.escape(start) + r".*?" + re.escape(stop) + r"\n", re.S)
    text = pattern.sub(lambda _: section, text) if pattern.search(text) else f"{text.rstrip()}\n\n{section}"
    RESULTS.write_text(text)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
