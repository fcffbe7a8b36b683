"""Counting in shards as jobs of a batch queue: what to run (`plan`) and the scripts that run it (`slurm`).

>>> from mlkit import batch
>>> [" ".join(job.count) for job in batch.SHARDABLE]
['vocab count', 'bpe count', 'ngram count', 'cooccur count']
"""

from mlkit.batch.plan import SHARDABLE, Job, Plan, Shardable, Stage, make_plan
from mlkit.batch.slurm import Settings, scripts, write_scripts

__all__ = [
    "SHARDABLE",
    "Job",
    "Plan",
    "Settings",
    "Shardable",
    "Stage",
    "make_plan",
    "scripts",
    "write_scripts",
]
