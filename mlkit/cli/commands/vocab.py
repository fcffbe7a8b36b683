"""`mlkit vocab`: count the words of texts; `mlkit vocab merge`: add up the counts of shards."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mlkit.cli import options
from mlkit.cli.default_group import app_with_default
from mlkit.cli.output import out
from mlkit.cli.workers import Workers

if TYPE_CHECKING:
    from mlkit.formats.vocabulary import Vocabulary

app = app_with_default("Count the words of texts.", default="count")


class Format(StrEnum):
    """What stands between a word and its count."""

    tsv = "tsv"
    word2vec = "word2vec"


OutputFile = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="The vocabulary ('-' is stdout).")
]
MinCount = Annotated[int, typer.Option("--min-count", min=1, metavar="N", help="Leave out rarer words.")]
MaxSize = Annotated[
    int | None,
    typer.Option(
        "--max-size", min=1, metavar="N", help="Keep the N most frequent words.", show_default="all"
    ),
]
FormatOption = Annotated[
    Format, typer.Option("--format", help="word<TAB>count, or 'word count' as word2vec and GloVe have it.")
]


@app.command()
def count(
    corpus: Annotated[
        list[str], typer.Argument(help="Texts: files, folders, '-' for stdin.", show_default=False)
    ],
    output: OutputFile = "-",
    min_count: MinCount = 1,
    max_size: MaxSize = None,
    lower: Annotated[
        bool, typer.Option("--lower", help="Lowercase the text first.", show_default=False)
    ] = False,
    format: FormatOption = Format.tsv,
    errors: options.Errors = options.TextErrors.strict,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
    threads: options.Threads = None,
    shard: options.Shard = None,
    cluster: options.Cluster = None,
    processes: options.Processes = None,
) -> None:
    """Count the words of texts.

    Words are what ASCII white space separates; the result is sorted by descending count, then by bytes, and does
    not depend on --threads.

    --memory bounds the whole process while it counts (from about 110M on); the words that are kept take 120
    bytes each on top of the least.

    --shard I/N counts the I-th of N parts of the input; 'mlkit vocab merge' adds them up to the same bytes as one
    run. --processes N and --cluster do both, on several workers.

    \b
    Example:
      mlkit vocab corpus.txt -o vocab.txt --min-count 5
      mlkit vocab merge part1.txt part2.txt -o vocab.txt
    """
    from mlkit.corpus.prepare import build_vocabulary
    from mlkit.errors import UsageError
    from mlkit.formats.streams import refuse_same_file
    from mlkit.threads import thread_count

    if shard is not None and (min_count > 1 or max_size is not None):
        raise UsageError(
            "--min-count and --max-size belong to 'mlkit vocab merge' when the input is in shards"
        )
    refuse_same_file(output, corpus)
    bound = options.size(memory) if memory else None
    workers = Workers(cluster, processes, output, tmp_dir, threads, shard)
    with out.progress("Counting") as progress:
        if workers:
            from mlkit.corpus.prepare import merge_vocabularies
            from mlkit.corpus.shards import VocabularyShards

            with (
                workers.engine() as engine,
                workers.parts(
                    engine, corpus, lambda files, number, scratch: VocabularyShards(
                        files, lower, errors.value, bound, scratch, number
                    ), progress,
                ) as parts,
            ):  # fmt: skip
                vocabulary = merge_vocabularies(
                    parts, min_count=min_count, max_size=max_size, memory=bound, tmp_dir=tmp_dir
                )
        else:
            vocabulary = build_vocabulary(
                corpus, min_count=min_count, max_size=max_size, lower=lower, errors=errors.value,
                threads=thread_count(threads), memory=bound, tmp_dir=tmp_dir,
                shard=options.shard(shard) if shard else None, progress=progress,
            )  # fmt: skip
    _write(vocabulary, output, format)


@app.command()
def merge(
    parts: Annotated[list[str], typer.Argument(help="Vocabulary files of shards.", show_default=False)],
    output: OutputFile = "-",
    min_count: MinCount = 1,
    max_size: MaxSize = None,
    format: FormatOption = Format.tsv,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
) -> None:
    """Add up vocabulary files, such as those of shards.

    --memory bounds the whole process while it adds up, as in 'mlkit vocab'.

    \b
    Example:
      mlkit vocab corpus.txt --shard 1/2 -o part1.txt
      mlkit vocab corpus.txt --shard 2/2 -o part2.txt
      mlkit vocab merge part1.txt part2.txt -o vocab.txt --min-count 5
    """
    from mlkit.corpus.prepare import merge_vocabularies
    from mlkit.formats.streams import refuse_same_file

    refuse_same_file(output, parts)
    bound = options.size(memory) if memory else None
    vocabulary = merge_vocabularies(
        parts, min_count=min_count, max_size=max_size, memory=bound, tmp_dir=tmp_dir
    )
    _write(vocabulary, output, format)


def _write(vocabulary: Vocabulary, output: str, format: Format) -> None:
    vocabulary.save(output, format.value)
    out.words(f"{len(vocabulary):,} words, {vocabulary.tokens:,} tokens")
