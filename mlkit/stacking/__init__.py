"""Stacking: out-of-fold predictions of several models feed a final one.

>>> from mlkit import stacking
>>> from mlkit.formats.table_files import read_table
>>> from mlkit.tables import Columns
>>> settings = stacking.StackSettings(models=("bag", "logistic"), rounds=5)
>>> model = stacking.train_stack(read_table("train.csv"), Columns("income"), settings)
>>> model.save("stack.model")
>>> stacking.load_stack("stack.model").predict(read_table("test.csv")).shape
(100, 2)
"""

from mlkit.stacking.stack import MEMBERS, StackModel, StackSettings, load_stack, train_stack

__all__ = ["MEMBERS", "StackModel", "StackSettings", "load_stack", "train_stack"]
