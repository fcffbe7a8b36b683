"""Ensembles on plain tables: gradient boosting, AdaBoost, bagging and random forests, linear base models.

>>> from mlkit.formats.tables import read_table
>>> from mlkit.trees import Columns, GradientSettings, train_gradient
>>> model = train_gradient(read_table("train.csv"), Columns("price"), GradientSettings())  # doctest: +SKIP
>>> model.predict(read_table("test.csv"))  # doctest: +SKIP
"""

from mlkit.trees.adaboost import AdaBoostSettings
from mlkit.trees.evaluation import evaluate
from mlkit.trees.forest import ForestSettings
from mlkit.trees.gradient import GradientSettings
from mlkit.trees.linear import LinearModel
from mlkit.trees.model import Predictor, TreeModel, load_trees
from mlkit.trees.train import (
    Columns,
    load_predictor,
    train_adaboost,
    train_bag,
    train_gradient,
    train_linear,
    train_linear_bag,
)
from mlkit.trees.validation import cross_validate, fold_places, summarise

__all__ = [
    "AdaBoostSettings", "Columns", "ForestSettings", "GradientSettings", "LinearModel", "Predictor", "TreeModel",
    "cross_validate", "evaluate", "fold_places", "load_predictor", "load_trees", "summarise", "train_adaboost",
    "train_bag", "train_gradient", "train_linear", "train_linear_bag",
]  # fmt: skip
