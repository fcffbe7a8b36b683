"""`mlkit bleu`, `ter`, `chrf` and `score`."""
