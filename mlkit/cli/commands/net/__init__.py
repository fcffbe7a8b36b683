"""`mlkit net`: neural networks."""
