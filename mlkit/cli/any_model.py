"""Load a model of whatever kind it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlkit.formats.streams import PathLike
    from mlkit.tables.predictor import Predictor


def load_teacher(path: PathLike, text: str | None = None) -> Predictor:
    """Read a model of net, boost, bag or fastText (whose words are in the column `text`)."""
    from mlkit.formats.model_file import kind_of

    kind = kind_of(path)
    if kind == "net":
        from mlkit.nets.model import load_net

        return load_net(path)
    if kind in ("boost", "bag"):
        from mlkit.trees.train import load_predictor

        return load_predictor(path)
    from mlkit.fasttext.model import load
    from mlkit.fasttext.predictor import FastTextTeacher

    model = load(str(path))
    model.need_supervised()
    return FastTextTeacher(model, text or "text")
