"""Skip-gram and CBOW word vectors.

>>> from mlkit import word2vec
>>> from mlkit.formats.vectors import save_vectors
>>> settings = word2vec.Settings(dim=16, epochs=2)
>>> trained = word2vec.train_texts(word2vec.Texts(["corpus.txt"], min_count=3), settings)
>>> trained.vectors.shape[1], len(trained.record.losses)
(16, 2)
>>> save_vectors("vectors.bin", trained.words, trained.vectors)
"""

from mlkit.exports import on_demand

__all__, __getattr__, __dir__ = on_demand(__name__, {
    "Texts": "texts", "Trained": "texts", "train_texts": "texts", "HeldOut": "train", "Settings": "train",
    "WordVectors": "train",
})  # fmt: skip
