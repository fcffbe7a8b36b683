"""From tables to a network's inputs: numbers are standardised, categories one-hot or embedded, text a bag of words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mlkit.errors import DataError, unknown
from mlkit.formats.streams import Errors, PathLike, display_name, open_input, read_lines
from mlkit.formats.table_files import Table
from mlkit.nets.layers import InputLayer, Rows
from mlkit.tables.target import mean_and_spread

LABEL = "__label__"
TEXT_COLUMNS = ("label", "text")
HOW = ("auto", "one-hot", "embedding")
ONE_HOT_MOST = 64  # categories of a column that are not embedded
BLOCK = 1 << 14


@dataclass(frozen=True)
class Feature:
    """One column: its mean and deviation (numbers), its categories, or its words.

    `missing`: a column that says where the number was missing follows. Words and categories that were not there in
    training, and missing ones, are category 0 (embedded) or all zeros (one-hot).
    """

    name: str
    kind: str  # number, one-hot, embedding, text
    mean: float = 0.0
    deviation: float = 1.0
    missing: bool = False
    categories: tuple[str, ...] = ()
    dim: int = 0

    @property
    def width(self) -> int:
        """Return how many columns of numbers it makes."""
        if self.kind == "number":
            return 2 if self.missing else 1
        return len(self.categories) if self.kind == "one-hot" else 0


@dataclass(frozen=True)
class Encoder:
    """All columns; `encode` makes the rows that the input_layer takes."""

    features: tuple[Feature, ...]

    @property
    def names(self) -> list[str]:
        """Return the columns that a table must have."""
        return [feature.name for feature in self.features]

    @property
    def width(self) -> int:
        """Return the number of columns of numbers."""
        return sum(feature.width for feature in self.features)

    def input_layer(self) -> InputLayer:
        """Return the input_layer layer of a network for these columns."""
        tables = [(len(f.categories) + 1, f.dim) for f in self.features if f.kind == "embedding"]
        words = [(len(f.categories), f.dim) for f in self.features if f.kind == "text"]
        return InputLayer(self.width, tables, words[0] if words else None)

    def encode(self, table: Table, dtype: Any = np.float32) -> Rows:
        """Return the rows of a table. Raises `DataError` naming columns that are not there."""
        table.require(self.names)
        numbers = np.zeros((table.rows, self.width), dtype)
        codes = np.zeros((table.rows, sum(f.kind == "embedding" for f in self.features)), np.int32)
        words = starts = None
        column = coded = 0
        for feature in self.features:
            if feature.kind == "number":
                values = (table.numbers(feature.name) - feature.mean) / feature.deviation
                table.forget(feature.name)
                absent = np.isnan(values)
                numbers[:, column] = np.where(absent, 0, values)
                if feature.missing:
                    numbers[:, column + 1] = absent
            elif feature.kind == "text":
                words, starts = _word_ids(table.values(feature.name), feature.categories)
            else:
                places = table.codes(feature.name, feature.categories)
                if feature.kind == "one-hot":
                    known = np.flatnonzero(places >= 0)
                    numbers[known, column + places[known]] = 1
                else:
                    codes[:, coded] = places + 1
                    coded += 1
            column += feature.width
        return Rows(numbers, codes, words, starts)

    def to_json(self) -> list[dict[str, Any]]:
        """Return what a model's header holds."""
        return [asdict(feature) for feature in self.features]

    @staticmethod
    def from_json(features: Sequence[Mapping[str, Any]]) -> Encoder:
        """Return the encoder of a model's header."""
        return Encoder(tuple(Feature(**{**f, "categories": tuple(f["categories"])}) for f in features))


def fit_encoder(
    table: Table, names: Sequence[str], *, categorical: Collection[str] = (), text: str | None = None,
    how: str = "auto", dim: int | None = None, min_count: int = 1,
) -> Encoder:  # fmt: skip
    """Look at the training rows and decide how each column enters.

    how: "one-hot", "embedding", or "auto" (one-hot up to 64 categories). dim: of embeddings; by default
    1.6 * categories ** 0.56 up to 50 (fastai's rule), for words 50.
    """
    if how not in HOW:
        raise unknown(f"--categories {how!r} is no way for categories to enter", how, HOW)
    table.require([*categorical, *([text] if text else [])])
    features = []
    for name in names:
        if name == text:
            words = _vocabulary(table.values(name), min_count)
            if not words:
                raise DataError(f"column {name!r}: no word comes {min_count} times or more", path=table.path)
            features.append(Feature(name, "text", categories=tuple(words), dim=dim or 50))
        elif name not in categorical and table.is_numeric(name):
            values = table.numbers(name)
            table.forget(name)
            mean, deviation = mean_and_spread(values)
            features.append(Feature(name, "number", mean, deviation or 1.0, bool(np.isnan(values).any())))
        else:
            found = tuple(sorted(value for value, _ in table.counts(name)))
            if not found:
                continue  # nothing but missing values
            one_hot = how == "one-hot" or (how == "auto" and len(found) <= ONE_HOT_MOST)
            size = 0 if one_hot else dim or min(50, math.ceil(1.6 * len(found) ** 0.56))
            features.append(Feature(name, "one-hot" if one_hot else "embedding", categories=found, dim=size))
    if not features:
        raise DataError("every column is empty: there is nothing to learn from", path=table.path)
    return Encoder(tuple(features))


def _vocabulary(lines: Sequence[str], min_count: int) -> list[str]:
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line.split())
    return sorted(
        (word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w)
    )


def _word_ids(lines: Sequence[str], words: Sequence[str]) -> tuple[Any, Any]:
    places = {word: place for place, word in enumerate(words)}
    ids: list[int] = []
    starts = [0]
    for line in lines:
        ids += [places[word] for word in line.split() if word in places]
        starts.append(len(ids))
    return np.array(ids, np.int32), np.array(starts, np.int64)


# __label__ text as a table of two columns


def is_labelled_text(path: PathLike) -> bool:
    """Say whether a file (not stdin) begins with a line that begins with ``__label__``."""
    if str(path) == "-":
        return False
    with open_input(path) as stream:
        return stream.read(1 << 12).lstrip().removeprefix(b"\xef\xbb\xbf").startswith(LABEL.encode())


def text_blocks(
    path: PathLike,
    errors: Errors = "strict",
    block: int | None = BLOCK,
    remark: Callable[[str], None] = lambda text: None,
) -> Iterator[Table]:
    """Yield lines as tables with the columns label and text, `block` lines at a time.

    A line's first ``__label__`` word is its label (missing without one); further ones are left out, and `remark` is
    told at the end how many lines have them.
    """
    import polars as pl

    labels: list[str] = []
    texts: list[str] = []
    lines: list[int] = []
    several = 0

    def table() -> Table:
        frame = pl.DataFrame({"label": labels, "text": texts}, schema={"label": pl.String, "text": pl.String})
        return Table(frame, display_name(path), 1, np.array(lines, np.int64))

    for number, line in enumerate(read_lines(path, errors), 1):
        words = line.split()
        named = [word for word in words if word.startswith(LABEL)]
        several += len(named) > 1
        labels.append(named[0][len(LABEL) :] if named else "")
        texts.append(" ".join(word for word in words if not word.startswith(LABEL)) if named else line)
        lines.append(number)
        if len(labels) == block:
            yield table()
            labels, texts, lines = [], [], []
    if several:
        remark(f"{several:,} lines have several labels: the first of each counts")
    if labels or block is None:
        yield table()


def read_text(
    path: PathLike, errors: Errors = "strict", remark: Callable[[str], None] = lambda text: None
) -> Table:
    """Return labelled lines as a table; lines without a label are left out. Raises `DataError` without any."""
    table = next(text_blocks(path, errors, None, remark))
    labelled = table.take(np.array([bool(label) for label in table.values("label")], np.bool_))
    if not labelled.rows:
        raise DataError("no line has a __label__", path=table.path)
    return labelled
