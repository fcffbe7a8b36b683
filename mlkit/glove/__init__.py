"""Co-occurrence counts and GloVe vectors.

>>> from mlkit import glove
>>> found = glove.count_cooccurrences(["corpus.txt"], "cooc.bin", window=5, min_count=3)
>>> found.words < found.records
True
>>> trained = glove.train_inputs(["cooc.bin"], glove.Settings(dim=16, epochs=2))
>>> trained.vectors.output("sum").shape == (len(trained.words), 16)
True
"""

from mlkit.exports import on_demand

__all__, __getattr__, __dir__ = on_demand(__name__, {
    "CooccurrenceCounts": "cooccur", "count_cooccurrences": "cooccur", "merge_cooccurrences": "cooccur",
    "Counting": "texts", "Trained": "texts", "train_inputs": "texts", "GloveVectors": "train",
    "Settings": "train", "train_glove": "train", "Records": "records", "glove_records": "records",
    "records_of": "records",
})  # fmt: skip
