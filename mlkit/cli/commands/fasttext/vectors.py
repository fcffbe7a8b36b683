"""`mlkit fasttext`: print vectors, ask for neighbours and analogies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, BinaryIO

import typer

from mlkit.cli.commands.fasttext import options as o
from mlkit.cli.commands.fasttext.options import Original, app
from mlkit.cli.output import out

Word = Annotated[str, typer.Argument(help="The word.", show_default=False)]


@app.command("print-word-vectors", cls=Original)
def print_word_vectors(model: o.Model, data: o.Data = "-") -> None:
    """Print the vector of every word of the input.

    Unknown words have one from their n-grams.

    \b
    Example:
      echo unknownishword | mlkit fasttext print-word-vectors vec.bin
    """
    from mlkit.fasttext.model import load
    from mlkit.fasttext.predict import arrivals
    from mlkit.fasttext.text_vectors import vector_text

    loaded = load(model)
    for chunk in arrivals(data):
        words = chunk.replace(b"\0", b" ").split()
        for word, vector in zip(words, loaded.word_vectors(words), strict=True):
            out.stdout.write(word + b" " + vector_text(vector).encode() + b"\n")
        out.stdout.flush()


@app.command("print-sentence-vectors", cls=Original)
def print_sentence_vectors(model: o.Model, data: o.Data = "-") -> None:
    """Print one vector for every line of the input.

    \b
    Example:
      mlkit fasttext print-sentence-vectors model.bin < sentences.txt
    """
    from mlkit.fasttext.model import load
    from mlkit.fasttext.neighbours import sentence_vectors
    from mlkit.fasttext.predict import Encoder, arrivals
    from mlkit.fasttext.text_vectors import vector_text

    loaded = load(model)
    encoder = Encoder(loaded)
    for chunk in arrivals(data):
        for vector in sentence_vectors(loaded, chunk, encoder):
            out.line(vector_text(vector))
        out.stdout.flush()


@app.command("print-ngrams", cls=Original)
def print_ngrams(model: o.Model, word: Word) -> None:
    """Print the n-grams of a word with their vectors.

    \b
    Example:
      mlkit fasttext print-ngrams vec.bin where
    """
    from mlkit.fasttext.model import load
    from mlkit.fasttext.neighbours import ngram_vectors
    from mlkit.fasttext.text_vectors import vector_text

    for ngram, vector in ngram_vectors(load(model), word.encode("utf-8", "surrogateescape")):
        out.stdout.write(ngram + b" " + vector_text(vector).encode() + b"\n")


def _ask(prompt: str, stream: BinaryIO) -> Iterator[bytes]:
    """Prompt and yield the lines that answer."""
    while True:
        out.stdout.write(prompt.encode())
        out.stdout.flush()
        line = stream.readline()
        if not line:
            return
        yield line


def _show(found: list[tuple[bytes, float]]) -> None:
    for word, score in found:
        out.stdout.write(word + f" {score:.6g}\n".encode())


@app.command(cls=Original)
def nn(model: o.Model, k: o.K = 10) -> None:
    """Ask for words, print their nearest neighbours.

    \b
    Example:
      echo king | mlkit fasttext nn vec.bin 5
    """
    from mlkit.fasttext.model import load
    from mlkit.fasttext.neighbours import Neighbours
    from mlkit.formats.streams import open_input

    table = Neighbours(load(model))
    for line in _ask("Query word? ", open_input("-")):
        for word in line.split():
            _show(table.of_word(word, k))


@app.command(cls=Original)
def analogies(model: o.Model, k: o.K = 10) -> None:
    """Ask for three words A B C, print the words nearest to A - B + C.

    \b
    Example:
      echo berlin germany france | mlkit fasttext analogies vec.bin 5
    """
    from mlkit.fasttext.model import load
    from mlkit.fasttext.neighbours import Neighbours
    from mlkit.formats.streams import open_input

    table = Neighbours(load(model))
    for line in _ask("Query triplet (A - B + C)? ", open_input("-")):
        words = line.split()
        if len(words) != 3:
            out.warn("three words are expected")
            continue
        _show(table.analogy(words[0], words[1], words[2], k))
