"""Word vectors: training, queries, evaluation."""

from mlkit.embeddings.keyed_vectors import KeyedVectors
from mlkit.embeddings.queries import answer, neighbours, parse_query

__all__ = ["KeyedVectors", "answer", "neighbours", "parse_query"]
