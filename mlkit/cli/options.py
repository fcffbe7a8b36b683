"""The options that several commands share, each declared once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

RUN = "Running"
AUTO = "auto"
Rate = Any  # of learning: a float, `AUTO`, or None for the trainer's own (Typer knows no unions)


class VectorFormat(StrEnum):
    """The formats of vector files."""

    text = "text"
    binary = "binary"
    glove = "glove"
    safetensors = "safetensors"


class Unknown(StrEnum):
    """What to do with a word that has no vector."""

    error = "error"
    skip = "skip"


class TextErrors(StrEnum):
    """What to do with invalid UTF-8."""

    strict = "strict"
    replace = "replace"  # type: ignore[assignment]
    skip = "skip"


def whole(name: str, help: str, panel: str | None = None, default: Any = True) -> Any:
    """Declare an option for a whole number from 1 on; `default` is what help shows."""
    return typer.Option(name, min=1, metavar="N", help=help, rich_help_panel=panel, show_default=default)


def number(name: str, help: str, panel: str | None = None, default: Any = True) -> Any:
    """Declare an option for a number."""
    return typer.Option(name, metavar="X", help=help, rich_help_panel=panel, show_default=default)


def rate(*names: str, help: str, panel: str | None = None, default: Any = True) -> Any:
    """Declare the option of a learning rate: a number above 0, or the word auto; its annotation is `Rate`."""
    return typer.Option(
        *names, parser=parse_rate, metavar="X|auto", help=f"{help}; 'auto' finds it by a range test.",
        rich_help_panel=panel, show_default=default,
    )  # fmt: skip


def parse_rate(value: Any) -> Rate:
    """Return a rate as a float, or `AUTO`."""
    if value == AUTO:
        return value
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not 0 < found < math.inf:
        raise typer.BadParameter(f"{value!r} is neither a number above 0 nor '{AUTO}'")
    return found


def file(name: str, help: str, panel: str | None = None) -> Any:
    """Declare an option for a file's name."""
    return typer.Option(name, metavar="FILE", help=help, rich_help_panel=panel)


def size(text: str) -> int:
    """Return a number of bytes: ``300M``, ``2G``, ``64k``, ``1000000``; units are powers of 1024."""
    units = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
    cleaned = text.strip().lower().removesuffix("b").removesuffix("i")
    number, unit = (cleaned[:-1], cleaned[-1]) if cleaned[-1:].isalpha() else (cleaned, "")
    try:
        amount = float(number) * units[unit]
    except (KeyError, ValueError):
        raise typer.BadParameter(f"{text!r} is not a size such as 300M or 2G") from None
    if not 0 < amount < 1 << 60:
        raise typer.BadParameter(f"{text!r} is not a positive size")
    return int(amount)


def shard(text: str) -> tuple[int, int]:
    """Return (index from 0, number of shards) of ``2/8``."""
    index, slash, count = text.partition("/")
    if not (slash and index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise typer.BadParameter(f"{text!r} is not a shard such as 2/8")
    return int(index) - 1, int(count)


Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", "-t", min=1, metavar="N", envvar="MLKIT_THREADS", rich_help_panel=RUN,
        help="Threads to use.", show_default="$SLURM_CPUS_PER_TASK, or the usable CPUs",
    ),
]  # fmt: skip
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", envvar="MLKIT_SEED", rich_help_panel=RUN, help="Random seed.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per result.", show_default=False)]
Oov = Annotated[Unknown, typer.Option("--oov", help="What to do with a word that has no vector.")]
Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="Where to write ('-' is stdout).")
]
Errors = Annotated[
    TextErrors, typer.Option("--errors", rich_help_panel=RUN, help="What to do with invalid UTF-8.")
]
# read these two with options.size(...) and options.shard(...)
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory", metavar="SIZE", envvar="MLKIT_MEMORY", rich_help_panel=RUN,
        help="Keep within this much memory, such as 300M or 2G; sorted parts go to --tmp-dir.",
        show_default="no bound",
    ),
]  # fmt: skip
Shard = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", rich_help_panel=RUN, help="Work on part I of N of the input only."
    ),
]
TmpDir = Annotated[
    str | None,
    typer.Option(
        "--tmp-dir", metavar="DIR", envvar=["MLKIT_TMP_DIR", "TMPDIR"], rich_help_panel=RUN,
        help="Folder for temporary files.", show_default="system",
    ),
]  # fmt: skip
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="WHERE", envvar="MLKIT_CLUSTER", rich_help_panel=RUN,
        help="Work on Dask workers: local:N, tcp://HOST:PORT or slurm:FILE.yaml.",
    ),
]  # fmt: skip
Processes = Annotated[
    int | None,
    typer.Option(
        "--processes", min=1, metavar="N", envvar="MLKIT_PROCESSES", rich_help_panel=RUN,
        help="Work in N processes; --memory and --threads are those of one.", show_default="this one",
    ),
]  # fmt: skip
Sync = Annotated[
    int | None,
    typer.Option(
        "--sync", min=1, metavar="N", rich_help_panel=RUN,
        help="How often in an epoch the workers of --cluster or --processes put their weights together.",
        show_default="30",
    ),
]  # fmt: skip
Checkpoint = Annotated[
    str | None,
    typer.Option("--checkpoint", metavar="FILE", rich_help_panel=RUN, help="Save the state of the job here."),
]
CheckpointEvery = Annotated[
    float,
    typer.Option(
        "--checkpoint-every", metavar="SECONDS", min=0, rich_help_panel=RUN, help="How often to save."
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", rich_help_panel=RUN, help="Continue from --checkpoint.", show_default=False),
]


@dataclass(frozen=True)
class CheckpointOptions:
    """Whether and how often a trainer saves its state, and whether it goes on from one."""

    checkpoint: Checkpoint = None
    checkpoint_every: CheckpointEvery = 60.0
    resume: Resume = False

    def check(self) -> None:
        """Raise `UsageError` for --resume without a checkpoint."""
        from mlkit.errors import UsageError

        if self.resume and self.checkpoint is None:
            raise UsageError("--resume needs --checkpoint FILE")


@dataclass(frozen=True)
class WorkerOptions:
    """The workers that share a job."""

    cluster: Cluster = None
    processes: Processes = None
