"""The same jobs on several processes or machines: a process pool of this machine, or workers of dask.distributed."""

from mlkit.cluster.engine import Engine, Tasks, open_engine
from mlkit.cluster.shards import Shardable, counted_parts

__all__ = ["Engine", "Shardable", "Tasks", "counted_parts", "open_engine"]
