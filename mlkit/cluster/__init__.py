"""The same jobs on several processes or machines: a process pool of this machine, or workers of dask.distributed."""

from mlkit.cluster.engine import Engine, Tasks
from mlkit.cluster.map_reduce import Divisible, Ranges, Shardable, counted_parts, merged_ranges
from mlkit.cluster.start import open_engine

__all__ = [
    "Divisible", "Engine", "Ranges", "Shardable", "Tasks", "counted_parts", "merged_ranges", "open_engine",
]  # fmt: skip
