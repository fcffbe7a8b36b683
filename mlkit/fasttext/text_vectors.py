"""The `.vec` and `.output` text files beside a model: word vectors, output vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

from mlkit.fasttext.model import BLOCK_ROWS, Model, take
from mlkit.formats.fasttext_bin import Floats
from mlkit.formats.streams import open_output


def write_vectors(path: str, model: Model) -> None:
    """Write the vectors of all words as fastText's `.vec`: a header, then word and values on each line."""
    with open_output(path) as stream:
        stream.write(b"%d %d\n" % (model.word_count, model.args.dim))
        _write_lines(stream, model.vocabulary_vectors())


def write_output_vectors(path: str, model: Model) -> None:
    """Write the output matrix in the same layout: a row for every label, or for every word."""
    names = model.labels if model.supervised else model.words[: model.word_count]

    def blocks() -> Iterator[tuple[Sequence[bytes], Floats]]:
        for start in range(0, len(names), BLOCK_ROWS):
            part = names[start : start + BLOCK_ROWS]
            yield part, take(model.output, np.arange(start, start + len(part)))

    with open_output(path) as stream:
        stream.write(b"%d %d\n" % (len(names), model.args.dim))
        _write_lines(stream, blocks())


def _write_lines(stream: BinaryIO, blocks: Iterator[tuple[Sequence[bytes], Floats]]) -> None:
    from mlkit.formats.vector_lines import format_lines

    for words, vectors in blocks:
        lines = format_lines(
            list(words), np.ascontiguousarray(vectors, "<f4"), compiled=vectors.size > 1 << 16
        )
        stream.write(lines if isinstance(lines, bytes) else lines.data)


def vector_text(vector: Floats) -> str:
    """Return the values as fastText prints them: five significant digits, a space after each."""
    return "".join(f"{value:.5g} " for value in vector.tolist())
