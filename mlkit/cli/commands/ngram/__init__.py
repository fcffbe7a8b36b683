"""`mlkit ngram`: counting, training and use of n-gram language models."""
