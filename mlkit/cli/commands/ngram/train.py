"""`mlkit ngram`: make language models: train, count, merge, convert, prune, mix, info."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.ngram import files as ngram_files
from mlkit.cli.commands.ngram import use
from mlkit.cli.output import out
from mlkit.cli.registry import App
from mlkit.cli.workers import Workers

if TYPE_CHECKING:
    from mlkit.ngram.smoothing import Smoothing

app = App(help="Count n-grams, train and use n-gram language models.")


class Method(StrEnum):
    """How unseen n-grams get their share."""

    modified_kneser_ney = "modified-kneser-ney"
    kneser_ney = "kneser-ney"
    absolute = "absolute"
    witten_bell = "witten-bell"
    good_turing = "good-turing"
    katz = "katz"
    jelinek_mercer = "jelinek-mercer"
    stupid_backoff = "stupid-backoff"
    laplace = "laplace"
    mle = "mle"


SMOOTHING = "Smoothing"
WORDS = "Vocabulary"


@app.command()
def train(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(help="Texts, one sentence per line; '-' is stdin.", show_default=False),
    ] = None,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help="The model: ARPA, or binary if it ends in .bin."),
    ] = "-",
    order: Annotated[
        int, typer.Option("--order", "-n", min=1, metavar="N", help="Words of the longest n-grams.")
    ] = 3,
    counts: Annotated[
        list[str] | None,
        typer.Option("--counts", metavar="FILE", help="Learn from count files, not from texts."),
    ] = None,
    smoothing: Annotated[
        Method, typer.Option("--smoothing", help="Smoothing method.", rich_help_panel=SMOOTHING)
    ] = Method.modified_kneser_ney,
    alpha: Annotated[
        float,
        typer.Option(
            "--alpha", metavar="X", help="What laplace adds to every count.", rich_help_panel=SMOOTHING
        ),
    ] = 1.0,
    interpolate: Annotated[
        bool | None,
        typer.Option(
            "--interpolate/--back-off",
            help="Mix lower orders into seen n-grams, or only back off to them.",
            show_default="the method's usual form",
            rich_help_panel=SMOOTHING,
        ),
    ] = None,
    discount: Annotated[
        list[str] | None,
        typer.Option(
            "--discount",
            metavar="N=D[,D...]",
            rich_help_panel=SMOOTHING,
            help="Discounts of order N for the counts 1, 2, ... instead of the estimated ones.",
        ),
    ] = None,
    backoff_factor: Annotated[
        float,
        typer.Option("--backoff-factor", metavar="X", help="Of stupid-backoff.", rich_help_panel=SMOOTHING),
    ] = 0.4,
    interpolate_unigrams: Annotated[
        bool,
        typer.Option(
            "--interpolate-unigrams/--no-interpolate-unigrams",
            rich_help_panel=SMOOTHING,
            help="Share the mass of unseen words among all words, or give it to the unknown word (SRILM).",
        ),
    ] = True,
    heldout: Annotated[
        list[str] | None,
        typer.Option(
            "--heldout", metavar="FILE", help="Text for jelinek-mercer's weights.", rich_help_panel=SMOOTHING
        ),
    ] = None,
    prune: Annotated[
        str | None,
        typer.Option(
            "--prune", metavar="'0 1 1'", help="Leave out n-grams of order 1, 2, ... up to these counts."
        ),
    ] = None,
    prune_entropy: Annotated[
        float,
        typer.Option(
            "--prune-entropy", metavar="X", help="Leave out n-grams that change the perplexity by less."
        ),
    ] = 0.0,
    vocab: Annotated[
        str | None,
        typer.Option(
            "--vocab", metavar="FILE", help="Use these words only, one a line.", rich_help_panel=WORDS
        ),
    ] = None,
    min_count: Annotated[
        float,
        typer.Option("--min-count", metavar="N", help="Rarer words are unknown.", rich_help_panel=WORDS),
    ] = 0,
    vocab_size: Annotated[
        int | None,
        typer.Option(
            "--vocab-size", min=1, metavar="N", help="Use the N most frequent words.", rich_help_panel=WORDS
        ),
    ] = None,
    unk: Annotated[
        str, typer.Option("--unk", metavar="WORD", help="Name of the unknown word.", rich_help_panel=WORDS)
    ] = "<unk>",
    weights: ngram_files.Weights = False,
    skip_symbols: ngram_files.SkipSymbols = False,
    errors: options.Errors = options.TextErrors.strict,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
    threads: options.Threads = None,
    cluster: options.Cluster = None,
    processes: options.Processes = None,
    json: options.Json = False,
) -> None:
    """Train an n-gram language model.

    p(w1 ... wT) is a product of p(wt | history) (chain rule), and histories are cut to N-1 words (Markov
    assumption). Every line is a sentence: <s> stands before it and </s> is predicted after it.

    The default, interpolated modified Kneser-Ney, gives lmplz's numbers. laplace, mle and stupid-backoff need
    a .bin model, for ARPA files cannot hold them. Back-off forms and --prune-entropy hold the whole model in
    memory.

    --memory bounds the whole process (from about 180M on); sorted parts go to --tmp-dir. Without it they do
    from 600M on. --processes N and --cluster count on several workers, and estimate here.

    \b
    Example:
      mlkit ngram train corpus.txt -o lm.arpa --order 3
      mlkit ngram train corpus.txt -o lm.bin --order 2 --smoothing laplace --alpha 1
    """
    from mlkit.errors import UsageError
    from mlkit.formats.streams import refuse_same_file
    from mlkit.ngram.smoothing import Smoothing
    from mlkit.ngram.train import TrainSettings, read_word_list
    from mlkit.ngram.train import train as run
    from mlkit.threads import thread_count

    texts, files = corpus or [], counts or []
    refuse_same_file(output, [*texts, *files, *(heldout or [])])
    try:
        thresholds = tuple(float(value) for value in (prune or "").replace(",", " ").split())
    except ValueError:
        raise UsageError(f"--prune {prune!r}: numbers such as '0 1 1' are expected") from None
    method: Smoothing = Smoothing(
        smoothing.value, interpolate, alpha, backoff_factor, ngram_files.discounts(discount or []),
        interpolate_unigrams=interpolate_unigrams,
    )  # fmt: skip
    settings = TrainSettings(
        order, method, thresholds, prune_entropy, min_count, vocab_size,
        None if vocab is None else read_word_list(vocab, errors.value), unk, weights, skip_symbols, errors.value,
        ngram_files.memory_bound(memory), tmp_dir, thread_count(threads),
    )  # fmt: skip
    workers = Workers(cluster, processes, output, tmp_dir, threads)
    with out.progress("Training") as report:
        if workers:
            found = _on_workers(workers, output, settings, texts, files, heldout or [], report)
        else:
            found = run(output, settings, texts=texts, counts=files, heldout=heldout or [], progress=report)
    for warning in found.warnings:
        out.warn(warning)
    sizes = ", ".join(f"{size:,} {k}-grams" for k, size in enumerate(found.kept, 1))
    out.words(f"{sizes} from {found.sentences:,.0f} sentences")
    if json:
        result = {
            "sizes": found.kept,
            "unpruned": found.found,
            "sentences": found.sentences,
            "discounts": found.discounts,
        }
        out.json("mlkit.ngram.train", result)


def _on_workers(
    workers: Workers, output: str, settings: Any, texts: list[str], counts: list[str], heldout: list[str],
    report: Any,
) -> Any:  # fmt: skip
    """Count on workers, then train from the counts."""
    from dataclasses import replace

    from mlkit.errors import UsageError
    from mlkit.ngram.train import check_training, train

    if counts:
        raise UsageError("--cluster and --processes count texts; --counts needs no counting")
    check_training(output, settings, texts=texts, heldout=heldout)
    job = ngram_files.shards_of(
        settings.order, settings.errors, settings.weighted, settings.skip_symbols, settings.memory
    )
    with workers.engine() as engine, workers.parts(engine, texts, job, report) as parts:
        counted = replace(settings, weighted=False, skip_symbols=False)
        return train(output, counted, counts=parts, heldout=heldout, progress=report)


for name, command in (
    ("count", ngram_files.count), ("merge", ngram_files.merge), ("perplexity", use.perplexity),
    ("score", use.score), ("generate", use.generate), ("mix", ngram_files.mix),
    ("prune", ngram_files.prune), ("convert", ngram_files.convert), ("info", ngram_files.info),
):  # fmt: skip
    app.command(name)(command)
