"""Skip-gram and CBOW word vectors."""
