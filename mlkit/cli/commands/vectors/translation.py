"""`mlkit vectors translate` and `sentences`: what aligned vectors are for."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mlkit.cli import options
from mlkit.cli.output import out

if TYPE_CHECKING:
    from mlkit.alignment.mapping import Matrix
    from mlkit.alignment.translation import Translator


class Retrieval(StrEnum):
    """How candidates are scored."""

    csls = "csls"
    nn = "nn"
    softmax = "softmax"


class Weights(StrEnum):
    """What a word counts in the mean of its line."""

    mean = "mean"
    idf = "idf"


def translate(
    source: Annotated[str, typer.Argument(help="Vectors that 'align' wrote.", show_default=False)],
    target: Annotated[str, typer.Argument(help="Vectors of the other language.", show_default=False)],
    words: Annotated[
        list[str] | None, typer.Argument(help="Words to translate; none or '-': one a line on stdin.")
    ] = None,
    nearest: Annotated[
        int, typer.Option("-k", "--nearest", min=1, metavar="N", help="Translations a word.")
    ] = 5,
    retrieval: Annotated[
        Retrieval,
        typer.Option("--retrieval", help="CSLS, plain cosine, or inverted softmax."),
    ] = Retrieval.csls,
    dictionary: Annotated[
        str | None,
        typer.Option("--eval", metavar="FILE", help="Measure against a dictionary: lines 'source target'."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Measure without a dictionary; exit 1 if it failed.", show_default=False
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="N", help="Use the first N words of each side.")
    ] = 20_000,
    csls: Annotated[int, typer.Option("--csls", min=1, metavar="N", help="Neighbours of CSLS.")] = 10,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0.0, metavar="X", help="Sharpness of --retrieval softmax.")
    ] = 30.0,
    centre: Annotated[
        bool, typer.Option("--centre/--no-centre", help="Take the mean vector off each side first.")
    ] = True,
    oov: options.Oov = options.Unknown.error,
    errors: options.Errors = options.TextErrors.strict,
    json: options.Json = False,
) -> None:
    """Translate words by aligned vectors, or measure how well that works.

    --eval: precision at k is the percentage of the dictionary's source words with a listed translation among the
    k best. Asked are source words that have a vector and a translation with one (coverage: how many of all).

    --check needs no dictionary: it compares mutual CSLS pairs with those after a random rotation. It finds a start
    that failed, not vectors that are poor in themselves.

    \b
    Examples:
      mlkit vectors translate es-in-en.bin en.bin gato perro -k 3
      mlkit vectors translate es-in-en.bin en.bin --eval es-en.txt --json
      mlkit vectors translate es-in-en.bin en.bin --check
    """
    from mlkit.alignment.translation import Translator
    from mlkit.errors import UsageError
    from mlkit.threads import blas_threads
    from mlkit.vectors.keyed_vectors import KeyedVectors

    if (dictionary is not None) + check + bool(words) > 1:
        raise UsageError("choose one of words, --eval and --check")
    held = [KeyedVectors.load(name, limit=limit, errors=errors.value) for name in (source, target)]
    with blas_threads(1):
        if check:
            _check(held[0].matrix, held[1].matrix, csls, json)
            return
        translator = Translator(
            held[0],
            held[1],
            retrieval=retrieval.value,
            neighbours=csls,
            temperature=temperature,
            centre=centre,
        )
        if dictionary is not None:
            _evaluate(translator, dictionary, errors, json)
        else:
            _translate(translator, words, nearest, oov is options.Unknown.skip, json)


def _check(source: Matrix, target: Matrix, neighbours: int, json: bool) -> None:
    from mlkit.alignment.translation import criterion

    found = criterion(source, target, neighbours=neighbours)
    facts = {
        "mutual_pairs": found.pairs, "mutual_share": round(found.share, 6), "mean_cosine": round(found.cosine, 6),
        "chance_share": round(found.chance_share, 6), "chance_cosine": round(found.chance_cosine, 6),
    }  # fmt: skip
    if json:
        out.json("mlkit.vectors.check", {**facts, "probably_failed": found.failed})
    else:
        out.table(("measure", "value"), facts.items())
    if found.failed:
        out.warn("the alignment probably failed: the spaces agree hardly better than after a random rotation")
        raise typer.Exit(1)


def _evaluate(translator: Translator, path: str, errors: options.TextErrors, json: bool) -> None:
    from mlkit.alignment.dictionaries import read_dictionary

    listed = read_dictionary(path, errors.value)
    if listed.skipped:
        out.warn(f"{path}: {listed.skipped} lines without exactly two fields are left out")
    found = translator.precision(listed)
    facts = {f"precision_at_{k}": round(value, 4) for k, value in found.at.items()}
    facts |= {"mrr": round(found.reciprocal, 6), "coverage": round(found.coverage, 4), "asked": found.asked}
    if json:
        out.json("mlkit.vectors.translate.eval", facts)
    else:
        out.table(("measure", "value"), facts.items())


def _translate(translator: Translator, words: list[str] | None, k: int, skip: bool, json: bool) -> None:
    from mlkit.formats.streams import read_lines

    given = words if words and words != ["-"] else (line.strip() for line in read_lines("-"))
    unknown = 0
    if not json:
        out.line("word\ttranslation\tscore")
    for word in given:
        if not word or (skip and word not in translator.source):
            unknown += bool(word)
            continue
        found = translator.translations(word, k)
        if json:
            best = [{"word": one, "score": round(score, 6)} for one, score in found]
            out.json("mlkit.vectors.translate", {"word": word, "translations": best})
        else:
            for one, score in found:
                out.line(f"{word}\t{one}\t{score:.6f}")
        if sys.stdout.isatty():
            sys.stdout.flush()
    if unknown:
        out.words(f"{unknown:,} unknown words left out")


def sentences(
    vectors: Annotated[str, typer.Argument(help="Vector file of any format.", show_default=False)],
    text: Annotated[str, typer.Argument(help="Lines of words ('-' is stdin).", show_default=False)],
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="FILE", help="A vector for each line, named by its number."),
    ],
    weights: Annotated[
        Weights, typer.Option("--weights", help="Plain mean, or rare words count more.")
    ] = Weights.idf,
    idf_from: Annotated[
        str | None,
        typer.Option(
            "--idf-from", metavar="FILE", help="Text to count words in.", show_default="the text itself"
        ),
    ] = None,
    lower: Annotated[bool, typer.Option("--lower", help="Lowercase the text.", show_default=False)] = False,
    errors: options.Errors = options.TextErrors.strict,
) -> None:
    """Write a vector for each line of a text: the mean of its words' unit vectors.

    Words are what stands between white space. The vectors are named 1, 2, 3, ... by line, for 'nn', 'translate' (the
    sentences of another language that are nearest) and 'kmeans'. A line without a known word gets zeros.

    \b
    Example:
      mlkit vectors sentences en.bin sentences.txt -o sentences.bin
    """
    from mlkit.alignment.sentences import inverse_document_frequencies, sentence_vectors
    from mlkit.errors import UsageError
    from mlkit.formats.streams import read_lines, refuse_same_file
    from mlkit.formats.vectors import save_vectors
    from mlkit.vectors.keyed_vectors import KeyedVectors

    if idf_from is not None and weights is not Weights.idf:
        raise UsageError("--idf-from is for --weights idf")
    refuse_same_file(output, [vectors, text])

    def split(path: str) -> list[list[str]]:
        return [(line.lower() if lower else line).split() for line in read_lines(path, errors.value)]

    lines = split(text)
    counted = lines if idf_from is None else split(idf_from)
    rarity = inverse_document_frequencies(counted) if weights is Weights.idf else None
    held = KeyedVectors.load(vectors, errors=errors.value)
    found = sentence_vectors(held, lines, rarity)
    save_vectors(output, [str(number) for number in range(1, len(lines) + 1)], found.matrix)
    out.words(f"{len(lines):,} lines, {found.known:,} of {found.tokens:,} words have vectors")
    if found.empty:
        out.warn(f"{found.empty:,} lines have no known word: their vectors are 0")
