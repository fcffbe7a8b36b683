"""Clusters and mixtures: k-means, Gaussian mixtures, and measures of how good a clustering is.

>>> import numpy as np
>>> from mlkit import clustering
>>> points = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.1, 5.0]])
>>> found = clustering.train_kmeans(clustering.Rows(points), clustering.KMeansSettings(k=2))
>>> sorted(found.sizes.tolist()), round(found.inertia, 4)
([2, 2], 0.01)
"""

from mlkit.exports import on_demand

__all__, __getattr__, __dir__ = on_demand(__name__, {
    "KMeansResult": "kmeans", "KMeansSettings": "kmeans", "assign": "kmeans", "train_kmeans": "kmeans", "Rows": "rows",
    "KMeansModel": "model", "load_kmeans": "model", "MixtureSettings": "mixture", "train_mixture": "mixture",
    "MixtureModel": "mixture_model", "load_mixture": "mixture_model", "silhouette": "quality",
})  # fmt: skip
