"""`mlkit bpe`: learn, apply and convert byte pair encodings."""
