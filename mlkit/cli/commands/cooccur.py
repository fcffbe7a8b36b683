"""`mlkit cooccur`: count which words occur near which; `mlkit cooccur merge`: add up shards."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.default_group import app_with_default
from mlkit.cli.output import out
from mlkit.cli.workers import Workers

if TYPE_CHECKING:
    from mlkit.glove.cooccur import CooccurrenceCounts
    from mlkit.progress import Progress

app = app_with_default("Count which words occur near which.", default="count")


class Format(StrEnum):
    """Kinds of co-occurrence files."""

    mlkit = "mlkit"
    glove = "glove"


OutputFile = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="The co-occurrences.", show_default=False)
]
FormatOption = Annotated[
    Format,
    typer.Option("--format", help="mlkit's compact rows with the vocabulary, or GloVe's 16-byte records."),
]


@app.command()
def count(
    corpus: Annotated[
        list[str], typer.Argument(help="Texts: files, folders, '-' for stdin.", show_default=False)
    ],
    output: OutputFile,
    format: FormatOption = Format.mlkit,
    window: Annotated[int, typer.Option("--window", min=1, metavar="N", help="Largest distance.")] = 15,
    symmetric: Annotated[
        bool,
        typer.Option("--symmetric/--left-to-right", help="Count both neighbours, or those to the right."),
    ] = True,
    distance_weighting: Annotated[
        bool, typer.Option("--distance-weighting/--flat", help="Weigh by 1/distance, or all alike.")
    ] = True,
    vocab: Annotated[
        str | None,
        typer.Option("--vocab", metavar="FILE", help="Words of 'mlkit vocab', instead of counting."),
    ] = None,
    min_count: Annotated[
        int, typer.Option("--min-count", min=1, metavar="N", help="Leave out rarer words.")
    ] = 5,
    max_vocab: Annotated[
        int | None,
        typer.Option(
            "--max-vocab", min=1, metavar="N", help="Keep the N most frequent words.", show_default="all"
        ),
    ] = None,
    lower: Annotated[bool, typer.Option("--lower", help="Lowercase the text.", show_default=False)] = False,
    errors: options.Errors = options.TextErrors.strict,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
    threads: options.Threads = None,
    shard: options.Shard = None,
    cluster: options.Cluster = None,
    processes: options.Processes = None,
) -> None:
    """Count which words occur near which.

    Sentences end at line ends; words outside the vocabulary are left out before distances are measured, as in
    GloVe. Sums are exact: the result does not depend on --threads, --memory or shards.

    --memory bounds the whole process (from about 150M on); what exceeds it goes to sorted parts in --tmp-dir,
    which are added up in the end.

    --shard I/N counts one part of the input, with a common --vocab; 'mlkit cooccur merge' adds the parts up to the
    same bytes as one run. --processes N and --cluster do both, on several workers, the vocabulary included.

    \b
    Example:
      mlkit cooccur corpus.txt -o cooc.bin --window 15 --memory 1G
      mlkit train-glove cooc.bin -o vectors.txt
    """
    from mlkit.corpus.prepare import Vocabulary
    from mlkit.formats.streams import refuse_same_file
    from mlkit.glove.cooccur import count_cooccurrences
    from mlkit.threads import thread_count

    refuse_same_file(output, [*corpus, *([vocab] if vocab else [])])
    bound = options.size(memory) if memory else None
    shape: dict[str, Any] = {
        "window": window, "symmetric": symmetric, "distance_weighting": distance_weighting, "lower": lower,
        "errors": errors.value, "memory": bound,
    }  # fmt: skip
    workers = Workers(cluster, processes, output, tmp_dir, threads, shard)
    with out.progress("Counting") as progress:
        if workers:
            counts = _on_workers(
                workers, corpus, vocab, min_count, max_vocab, shape, format.value, progress
            )  # fmt: skip
        else:
            counts = count_cooccurrences(
                corpus, output, vocabulary=Vocabulary.load_known(vocab) if vocab else None, min_count=min_count,
                max_size=max_vocab, format=format.value, threads=thread_count(threads), tmp_dir=tmp_dir,
                shard=options.shard(shard) if shard else None, progress=progress, **shape,
            )  # fmt: skip
    _tell(counts)


@app.command()
def merge(
    parts: Annotated[list[str], typer.Argument(help="Co-occurrence files of shards.", show_default=False)],
    output: OutputFile,
    format: FormatOption = Format.mlkit,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
) -> None:
    """Add up co-occurrence files, such as those of shards.

    --format glove turns one or several into GloVe's records. Files are added up row by row; --memory bounds the
    process also while it writes GloVe's records.

    \b
    Example:
      mlkit vocab corpus.txt --min-count 5 -o vocab.txt
      mlkit cooccur corpus.txt --vocab vocab.txt --shard 1/2 -o part1.bin
      mlkit cooccur corpus.txt --vocab vocab.txt --shard 2/2 -o part2.bin
      mlkit cooccur merge part1.bin part2.bin -o cooc.bin
      mlkit cooccur merge cooc.bin --format glove -o cooccurrence.bin
    """
    from mlkit.formats.streams import refuse_same_file
    from mlkit.glove.cooccur import merge_cooccurrences

    refuse_same_file(output, parts)
    with out.progress("Merging") as progress:
        counts = merge_cooccurrences(
            parts, output, format=format.value, memory=options.size(memory) if memory else None, tmp_dir=tmp_dir,
            progress=progress,
        )  # fmt: skip
    _tell(counts)


def _on_workers(
    workers: Workers, corpus: list[str], vocab: str | None, min_count: int, max_vocab: int | None,
    shape: dict[str, Any], format: str, progress: Progress,
) -> CooccurrenceCounts:  # fmt: skip
    """Count the vocabulary on workers if there is none, then the co-occurrences, and add them up here."""
    import shutil

    from mlkit.corpus.prepare import merge_vocabularies
    from mlkit.corpus.shards import VocabularyShards
    from mlkit.errors import UsageError
    from mlkit.glove.cooccur import merge_cooccurrences
    from mlkit.glove.shards import CooccurrenceShards

    if format == "mlkit" and workers.output == "-":
        raise UsageError("mlkit's co-occurrence format needs a file; --format glove can be written to a pipe")
    words = {name: shape[name] for name in ("lower", "errors", "memory")}
    with workers.engine() as engine:
        common = engine.file("words.vocab")
        if vocab is not None:
            shutil.copyfile(vocab, common)
        else:
            with workers.parts(
                engine, corpus, lambda files, threads, scratch: VocabularyShards(
                    files, tmp_dir=scratch, threads=threads, **words
                ), progress,
            ) as parts:  # fmt: skip
                merge_vocabularies(
                    parts,
                    min_count=min_count,
                    max_size=max_vocab,
                    memory=shape["memory"],
                    tmp_dir=workers.tmp_dir,
                ).save(common)
        with workers.parts(
            engine, corpus, lambda files, threads, scratch: CooccurrenceShards(
                files, common, tmp_dir=scratch, threads=threads, **shape
            ), progress,
        ) as parts:  # fmt: skip
            return merge_cooccurrences(
                parts, workers.output, format=format, memory=shape["memory"], tmp_dir=workers.tmp_dir,
                progress=progress,
            )  # fmt: skip


def _tell(counts: CooccurrenceCounts) -> None:
    out.words(f"{counts.words:,} words, {counts.tokens:,} tokens, {counts.records:,} records")
