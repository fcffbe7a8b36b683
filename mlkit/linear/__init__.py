"""Linear models on tables: logistic and ridge regression."""

from mlkit.linear.model import LinearModel
from mlkit.linear.train import train_linear

__all__ = ["LinearModel", "train_linear"]
