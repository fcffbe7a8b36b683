"""`mlkit kmeans` and `mlkit gmm`."""
