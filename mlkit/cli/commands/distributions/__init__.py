"""`mlkit divergence`."""
