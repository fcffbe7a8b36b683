"""Ensembles on plain tables: gradient boosting, AdaBoost, bagging and random forests.

>>> from mlkit import trees
>>> from mlkit.formats.table_files import read_table
>>> from mlkit.tables import Columns
>>> settings = trees.GradientSettings(rounds=20, min_leaf=5)
>>> model = trees.train_gradient(read_table("train.csv"), Columns("income"), settings)
>>> model.save("income.model")
>>> trees.load_trees("income.model").predict(read_table("test.csv")).shape  # the probability of each class
(100, 2)
>>> forest = trees.train_bag(read_table("train.csv"), Columns("hours"), trees.ForestSettings(rounds=10))
>>> forest.predict(read_table("test.csv")).shape
(100,)
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
