"""How long a counting job and its merge tree take on paper: a simulation from measured rates.

Every worker counts shards; then levels of merges of eight parts, each level waiting for the one before; then one merge
of at most eight parts in the client, which writes the target. A job whose merges can be cut into ranges cuts those of a
level with fewer merges than workers, and the last one: then the client only joins what the workers made. Parts grow
slower than their text, as Heaps' law has it: the bytes of a part are `factor * text ** exponent`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlkit.cluster.map_reduce import FAN_IN, LARGEST


@dataclass(frozen=True)
class Rates:
    """Bytes per second: of text that a worker counts, of parts that a merge reads, of a node's and all disk traffic.

    join: of ranges that are written one after another, for jobs that can cut merges.
    """

    count: float
    merge: float
    factor: float
    exponent: float
    node: float = 1e9
    disk: float = 10e9
    join: float | None = None

    def part(self, text: float) -> float:
        """Return the bytes of the part that `text` bytes of text give."""
        return self.factor * math.pow(text, self.exponent)


@dataclass(frozen=True)
class Step:
    """A stage of the job: how many tasks, seconds, bytes that go over the network, bytes of its parts on disk."""

    name: str
    tasks: int
    seconds: float
    traffic: float
    parts: float


def law(small: tuple[float, float], large: tuple[float, float]) -> tuple[float, float]:
    """Return (factor, exponent) of the growth of parts from two measured pairs (text bytes, part bytes)."""
    exponent = math.log(large[1] / small[1]) / math.log(large[0] / small[0])
    return large[1] / math.pow(large[0], exponent), exponent


def simulate(text: float, workers: int, rates: Rates, shard: float = LARGEST) -> list[Step]:
    """Return the stages of counting `text` bytes with `workers` workers in shards of about `shard` bytes."""
    shards = max(2 * workers, math.ceil(text / shard))
    each = text / shards
    size = rates.part(each)
    rounds = math.ceil(shards / workers)
    traffic = text + shards * size
    steps = [
        Step(
            "count", shards,
            max(rounds * max(each / rates.count, (each + size) / rates.node), traffic / rates.disk),
            traffic, shards * size,
        )
    ]  # fmt: skip
    level = 1
    while shards > FAN_IN:
        groups = math.ceil(shards / FAN_IN)
        each = text / groups
        merged = rates.part(each)
        name = f"merge, level {level}"
        if rates.join is not None and groups < workers:
            steps += _in_ranges(name, groups, shards * size, merged, workers, rates)
        else:
            steps.append(_merge(name, groups, shards * size, merged, workers, rates))
        shards, size, level = groups, merged, level + 1
    if rates.join is not None:
        return steps + _in_ranges("last merge", 1, shards * size, rates.part(text), workers, rates)
    return [*steps, _merge("last merge, in the client", 1, shards * size, rates.part(text), 1, rates)]


def _merge(name: str, groups: int, read: float, merged: float, workers: int, rates: Rates) -> Step:
    traffic = read + groups * merged
    one = max(read / groups / rates.merge, traffic / groups / rates.node)
    return Step(
        name, groups, max(math.ceil(groups / workers) * one, traffic / rates.disk), traffic, groups * merged
    )


def _in_ranges(name: str, groups: int, read: float, merged: float, workers: int, rates: Rates) -> list[Step]:
    """Merge every group in ranges, about two for a worker, then write the ranges of each group one after another."""
    assert rates.join is not None
    tasks = groups * math.ceil(2 * workers / groups)
    ranges = _merge(f"{name}, in ranges", tasks, read, groups * merged / tasks, workers, rates)
    traffic = 2 * groups * merged
    seconds = max(merged / rates.join, 2 * merged / rates.node, traffic / rates.disk)
    return [ranges, Step(f"{name}, joined", groups, seconds, traffic, groups * merged)]
