"""Word vectors: training, queries, evaluation."""

from mlkit.vectors.keyed_vectors import KeyedVectors
from mlkit.vectors.queries import answer, neighbours, parse_query

__all__ = ["KeyedVectors", "answer", "neighbours", "parse_query"]
