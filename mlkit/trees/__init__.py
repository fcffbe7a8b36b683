"""Ensembles on plain tables: gradient boosting, AdaBoost, bagging and random forests.

>>> from mlkit.formats.table_files import read_table
>>> from mlkit.tables import Columns
>>> from mlkit.trees import GradientSettings, train_gradient
>>> model = train_gradient(read_table("train.csv"), Columns("price"), GradientSettings())  # doctest: +SKIP
>>> model.predict(read_table("test.csv"))  # doctest: +SKIP
"""

from mlkit.trees.adaboost import AdaBoostSettings
from mlkit.trees.boosting import GradientSettings
from mlkit.trees.forest import ForestSettings
from mlkit.trees.model import TreeModel, load_trees
from mlkit.trees.train import load_predictor, train_adaboost, train_bag, train_gradient, train_linear_bag

__all__ = [
    "AdaBoostSettings", "ForestSettings", "GradientSettings", "TreeModel", "load_predictor", "load_trees",
    "train_adaboost", "train_bag", "train_gradient", "train_linear_bag",
]  # fmt: skip
