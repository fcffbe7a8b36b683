"""Word vectors as they are used: queries, evaluation, projection.

>>> from mlkit import vectors, word2vec
>>> from mlkit.formats.vectors import save_vectors
>>> trained = word2vec.train_texts(word2vec.Texts(["corpus.txt"]), word2vec.Settings(dim=16, epochs=1))
>>> save_vectors("vectors.txt", trained.words, trained.vectors)
>>> loaded = vectors.KeyedVectors.load("vectors.txt")
>>> loaded["value"].shape, len(vectors.neighbours(loaded, "values - value + argument", k=3))
((16,), 3)
>>> vectors.evaluate_pairs(loaded, "pairs.txt").pairs
3
"""

from mlkit.exports import on_demand

__all__, __getattr__, __dir__ = on_demand(__name__, {
    "KeyedVectors": "keyed_vectors", "UnknownWord": "keyed_vectors", "select": "keyed_vectors",
    "Neighbour": "queries", "Query": "queries", "answer": "queries", "neighbours": "queries",
    "parse_query": "queries", "AnalogyScores": "evaluation", "PairScores": "evaluation",
    "evaluate_analogies": "evaluation", "evaluate_pairs": "evaluation", "principal_plane": "projection",
})  # fmt: skip
