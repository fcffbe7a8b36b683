"""Text to vocabulary and encoded word ids, in parallel and in bounded memory.

>>> from mlkit import corpus
>>> vocabulary = corpus.build_vocabulary(["corpus.txt"], min_count=3)
>>> vocabulary.words()[0], int(vocabulary.counts[0]) > 500
('the', True)
>>> encoded = corpus.encode_corpus(["test.txt"], vocabulary)
>>> encoded.sentences, str(encoded.ids.dtype)
(100, 'int32')
"""

from mlkit.exports import on_demand

__all__, __getattr__, __dir__ = on_demand(__name__, {
    "EncodedCorpus": "prepare", "build_vocabulary": "prepare", "encode_corpus": "prepare",
    "merge_vocabularies": "prepare", "prepare_corpus": "prepare", "WordCounter": "word_counter",
})  # fmt: skip
