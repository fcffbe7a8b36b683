"""`mlkit bpe`: learn a byte pair encoding, use it, look at it (encode, decode, vocab, inspect are in bpe_text)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.bpe import text
from mlkit.cli.output import out
from mlkit.cli.registry import App
from mlkit.cli.workers import Workers

app = App(help="Learn, apply and convert byte pair encodings.")


class Type(StrEnum):
    """What words and symbols are."""

    bytes = "bytes"
    chars = "chars"
    metaspace = "metaspace"


class Format(StrEnum):
    """Files of models."""

    hf = "hf"
    gpt2 = "gpt2"
    subword_nmt = "subword-nmt"
    fastbpe = "fastbpe"


class Ties(StrEnum):
    """Which of equally frequent pairs is merged first."""

    hf = "hf"
    subword_nmt = "subword-nmt"


TypeOption = Annotated[
    Type | None,
    typer.Option(
        "--type", show_default="bytes, or that of --counts",
        help="bytes: GPT-2's byte level, lossless. chars: words between spaces, </w> at their end. "
        "metaspace: words begin with ▁.",
    ),
]  # fmt: skip
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="Format of the model.", show_default="by the file's name")
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights", metavar="N,N,...", help="Count the words of each file N times.", show_default=False
    ),
]
Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILES]...", help="Texts, one sentence a line.", show_default="-"),
]


@app.command()
def learn(
    files: Files = None,
    output: options.Output = "-",
    type_: TypeOption = None,
    vocab_size: Annotated[
        int | None, typer.Option(min=1, help="Tokens in all.", show_default="32000 without --merges")
    ] = None,
    merges: Annotated[
        int | None, typer.Option("--merges", "-s", min=0, help="Merges to learn.", show_default=False)
    ] = None,
    min_frequency: Annotated[int, typer.Option(min=0, help="Least count of a pair that is merged.")] = 2,
    max_token_length: Annotated[
        int | None,
        typer.Option(min=2, help="Keep tokens shorter than this (bytes or characters).", show_default=False),
    ] = None,
    special: Annotated[
        str | None,
        typer.Option(metavar="TOKEN,...", help="Special tokens; they get the first ids.", show_default=False),
    ] = None,
    ties: Annotated[
        Ties | None, typer.Option(help="Order of equally frequent pairs.", show_default="by --type")
    ] = None,
    end_of_word: Annotated[str, typer.Option(metavar="TEXT", help="Marker of chars; '' for none.")] = "</w>",
    init_merges: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Extend this model: its merges come first.", show_default=False),
    ] = None,
    counts: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Learn from word counts instead of text.", show_default=False),
    ] = None,
    format_: FormatOption = None,
    weights: Weights = None,
    errors: options.Errors = options.TextErrors.strict,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
    threads: options.Threads = None,
    cluster: options.Cluster = None,
    processes: options.Processes = None,
) -> None:
    """Learn a model from text or word counts.

    Memory is that of the distinct words (about 150 bytes each), not of the text; --memory bounds the tables of
    counting. The same input gives the same bytes for any number of threads. --processes N and --cluster count on
    several workers, and learn here.

    \b
    Example:
      mlkit bpe learn corpus.txt -o tokenizer.json --vocab-size 32000 --type bytes
    """
    from mlkit.bpe import jobs

    out_name = output if format_ or output != "-" else "tokenizer.json"
    workers = Workers(cluster, processes, output, tmp_dir, threads)
    bound = None if memory is None else options.size(memory)
    with out.progress("Learning") as report:
        done = jobs.learn_job(
            jobs.LearnJob(
                files=tuple(files or ["-"]), output=output, counts=counts, init=init_merges,
                kind=None if type_ is None else type_.value, vocab_size=vocab_size, merges=merges,
                min_frequency=min_frequency, max_token_length=max_token_length, special=special,
                ties=None if ties is None else ties.value, suffix=end_of_word, weights=weights,
                format=None if format_ is None else format_.value, name=out_name, errors=errors.value,
                memory=bound, tmp_dir=tmp_dir, threads=threads,
            ),
            report,
            counted=_counter(workers, files or ["-"], weights, errors.value, bound, report) if workers else None,
        )  # fmt: skip
    out.words(f"{len(done.merges):,} merges, {len(done.vocabulary):,} tokens")


def _counter(
    workers: Workers, files: list[str], weights: str | None, errors: str, memory: int | None, report: Any
) -> Callable[[str], AbstractContextManager[list[str]]]:
    """Return what counts words of a kind on workers and gives the part files."""
    from contextlib import contextmanager

    from mlkit.bpe.shards import WordShards

    @contextmanager
    def counted(kind: str) -> Iterator[list[str]]:
        def job(names: tuple[str, ...], threads: int | None, scratch: str | None) -> WordShards:
            return WordShards(names, kind, weights, errors, memory, scratch, threads)

        with workers.engine() as engine, workers.parts(engine, files, job, report) as parts:
            yield parts

    return counted


@app.command()
def count(
    files: Files = None,
    output: options.Output = "-",
    type_: TypeOption = None,
    weights: Weights = None,
    shard: options.Shard = None,
    errors: options.Errors = options.TextErrors.strict,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
    threads: options.Threads = None,
    cluster: options.Cluster = None,
    processes: options.Processes = None,
) -> None:
    """Count words for `learn --counts`.

    --memory bounds the tables; beyond it sorted parts go to --tmp-dir. --processes N and --cluster count shards
    on several workers and add them up.

    \b
    Example:
      mlkit bpe count corpus.txt --shard 1/4 -o part1.tsv
    """
    from mlkit.bpe import jobs

    kind = "bytes" if type_ is None else type_.value
    bound = None if memory is None else options.size(memory)
    workers = Workers(cluster, processes, output, tmp_dir, threads, shard)
    with out.progress("Counting") as report:
        if workers:
            with _counter(workers, files or ["-"], weights, errors.value, bound, report)(kind) as parts:
                words = jobs.merge_job(parts, output)
        else:
            words = jobs.count_job(
                files or ["-"], output, kind, weights=weights,
                shard=None if shard is None else options.shard(shard), errors=errors.value, memory=bound,
                tmp_dir=tmp_dir, threads=threads, progress=report,
            )  # fmt: skip
    out.words(f"{words:,} distinct words")


@app.command()
def merge(
    files: Annotated[list[str], typer.Argument(help="Files of word counts.", show_default=False)],
    output: options.Output = "-",
) -> None:
    """Add up files of word counts.

    \b
    Example:
      mlkit bpe merge part*.tsv -o counts.tsv
    """
    from mlkit.bpe import jobs

    out.words(f"{jobs.merge_job(files, output):,} distinct words")


@app.command()
def convert(
    model: Annotated[str, typer.Argument(help="Model to read, of any format.", show_default=False)],
    output: Annotated[str, typer.Argument(help="Model to write.", show_default=False)],
    format_: FormatOption = None,
) -> None:
    """Write a model in another format.

    \b
    Example:
      mlkit bpe convert codes.txt tokenizer.json
    """
    from mlkit.bpe import jobs

    jobs.convert_job(model, output, None if format_ is None else format_.value)


for command in (text.encode, text.decode, text.vocab, text.inspect):
    app.command()(command)
