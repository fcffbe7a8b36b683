"""The floor of supervised learning: columns, target, predictors, validation, metrics, calibration.

Also work on tables before training: what is in them, filling gaps, sampling and splitting rows.

>>> from mlkit import tables
>>> from mlkit.formats.table_files import read_table, write_table
>>> table = read_table("train.csv")
>>> [column.name for column in tables.describe_columns(table) if column.kind == "number"]
['age', 'hours']
>>> write_table("copy.csv", table)
"""

from mlkit.tables.calibration import fit_calibration
from mlkit.tables.columns import Columns
from mlkit.tables.impute import STRATEGIES, fill_values, impute
from mlkit.tables.info import describe_columns
from mlkit.tables.metrics import evaluate
from mlkit.tables.predictor import Predictor
from mlkit.tables.resample import balance_rows, split_rows
from mlkit.tables.validation import cross_validate, fold_places, summarise

__all__ = [
    "STRATEGIES", "Columns", "Predictor", "balance_rows", "cross_validate", "describe_columns", "evaluate",
    "fill_values", "fit_calibration", "fold_places", "impute", "split_rows", "summarise",
]  # fmt: skip
