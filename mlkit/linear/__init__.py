"""Linear models on tables: logistic and ridge regression.

>>> from mlkit import linear
>>> from mlkit.formats.table_files import read_table
>>> from mlkit.tables import Columns
>>> model = linear.train_linear(read_table("train.csv"), Columns("income"), l2=1.0)
>>> model.predict(read_table("test.csv")).shape
(100, 2)
"""

from mlkit.linear.model import LinearModel
from mlkit.linear.train import train_linear

__all__ = ["LinearModel", "train_linear"]
