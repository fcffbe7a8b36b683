"""Clusters and mixtures: k-means, Gaussian mixtures, and measures of how good a clustering is."""
