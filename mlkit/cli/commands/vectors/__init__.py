"""`mlkit vectors`: queries, evaluation and conversion of word vectors."""
