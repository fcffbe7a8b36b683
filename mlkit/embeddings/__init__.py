"""Word vectors: training, queries, evaluation."""
