"""`mlkit batch`: counting commands in shards under Slurm."""
