"""Entropy and distances between distributions: of words, of the columns of tables, of language models."""
