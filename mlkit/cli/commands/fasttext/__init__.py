"""`mlkit fasttext`: training, files and use of fastText models."""
