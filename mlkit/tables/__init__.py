"""Work on tables before training: what is in them, filling gaps, sampling and splitting rows."""

from mlkit.tables.impute import STRATEGIES, fill_values, impute
from mlkit.tables.info import describe_columns
from mlkit.tables.resample import balance_rows, split_rows

__all__ = ["STRATEGIES", "balance_rows", "describe_columns", "fill_values", "impute", "split_rows"]
