"""How common weights and the changes of workers travel: mapped files that both sides keep, or files of every round.

The one who started the job leads: it holds the weights, and after every round it puts the changes of all workers
together. A worker keeps a replica of the weights from round to round, and brings it up to date by the rows that
changed. Only rows that changed travel, in both directions, and no page is mapped, zeroed or copied anew in a round.

* `MappedLeader`, for processes of one machine: weights, the round in which each row changed last, and a section for the
  changes of each shard are files that all map. A worker that died is replaced when all others are dead, too, so
  that nobody writes to a section but the one who has its task.
* `FileLeader`, for workers that see no more than a common folder, where a lost worker may go on for a while: every
  file is written once and whole. A worker that has not the weights of one of the last rounds asks for all of them.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlkit.arrays import aligned_zeros
from mlkit.cluster import kernels_combine as kernels

Matrix = NDArray[np.float32]
Weights = dict[str, Matrix]
Rows = NDArray[np.int32]

KEPT = 4  # rounds whose updates a worker finds


@dataclass(frozen=True)
class Plan:
    """What leader and workers agree on. job: no other job has it; shapes: rows and padded dim of every matrix."""

    folder: str
    job: str
    shapes: tuple[tuple[str, int, int], ...]
    shards: int
    mapped: bool

    @classmethod
    def of(cls, folder: str, weights: Weights, shards: int, *, mapped: bool) -> Plan:
        """Make the plan of a new job."""
        shapes = tuple((name, *matrix.shape) for name, matrix in weights.items())
        return cls(folder, f"{os.getpid()}-{time.monotonic_ns()}", shapes, shards, mapped)

    def path(self, name: str) -> str:
        """Return the path of a file of the job."""
        return f"{self.folder}/{self.job}-{name}"

    def lead(self, weights: Weights, number: int) -> Leader:
        """Return what leads, beginning with round `number`."""
        return (MappedLeader if self.mapped else FileLeader)(self, weights, number)

    @contextmanager
    def replica(self) -> Iterator[Replica]:
        """Lend a replica to a task. Tasks of one process that run at the same time have one each."""
        with _lock:
            if self.job not in _free:
                _free.clear()
                _free[self.job] = []
            free = _free[self.job]
            replica = free.pop() if free else None
        if replica is None:
            replica = (MappedReplica if self.mapped else FileReplica)(self)
        yield replica
        with _lock:
            free.append(replica)


_lock = threading.Lock()
_free: dict[str, list[Replica]] = {}


class Changes(NamedTuple):
    """What workers changed: worker w the rows[starts[w] : ends[w]], to what stands at these places of flat `values`."""

    rows: Rows
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    values: Matrix


Counts = Mapping[str, int]  # how many rows of every matrix a worker changed


class Leader(ABC):
    """The leader's side of the exchange.

    stamps: the round in which every row changed last; shared: where else new rows are to be written (flat).
    """

    def __init__(self, plan: Plan, weights: Weights, number: int) -> None:
        self.plan, self.weights = plan, weights
        self.stamps = {name: np.full(rows, number - 1, np.int32) for name, rows, _ in plan.shapes}
        self.shared = {name: matrix.reshape(-1) for name, matrix in weights.items()}

    @abstractmethod
    def offer(self, number: int) -> None:
        """Let workers have the weights of round `number`, after those of the one before it."""

    @abstractmethod
    def offer_all(self, number: int) -> None:
        """Let workers have the weights of round `number` that have no others."""

    @abstractmethod
    def changes(self, number: int, name: str, counts: Sequence[Counts]) -> Changes:
        """Return what the workers made of a matrix in a round."""


class Replica(ABC):
    """A worker's copy of the weights."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.number = plan, -1
        self.weights = {name: aligned_zeros(rows, dim) for name, rows, dim in plan.shapes}
        self._all = {name: np.arange(rows, dtype=np.int32) for name, rows, _ in plan.shapes}
        self._found = {name: np.empty(rows, np.int32) for name, rows, _ in plan.shapes}
        self._own = {name: rows[:0] for name, rows in self._all.items()}

    @property
    @abstractmethod
    def base(self) -> Weights:
        """The common weights, which nobody trains."""

    @abstractmethod
    def update(self, number: int) -> bool:
        """Bring the weights to the beginning of a round; False if the leader must offer all of them."""

    @abstractmethod
    def write(self, number: int, slot: int, name: str, rows: Rows) -> None:
        """Give the leader rows of a matrix."""

    def give(self, number: int, slot: int, touched: Mapping[str, Rows]) -> Counts:
        """Give the leader the rows that training changed; return how many. touched: all that may have (else any)."""
        for name, matrix in self.weights.items():
            candidates, found = touched.get(name, self._all[name]), self._found[name]
            old, new = self.base[name].reshape(-1).view(np.int64), matrix.reshape(-1).view(np.int64)
            count = kernels.find_changed(old, new, matrix.shape[1] // 2, candidates, found)
            self._own[name] = found[:count]
            self.write(number, slot, name, found[:count])
        return {name: len(rows) for name, rows in self._own.items()}

    def _restore(self, name: str, rows: Rows) -> None:
        base, own = self.base[name], self.weights[name]
        kernels.copy_rows(base.reshape(-1), own.reshape(-1), base.shape[1], rows)


# Processes of one machine


class MappedLeader(Leader):
    """Keeps all that is exchanged in files that workers map."""

    def __init__(self, plan: Plan, weights: Weights, number: int) -> None:
        super().__init__(plan, weights, number)
        for name, rows, dim in plan.shapes:
            with open(plan.path(f"{name}-base"), "wb") as file:
                file.write(weights[name].data)
            with open(plan.path(f"{name}-stamps"), "wb") as file:
                file.write(self.stamps[name].data)
            for kind, size in (("rows", 4 * rows), ("values", 4 * rows * dim)):
                with open(plan.path(f"{name}-{kind}"), "wb") as file:
                    file.truncate(plan.shards * size)
            self.stamps[name] = _map(plan.path(f"{name}-stamps"), np.int32, "r+")
            self.shared[name] = _map(plan.path(f"{name}-base"), np.float32, "r+")
        self._sections = {
            name: (
                _map(plan.path(f"{name}-rows"), np.int32, "r"),
                _map(plan.path(f"{name}-values"), np.float32, "r"),
            )
            for name, *_ in plan.shapes
        }

    def offer(self, number: int) -> None:
        """Workers see the weights."""

    def offer_all(self, number: int) -> None:
        """Workers see the weights."""

    def changes(self, number: int, name: str, counts: Sequence[Counts]) -> Changes:
        """Return what stands in the sections."""
        starts = np.arange(len(counts), dtype=np.int64) * len(self.stamps[name])
        rows, values = self._sections[name]
        return Changes(rows, starts, starts + np.array([each[name] for each in counts], np.int64), values)


class MappedReplica(Replica):
    """Maps the leader's files."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._base = {
            name: _map(plan.path(f"{name}-base"), np.float32, "r").reshape(rows, dim)
            for name, rows, dim in plan.shapes
        }
        self._stamps = {name: _map(plan.path(f"{name}-stamps"), np.int32, "r") for name, *_ in plan.shapes}
        self._files = {
            (name, kind): os.open(plan.path(f"{name}-{kind}"), os.O_RDWR)
            for name, *_ in plan.shapes
            for kind in ("rows", "values")
        }
        self._sections = {
            name: (
                _map(plan.path(f"{name}-rows"), np.int32, "r+").reshape(plan.shards, rows),
                _map(plan.path(f"{name}-values"), np.float32, "r+").reshape(plan.shards, rows, dim),
            )
            for name, rows, dim in plan.shapes
        }
        self._room: dict[tuple[str, int], int] = {}  # rows of a section that have their place on the disk

    def __del__(self) -> None:
        for file in getattr(self, "_files", {}).values():
            os.close(file)

    @property
    def base(self) -> Weights:
        """The leader's weights."""
        return self._base

    def update(self, number: int) -> bool:
        """Copy the rows that changed since the last time, and those that were trained here."""
        for name, stamps in self._stamps.items():
            if self.number < 0:
                self.weights[name][:] = self._base[name]
            else:
                self._restore(name, np.flatnonzero(stamps >= self.number).astype(np.int32))
                self._restore(name, self._own[name])
        self.number = number
        return True

    def write(self, number: int, slot: int, name: str, rows: Rows) -> None:
        """Write to the section of a shard. A full disk is an error here, not a fault of the memory."""
        all_rows, values = self._sections[name]
        count, (_, most, dim) = len(rows), values.shape
        if count > self._room.get((name, slot), 0):
            os.posix_fallocate(self._files[name, "rows"], 4 * slot * most, 4 * count)
            os.posix_fallocate(self._files[name, "values"], 4 * slot * most * dim, 4 * count * dim)
            self._room[name, slot] = count
        all_rows[slot, :count] = rows
        np.take(self.weights[name], rows, axis=0, out=values[slot, :count], mode="clip")


def _map(path: str, kind: Any, mode: Any) -> NDArray[Any]:
    return np.asarray(np.memmap(path, kind, mode))


# A common folder


class FileLeader(Leader):
    """Writes the rows that changed in a round to a file, and all weights when they are asked for."""

    def __init__(self, plan: Plan, weights: Weights, number: int) -> None:
        super().__init__(plan, weights, number)
        self._first = number
        self._values = {name: aligned_zeros(0, dim) for name, _, dim in plan.shapes}

    def offer(self, number: int) -> None:
        """Write the rows that changed in the round before."""
        if number == self._first:
            self.offer_all(number)
            return
        for name, matrix in self.weights.items():
            rows = np.flatnonzero(self.stamps[name] == number - 1).astype(np.int32)
            _put_rows(self.plan, f"{name}-{number}", rows, matrix[rows])
            old = f"{name}-{number - KEPT}"
            _drop(self.plan, f"{old}-rows", f"{old}-values", f"{name}-all-{number - 1}")

    def offer_all(self, number: int) -> None:
        """Write the weights."""
        for name, matrix in self.weights.items():
            put(self.plan.path(f"{name}-all-{number}"), matrix)

    def changes(self, number: int, name: str, counts: Sequence[Counts]) -> Changes:
        """Read what the workers wrote."""
        sizes = np.array([each[name] for each in counts], np.int64)
        ends = np.cumsum(sizes)
        starts = ends - sizes
        if len(self._values[name]) < ends[-1]:
            self._values[name] = aligned_zeros(int(ends[-1]), self.weights[name].shape[1])
        rows, values = np.empty(int(ends[-1]), np.int32), self._values[name]
        for slot, (start, end) in enumerate(zip(starts, ends, strict=True)):
            prefix = f"{name}-{number}-of-{slot}"
            rows[start:end], values[start:end] = _rows(self.plan, prefix)
            _drop(self.plan, f"{prefix}-rows", f"{prefix}-values")
        return Changes(rows, starts, ends, values.reshape(-1))


class FileReplica(Replica):
    """Reads the leader's files."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._base = {name: aligned_zeros(*matrix.shape) for name, matrix in self.weights.items()}

    @property
    def base(self) -> Weights:
        """The weights at the beginning of the round."""
        return self._base

    def update(self, number: int) -> bool:
        """Read what changed since the last time, or all weights."""
        for name, own in self.weights.items():
            try:
                if self.number < 0 or self.number > number:
                    raise FileNotFoundError
                self._restore(name, self._own[name])
                for since in range(self.number + 1, number + 1):
                    rows, values = _rows(self.plan, f"{name}-{since}")
                    self._base[name][rows] = values
                    self._restore(name, rows)
            except FileNotFoundError:
                try:
                    self._base[name][:] = np.load(self.plan.path(f"{name}-all-{number}"), mmap_mode="r")
                except FileNotFoundError:
                    self.number = -1
                    return False
                own[:] = self._base[name]
        self.number = number
        return True

    def write(self, number: int, slot: int, name: str, rows: Rows) -> None:
        """Write files for the leader."""
        _put_rows(self.plan, f"{name}-{number}-of-{slot}", rows, self.weights[name][rows])


@contextmanager
def whole(path: str) -> Iterator[BinaryIO]:
    """Open a file for writing that appears when it is complete, so that a task that is run twice does no harm."""
    temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}"
    with open(temporary, "wb") as file:
        yield file
    Path(temporary).replace(path)


def put(path: str, array: NDArray[Any]) -> None:
    """Write an array to a file that others map; it is whole as soon as it is there."""
    with whole(path) as file:
        np.save(file, array, allow_pickle=False)


def _put_rows(plan: Plan, prefix: str, rows: Rows, values: Matrix) -> None:
    put(plan.path(f"{prefix}-values"), values)
    put(plan.path(f"{prefix}-rows"), rows)


def _rows(plan: Plan, prefix: str) -> tuple[Rows, Matrix]:
    rows, values = (np.load(plan.path(f"{prefix}-{kind}"), mmap_mode="r") for kind in ("rows", "values"))
    return np.asarray(rows), np.asarray(values)


def _drop(plan: Plan, *names: str) -> None:
    for name in names:
        Path(plan.path(name)).unlink(missing_ok=True)
