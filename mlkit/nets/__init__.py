"""Feed-forward networks for tables and bags of words, with the whole set of training techniques.

>>> from mlkit.formats.table_files import read_table
>>> from mlkit.nets import NetSettings, train_net
>>> from mlkit.trees import Columns
>>> model, history = train_net(read_table("train.csv"), Columns("income"), NetSettings(epochs=5))  # doctest: +SKIP
"""

from mlkit.nets.model import NetModel, load_net
from mlkit.nets.settings import NetSettings
from mlkit.nets.train import Teacher, train_net

__all__ = ["NetModel", "NetSettings", "Teacher", "load_net", "train_net"]
