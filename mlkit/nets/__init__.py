"""Feed-forward networks for tables and bags of words, with the whole set of training techniques.

>>> from mlkit import nets
>>> from mlkit.formats.table_files import read_table
>>> from mlkit.tables import Columns
>>> settings = nets.NetSettings(layers=(16, "relu"), epochs=5, batch=16)
>>> model, history = nets.train_net(read_table("train.csv"), Columns("income"), settings)
>>> model.save("income.net")
>>> nets.load_net("income.net").predict(read_table("test.csv")).shape
(100, 2)
"""

from mlkit.nets.model import NetModel, load_net
from mlkit.nets.settings import NetSettings
from mlkit.nets.train import Teacher, train_net

__all__ = ["NetModel", "NetSettings", "Teacher", "load_net", "train_net"]
