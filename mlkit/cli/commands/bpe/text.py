"""The commands of `mlkit bpe` that run a model: encode, decode, vocab, inspect."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.output import out


class Width(StrEnum):
    """Widths of raw ids."""

    uint16 = "uint16"
    uint32 = "uint32"


Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", "--codes", "-c", metavar="FILE", show_default=False,
        help="tokenizer.json, merges.txt, codes, tiktoken ranks or sentencepiece model.",
    ),
]  # fmt: skip
Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILES]...", help="Texts, one sentence a line.", show_default="-"),
]
Ids = Annotated[bool, typer.Option("--ids", help="Ids as text instead of pieces.", show_default=False)]
IdsBinary = Annotated[
    Width | None,
    typer.Option("--ids-binary", help="Raw little-endian ids, without lines.", show_default=False),
]
Marker = Annotated[
    str | None,
    typer.Option("--marker", "--separator", metavar="TEXT", show_default="the model's own",
                 help="@@ behind pieces that go on, ▁ or Ġ before words, </w> behind words."),
]  # fmt: skip


def _output(ids: bool, binary: Width | None) -> str:
    return binary.value if binary is not None else "ids" if ids else "pieces"


def encode(
    model: Model,
    files: Files = None,
    output: options.Output = "-",
    ids: Ids = False,
    ids_binary: IdsBinary = None,
    marker: Marker = None,
    dropout: Annotated[
        float, typer.Option(min=0, max=1, metavar="P", help="Leave merges out at random.")
    ] = 0.0,
    seed: options.Seed = 1,
    glossaries: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGEX", help="What is never cut (repeatable; @FILE: one a line).", show_default=False
        ),
    ] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Cut pieces that are not in this list of `vocab`.", show_default=False
        ),
    ] = None,
    vocabulary_threshold: Annotated[
        int | None, typer.Option(metavar="N", help="Least count in --vocabulary.", show_default=False)
    ] = None,
    errors: options.Errors = options.TextErrors.strict,
    threads: options.Threads = None,
) -> None:
    """Cut text into pieces or ids, line by line.

    \b
    Example:
      mlkit bpe encode -m codes.txt < in.txt > out.txt
    """
    from mlkit.bpe import jobs

    with out.progress("Encoding") as report:
        jobs.encode_job(
            model, files or ["-"], output, kind=_output(ids, ids_binary), marker=marker, dropout=dropout, seed=seed,
            glossaries=glossaries or [], vocabulary=vocabulary, threshold=vocabulary_threshold,
            errors=errors.value, threads=threads, progress=report,
        )  # fmt: skip


def decode(
    model: Model,
    files: Files = None,
    output: options.Output = "-",
    ids: Ids = False,
    ids_binary: IdsBinary = None,
    marker: Marker = None,
    errors: options.Errors = options.TextErrors.strict,
    threads: options.Threads = None,
) -> None:
    """Put text together from pieces or ids.

    \b
    Example:
      mlkit bpe encode -m codes.txt < in.txt | mlkit bpe decode -m codes.txt
    """
    from mlkit.bpe import jobs

    jobs.decode_job(
        model, files or ["-"], output, kind=_output(ids, ids_binary), marker=marker, errors=errors.value,
        threads=threads,
    )  # fmt: skip


def vocab(
    model: Model,
    files: Files = None,
    output: options.Output = "-",
    marker: Marker = None,
    unused: Annotated[
        bool, typer.Option("--unused", help="List the tokens that do not occur.", show_default=False)
    ] = False,
    json: options.Json = False,
    errors: options.Errors = options.TextErrors.strict,
    threads: options.Threads = None,
) -> None:
    """Count the pieces of a text; `encode --vocabulary` reads the list.

    On stderr (and with --json): characters per token, tokens per word (fertility), unused tokens.

    \b
    Example:
      mlkit bpe vocab -m codes.txt < corpus.txt > vocab.txt
    """
    from mlkit.bpe import jobs

    with out.progress("Encoding") as report:
        found = jobs.vocab_job(
            model, files or ["-"], marker=marker, errors=errors.value, threads=threads, progress=report
        )
    figures = {
        "lines": found.lines, "words": found.words, "characters": found.characters, "bytes": found.bytes,
        "tokens": found.tokens, "distinct": len(found.counts), "unused": len(found.unused),
        "characters_per_token": round(found.characters_per_token, 6), "fertility": round(found.fertility, 6),
    }  # fmt: skip
    if json:
        out.json("mlkit.bpe.vocab", {"model": model, **figures})
        return
    rows = found.unused if unused else [f"{piece} {count}" for piece, count in found.counts]
    jobs.write_lines(output, rows)
    out.words(
        f"{found.tokens:,} tokens, {found.characters_per_token:.3f} characters per token, "
        f"{found.fertility:.3f} tokens per word, {len(found.unused):,} of the model's tokens unused"
    )


def inspect(
    model: Annotated[str, typer.Argument(help="Model to look at.", show_default=False)],
    words: Annotated[
        list[str] | None, typer.Argument(help="Words whose merges to show.", show_default=False)
    ] = None,
    json: options.Json = False,
) -> None:
    """Describe a model, or show the merges that make a word.

    \b
    Example:
      mlkit bpe inspect tokenizer.json lower newest
    """
    from mlkit.bpe import jobs

    if not words:
        facts = jobs.describe_job(model)
        if json:
            out.json("mlkit.bpe.model", facts)
        else:
            out.table(("property", "value"), [(name, str(value)) for name, value in facts.items()])
        return
    steps = jobs.explain_job(model, words)
    if json:
        for word in steps:
            out.json("mlkit.bpe.word", word)
        return
    rows = [
        (word["word"], str(step["rank"]), f"{step['left']} {step['right']}", " ".join(step["symbols"]))
        for word in steps
        for step in [{"rank": "", "left": "", "right": "", "symbols": word["symbols"]}, *word["merges"]]
    ]
    out.table(("word", "rank", "merge", "symbols"), rows)
