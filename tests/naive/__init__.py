"""Slow, obvious Python for every kernel: the executable specification, one module per room."""
