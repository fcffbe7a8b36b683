"""`mlkit vectors`: neighbours, analogies and evaluations of word vectors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.commands.vectors import alignment, answers, files, scores, translation
from mlkit.cli.registry import App

app = App(help="Query, evaluate and convert word vectors.")


class Method(StrEnum):
    """How the words of an analogy are combined."""

    add = "add"
    mul = "mul"


Vectors = Annotated[str, typer.Argument(help="Vector file of any format ('-' is stdin).", show_default=False)]
Nearest = Annotated[int, typer.Option("-k", "--nearest", min=1, metavar="N", help="Words per answer.")]
Restrict = Annotated[
    int | None,
    typer.Option(
        "--restrict-vocab",
        min=1,
        metavar="N",
        help="Search the first N words of the file.",
        show_default="all",
    ),
]


@app.command()
def nn(
    vectors: Vectors,
    queries: Annotated[
        list[str] | None, typer.Argument(help="Words or sums; none or '-': one a line on stdin.")
    ] = None,
    nearest: Nearest = 10,
    restrict_vocab: Restrict = None,
    oov: options.Oov = options.Unknown.error,
    threads: options.Threads = None,
    errors: options.Errors = options.TextErrors.strict,
    json: options.Json = False,
) -> None:
    """Print the nearest words, by cosine, of words or of sums of words.

    \b
    Examples:
      mlkit vectors nn vectors.txt king queen -k 5
      mlkit vectors nn vectors.txt 'biggest - big + worst'
      cut -f1 words.tsv | mlkit vectors nn vectors.bin --oov skip > neighbours.tsv
    """
    from mlkit.vectors.queries import parse_arguments, parse_query

    source = answers.queries_on_stdin(vectors, queries, parse_query) or iter(parse_arguments(queries or []))
    settings = {"vectors": vectors, "nearest": nearest, "restrict_vocab": restrict_vocab}
    answers.answer(source, settings, oov.value, threads, errors.value, "add", json, "mlkit.vectors.nn")


@app.command()
def analogy(
    vectors: Vectors,
    words: Annotated[
        list[str] | None,
        typer.Argument(help="A is to B as C is to ?; none or '-': three words a line on stdin."),
    ] = None,
    method: Annotated[Method, typer.Option("--method", help="3CosAdd or 3CosMul.")] = Method.add,
    nearest: Nearest = 10,
    restrict_vocab: Restrict = None,
    oov: options.Oov = options.Unknown.error,
    threads: options.Threads = None,
    errors: options.Errors = options.TextErrors.strict,
    json: options.Json = False,
) -> None:
    """Answer "A is to B as C is to ?".

    \b
    Example:
      mlkit vectors analogy vectors.txt man king woman
    """
    from mlkit.vectors.queries import parse_analogy

    source = answers.queries_on_stdin(vectors, words, parse_analogy) or iter(
        [parse_analogy(" ".join(words or []))]
    )
    settings = {
        "vectors": vectors, "nearest": nearest, "restrict_vocab": restrict_vocab, "method": method.value,
    }  # fmt: skip
    answers.answer(
        source, settings, oov.value, threads, errors.value, method.value, json, "mlkit.vectors.analogy"
    )


@app.command("eval")
def evaluate(
    vectors: Vectors,
    analogies: Annotated[
        list[str] | None,
        typer.Option("--analogies", metavar="FILE", help="Questions as questions-words.txt."),
    ] = None,
    similarity: Annotated[
        list[str] | None,
        typer.Option("--similarity", metavar="FILE", help="Rated pairs: word, word, rating."),
    ] = None,
    restrict_vocab: Annotated[
        int, typer.Option("--restrict-vocab", min=1, metavar="N", help="Use the first N words of the file.")
    ] = 300_000,
    method: Annotated[Method, typer.Option("--method", help="3CosAdd or 3CosMul.")] = Method.add,
    case_sensitive: Annotated[
        bool, typer.Option("--case-sensitive", help="Do not upper-case words first.", show_default=False)
    ] = False,
    count_unknown: Annotated[
        bool,
        typer.Option(
            "--count-unknown",
            show_default=False,
            help="Count questions with unknown words as wrong, and such pairs as similarity 0.",
        ),
    ] = False,
    threads: options.Threads = None,
    errors: options.Errors = options.TextErrors.strict,
    json: options.Json = False,
) -> None:
    """Measure vectors by analogy questions and rated word pairs.

    Both options can be given several times. Figures equal those of gensim.

    \b
    Example:
      mlkit vectors eval vectors.txt --analogies questions-words.txt --similarity EN-WS-353-ALL.txt --json
    """
    rules = {
        "restrict_vocab": restrict_vocab, "case_sensitive": case_sensitive, "count_unknown": count_unknown,
    }  # fmt: skip
    scores.report(
        vectors, analogies or [], similarity or [], rules, method.value, threads, errors.value, json=json
    )


app.command("convert")(files.convert)
app.command("info")(files.info)
app.command("plot")(files.plot)
app.command("align")(alignment.align)
app.command("apply")(alignment.apply)
app.command("translate")(translation.translate)
app.command("sentences")(translation.sentences)
