"""`mlkit ngram perplexity`, `score` and `generate`: use a language model."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.output import out

Model = Annotated[str, typer.Argument(help="Model: ARPA or binary.", show_default=False)]


Unknown = Annotated[
    str | None,
    typer.Option(
        "--unk", metavar="WORD", help="Name of the unknown word in an ARPA file.", show_default="<unk>"
    ),
]


class Unit(StrEnum):
    """What gets a line of scores."""

    sentence = "sentence"
    token = "token"


def perplexity(
    model: Model,
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts, one sentence per line.", show_default="stdin")
    ] = None,
    unk: Unknown = None,
    errors: options.Errors = options.TextErrors.strict,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Measure the perplexity of texts.

    It is 10 ** (-log10 p / tokens), where every line has one token more, </s>: once with unknown words
    (scored as <unk>), once without them, as KenLM's query does.

    \b
    Example:
      mlkit ngram perplexity lm.bin test.txt --json
    """
    from mlkit.ngram.model import load_model
    from mlkit.ngram.query import measure
    from mlkit.threads import thread_count

    number = thread_count(threads)
    loaded = load_model(model, number, unk)
    totals = measure(loaded, texts or ["-"], threads=number, errors=errors.value)
    if totals.unknown and not loaded.knows_unknown:
        out.warn(f"{model} has no unknown word: {totals.unknown} words have the probability 0")
    result = {
        "perplexity": totals.perplexity, "perplexity_without_unknown": totals.known_perplexity,
        "bits_per_token": totals.bits, "log10": totals.log10, "log10_without_unknown": totals.known_log10,
        "tokens": totals.tokens, "unknown": totals.unknown, "sentences": totals.lines,
    }  # fmt: skip
    if json:
        out.json("mlkit.ngram.perplexity", {"model": model, **ngram_plain(result)})
    else:
        out.table(["name", "value"], ((name, shown(value)) for name, value in result.items()))


def shown(value: float) -> str:
    """Show a number in a table."""
    return str(value) if isinstance(value, int) else f"{value:.6f}"


def ngram_plain(result: dict[str, float]) -> dict[str, float | None]:
    """JSON has no infinity and no NaN: null stands for them."""
    return {name: value if abs(value) < float("inf") else None for name, value in result.items()}


def score(
    model: Model,
    texts: Annotated[
        list[str] | None, typer.Argument(help="Texts, one sentence per line.", show_default="stdin")
    ] = None,
    by: Annotated[
        Unit, typer.Option("--by", help="A line of scores per sentence or per token.")
    ] = Unit.sentence,
    versus: Annotated[
        str | None,
        typer.Option(
            "--versus", metavar="MODEL", help="Score the difference of cross-entropies to this model."
        ),
    ] = None,
    below: Annotated[
        float | None,
        typer.Option("--below", metavar="X", help="Print the lines that score lower, not the scores."),
    ] = None,
    top: Annotated[
        str | None,
        typer.Option("--top", metavar="N|N%", help="Print the N lines that score lowest, in their order."),
    ] = None,
    unk: Unknown = None,
    errors: options.Errors = options.TextErrors.strict,
    threads: options.Threads = None,
) -> None:
    """Score sentences or tokens, or choose sentences by their scores.

    Scores are log10 p, the matched order and unknown words.

    With --versus OTHER, a sentence's score is its cross-entropy under MODEL minus that under OTHER, in bits
    per token (Moore and Lewis 2010): low for sentences that are like the text of MODEL. --below and --top
    pass the chosen lines on; without --versus they go by the cross-entropy under MODEL.

    \b
    Example:
      mlkit ngram score lm.arpa < test.txt > scores.tsv
      mlkit ngram score domain.bin --versus general.bin --top 10% < pool.txt > chosen.txt
    """
    from mlkit.errors import UsageError
    from mlkit.ngram import data_selection
    from mlkit.ngram.model import load_model
    from mlkit.threads import thread_count

    number = thread_count(threads)
    if by is Unit.token and (versus or top or below is not None):
        raise UsageError("--by token prints scores of one model; it excludes --versus, --below and --top")
    if top is not None and below is not None:
        raise UsageError("--below and --top exclude each other")
    main = load_model(model, number, unk)
    other = None if versus is None else load_model(versus, number, unk)
    sources = texts or ["-"]
    if by is Unit.token:
        lines = data_selection.token_table(main, sources, number, errors.value)
    elif top is not None or below is not None:
        lines = data_selection.chosen_lines(
            main, other, sources, below=below, top=top, threads=number, errors=errors.value
        )
    else:
        lines = data_selection.sentence_table(main, other, sources, number, errors.value)
    for block in lines:
        out.stdout.write(block)


def generate(
    model: Model,
    beam: Annotated[
        int | None,
        typer.Option(
            "--beam", min=1, metavar="K", help="Search for the most probable texts with K hypotheses."
        ),
    ] = None,
    length: Annotated[
        int, typer.Option("--length", min=1, metavar="N", help="Generate at most N words.")
    ] = 20,
    prefix: Annotated[str, typer.Option("--prefix", metavar="TEXT", help="The text to continue.")] = "",
    n: Annotated[
        int,
        typer.Option(
            "--number", "-n", min=1, metavar="N", help="How many texts: samples, or best hypotheses."
        ),
    ] = 1,
    temperature: Annotated[
        float, typer.Option("--temperature", metavar="X", help="Below 1: bolder towards the probable.")
    ] = 1.0,
    top_k: Annotated[
        int,
        typer.Option(
            "--top-k", metavar="N", help="Sample from the N most probable words.", show_default="all"
        ),
    ] = 0,
    top_p: Annotated[
        float, typer.Option("--top-p", metavar="X", help="Sample from the words that have this mass.")
    ] = 1.0,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Let the unknown word be generated.", show_default=False)
    ] = False,
    scores: Annotated[
        bool, typer.Option("--scores", help="Print log10 p and perplexity, too.", show_default=False)
    ] = False,
    seed: options.Seed = 1,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Generate text: samples, or with --beam the best continuations.

    Beam search takes, at every step, the K best of all continuations of its K hypotheses, keeps finished ones
    of every length, and ranks by log p per token (that is, by perplexity).

    \b
    Example:
      mlkit ngram generate lm.arpa --beam 5 --length 20 --prefix "the history of"
      mlkit ngram generate lm.arpa -n 3 --temperature 0.8 --seed 7
    """
    import numpy as np

    from mlkit.errors import UsageError
    from mlkit.ngram.generate import Generator, Hypothesis, beam_search, sample
    from mlkit.ngram.model import load_model
    from mlkit.threads import thread_count

    if beam is not None and n > beam:
        raise UsageError(f"--number {n} is more than the {beam} hypotheses of --beam")
    number = thread_count(threads)
    generator = Generator(load_model(model, number), number)
    history = generator.history_of(prefix)
    found: Iterable[Hypothesis]
    if beam is not None:
        found = beam_search(generator, history, length, beam, unknown=unknown)[:n]
    else:
        random = np.random.Generator(np.random.PCG64(seed))
        found = (  # each is written as it is drawn
            sample(
                generator, history, length, random,
                temperature=temperature, top_k=top_k, top_p=top_p, unknown=unknown,
            )
            for _ in range(n)
        )  # fmt: skip
    for hypothesis in found:
        text = " ".join([*prefix.split(), *([generator.text(hypothesis.words)] if hypothesis.words else [])])
        figures = {"log10": hypothesis.score, "perplexity": 10.0**-hypothesis.per_token}
        if json:
            out.json(
                "mlkit.ngram.generate",
                {"text": text, "finished": hypothesis.finished, **ngram_plain(figures)},
            )
        elif scores:
            out.line("\t".join([f"{figures['log10']:.6f}", f"{figures['perplexity']:.4f}", text]))
        else:
            out.line(text)
