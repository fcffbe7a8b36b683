"""What a count in shards consists of: an array of tasks, a merge that waits for it, and what must come before.

Everything is command lines and files. A shard's part appears whole or not at all, so a part that exists is complete; it
lies in a folder whose name depends on the commands, so parts of other settings are never mixed up with it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlkit.errors import UsageError


@dataclass(frozen=True)
class Shardable:
    """A command that counts its input in shards (`count`), and the one that adds their parts up (`merge`)."""

    count: tuple[str, ...]
    merge: tuple[str, ...]
    suffix: str  # of part files
    rooms: tuple[str, ...]  # whose kernels are used
    example: str

    @property
    def name(self) -> str:
        """Return the command as a user calls it."""
        return " ".join(self.count[:1] if self.count[0] in ("vocab", "cooccur") else self.count)


SHARDABLE = (
    Shardable(
        ("vocab", "count"), ("vocab", "merge"), ".tsv", ("formats",),
        "mlkit batch vocab corpus.txt --min-count 5 --shards 8 -o vocab.txt",
    ),
    Shardable(
        ("bpe", "count"), ("bpe", "merge"), ".tsv", ("bpe", "formats"),
        "mlkit batch bpe count corpus.txt --shards 8 -o counts.tsv",
    ),
    Shardable(
        ("ngram", "count"), ("ngram", "merge"), ".bin", ("formats", "ngram"),
        "mlkit batch ngram count corpus.txt --order 3 --shards 8 -o all.counts",
    ),
    Shardable(
        ("cooccur", "count"), ("cooccur", "merge"), ".bin", ("formats", "glove"),
        "mlkit batch cooccur corpus.txt --window 10 --shards 8 -o cooc.bin --memory 1G",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """A count and its merge: arguments of mlkit without --shard, --output and part files.

    `inputs` are the files that the shards read. A stage with `vocabulary` counts with the result of the stage
    before it as its --vocab.
    """

    kind: Shardable
    count: tuple[str, ...]
    merge: tuple[str, ...]
    inputs: tuple[str, ...]
    threads: tuple[int, int] = (1, 1)  # of a shard, of the merge
    memory: tuple[int | None, int | None] = (None, None)  # bytes, likewise
    vocabulary: bool = False


@dataclass(frozen=True)
class Job:
    """A job of the queue: one command, or an array of them, one for each of `shards` shards.

    `output` is a file; of an array, the stem of its parts (``DIR/``), which end in `suffix`. A merge reads the parts
    with the stem `parts`.
    """

    name: str
    command: tuple[str, ...]
    output: str = ""
    inputs: tuple[str, ...] = ()
    shards: int = 0
    parts: str = ""
    suffix: str = ""
    threads: int = 1
    memory: int | None = None


@dataclass(frozen=True)
class Plan:
    """The jobs in their order, each of which waits for the one before it.

    `folder` holds the scripts and logs, `work` the parts; `home` is the way from `folder` back to the folder that
    all names are relative to.
    """

    jobs: tuple[Job, ...]
    target: str
    shards: int
    folder: str
    work: str
    home: str


def make_plan(
    stages: Sequence[Stage], target: str, *, shards: int, folder: str | None = None, warm: bool = True
) -> Plan:
    """Plan the jobs that make `target` of the stages, each cut into `shards` shards.

    folder: for scripts, logs and parts, `target`.batch by default. warm: begin with a job that compiles the kernels,
    so that not every task of the array does. Raises `UsageError` where a batch is impossible.
    """
    if shards < 1:
        raise UsageError(f"--shards must be at least 1, not {shards}")
    if target == "-":
        raise UsageError("a batch job has no stdout: name a file with --output")
    if any(ord(letter) < 32 for letter in target + (folder or "")):
        raise UsageError(
            "a control character in the name of the output cannot be written into a batch script"
        )
    for stage in stages:
        if not stage.inputs or "-" in stage.inputs:
            raise UsageError("a pipe cannot be cut into shards: name the files")
    place = folder or f"{target}.batch"
    work = f"{place}/parts-{_digest(stages, shards)}"
    jobs = []
    if warm:
        rooms = sorted({room for stage in stages for room in stage.kind.rooms})
        jobs.append(Job("warm", ("warm", *rooms)))
    vocabulary = ""
    for stage in stages:
        last = stage is stages[-1]
        name = "count" if last else stage.kind.count[0]
        result = target if last else f"{work}/{name}{stage.kind.suffix}"
        known = ("--vocab", vocabulary) if stage.vocabulary else ()
        jobs.append(
            Job(
                name, (*stage.kind.count, *stage.count, *known), output=f"{work}/{name}/",
                inputs=(*stage.inputs, *known[1:]), shards=shards, suffix=stage.kind.suffix,
                threads=stage.threads[0], memory=stage.memory[0],
            )
        )  # fmt: skip
        jobs.append(
            Job(
                "merge" if last else f"{name}-merge", (*stage.kind.merge, *stage.merge), output=result,
                parts=f"{work}/{name}/", suffix=stage.kind.suffix,
                threads=stage.threads[1], memory=stage.memory[1],
            )
        )  # fmt: skip
        vocabulary = result
    home = os.path.relpath(Path.cwd(), Path(place).resolve())
    return Plan(tuple(jobs), target, shards, place, work, home)


def _digest(stages: Sequence[Stage], shards: int) -> str:
    """Return a name for everything that the parts depend on, but for the content of the input."""
    words = [str(shards)]
    for stage in stages:
        words += (*stage.kind.count, *stage.count, "")
    for stage in stages[:-1]:
        words += stage.merge
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:8]
