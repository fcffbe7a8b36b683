"""Co-occurrence counts and GloVe vectors."""
