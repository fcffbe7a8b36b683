"""`mlkit train-w2v`: learn word vectors from text."""

from __future__ import annotations

from dataclasses import asdict, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.output import out
from mlkit.cli.registry import App
from mlkit.cli.workers import Workers, paths

if TYPE_CHECKING:
    from mlkit.word2vec.texts import Trained

app = App(help="Learn word vectors from text.")

MODEL, TEXT, HELD_OUT = "Model", "Text", "Held-out loss"


class Model(StrEnum):
    """Predict the neighbours of a word, or a word from its neighbours."""

    skipgram = "skipgram"
    cbow = "cbow"


class Loss(StrEnum):
    """Negative sampling, or hierarchical softmax."""

    ns = "ns"
    hs = "hs"


@app.command()
def train_w2v(
    corpus: Annotated[
        list[str], typer.Argument(help="Texts: files, folders, '-' for stdin.", show_default=False)
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The vectors ('-' is stdout).", show_default=False
        ),
    ],
    format: Annotated[
        options.VectorFormat | None,
        typer.Option(
            "--format", help="Kind of file.", show_default="by suffix: .bin, .glove, .safetensors, else text"
        ),
    ] = None,
    json: options.Json = False,
    model: Annotated[
        Model, typer.Option("--model", rich_help_panel=MODEL, help="What is predicted.")
    ] = Model.skipgram,
    loss: Annotated[
        Loss, typer.Option("--loss", rich_help_panel=MODEL, help="Negative sampling or hierarchical softmax.")
    ] = Loss.ns,
    dim: Annotated[int, options.whole("--dim", "Dimensions.", MODEL)] = 100,
    window: Annotated[
        int | None, options.whole("--window", "Largest distance between words.", MODEL, "10, or 5 for cbow")
    ] = None,
    negative: Annotated[int, options.whole("--negative", "Noise words per centre word.", MODEL)] = 5,
    ns_exponent: Annotated[
        float, options.number("--ns-exponent", "Noise goes by count to this power.", MODEL)
    ] = 0.75,
    share_negatives: Annotated[
        int,
        options.whole(
            "--share-negatives", "Centre words with the same noise words: faster, less exact.", MODEL
        ),
    ] = 1,
    sample: Annotated[
        float,
        options.number("--sample", "Words with a larger share of the text are thinned out (0: none).", MODEL),
    ] = 1e-3,
    epochs: Annotated[int, options.whole("--epochs", "Passes over the text.", MODEL)] = 5,
    lr: Annotated[
        options.Rate,
        options.rate(
            "--lr", help="Learning rate at the start", panel=MODEL, default="0.025, or 0.05 for cbow"
        ),
    ] = None,
    min_lr: Annotated[
        float | None,
        options.number("--min-lr", "Learning rate at the end (it falls linearly).", MODEL, "lr / 10000"),
    ] = None,
    shuffle: Annotated[
        bool,
        typer.Option(
            "--shuffle/--no-shuffle",
            help="Read blocks of the text in a new order in each epoch.",
            rich_help_panel=MODEL,
        ),
    ] = True,
    min_count: Annotated[int, options.whole("--min-count", "Leave out rarer words.", TEXT)] = 5,
    max_vocab: Annotated[
        int | None, options.whole("--max-vocab", "Keep the N most frequent words.", TEXT, "all")
    ] = None,
    lower: Annotated[
        bool, typer.Option("--lower", help="Lowercase the text.", show_default=False, rich_help_panel=TEXT)
    ] = False,
    vocab: Annotated[
        str | None, options.file("--vocab", "Words and counts of 'mlkit vocab', instead of counting.", TEXT)
    ] = None,
    encoded: Annotated[
        str | None, options.file("--encoded", "Keep the encoded text here, or use it if it is there.", TEXT)
    ] = None,
    init: Annotated[
        str | None, options.file("--init", "Begin with these vectors; new words are added.", TEXT)
    ] = None,
    save_output_vectors: Annotated[
        str | None, options.file("--save-output-vectors", "Write the output vectors, too (--loss ns).", MODEL)
    ] = None,
    valid: Annotated[
        str | None, options.file("--valid", "Held-out text to compute the loss of.", HELD_OUT)
    ] = None,
    valid_every: Annotated[
        float, options.number("--valid-every", "How often, in epochs; 0.25 is four times an epoch.", HELD_OUT)
    ] = 1.0,
    patience: Annotated[
        int | None,
        options.whole(
            "--patience",
            "Stop after N held-out losses without a new best, and keep the best vectors.",
            HELD_OUT,
            "never",
        ),
    ] = None,
    seed: options.Seed = 1,
    threads: options.Threads = None,
    errors: options.Errors = options.TextErrors.strict,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
    checkpoint: options.Checkpoint = None,
    checkpoint_every: options.CheckpointEvery = 600.0,
    resume: options.Resume = False,
    cluster: options.Cluster = None,
    processes: options.Processes = None,
    sync: options.Sync = None,
) -> None:
    """Learn word vectors from text.

    Skip-gram or CBOW with negative sampling or hierarchical softmax, as word2vec: one sentence a line, words
    separated by white space. --threads 1 gives the same bytes every time; more threads share the vectors
    without locks, which is as good but not repeatable.

    SIGTERM and SIGUSR1 save --checkpoint and end the run; --resume continues it.

    --processes N and --cluster train a shard of the text on each worker, from weights that they put together --sync
    times in an epoch. With --threads 1 the result depends on the number of workers only; it is less good than
    that of one machine where rounds are long (mlkit help workers): raise --sync.

    \b
    Example:
      mlkit train-w2v corpus.txt -o vectors.txt --dim 50 --min-count 1
      mlkit train-w2v corpus.txt -o vectors.bin --model cbow --loss hs --threads 2
    """
    from mlkit.checkpoint import Checkpoints
    from mlkit.cli.learning_rate import Choice
    from mlkit.errors import UsageError
    from mlkit.formats.streams import refuse_same_file
    from mlkit.signals import StopSignals
    from mlkit.word2vec.texts import Texts, train_texts
    from mlkit.word2vec.train import Settings

    if resume and checkpoint is None:
        raise UsageError("--resume needs --checkpoint FILE")
    workers = Workers(cluster, processes, output, tmp_dir, threads)
    if sync is not None and not workers:
        raise UsageError("--sync needs --cluster or --processes")
    if patience is not None and valid is None:
        raise UsageError("--patience needs --valid FILE")
    if save_output_vectors is not None and loss is Loss.hs:
        raise UsageError("--save-output-vectors needs --loss ns: the output vectors of hs belong to no words")
    inputs = [*corpus, *[path for path in (vocab, init, valid) if path is not None]]
    for path in (output, save_output_vectors, encoded, checkpoint):
        refuse_same_file(path, inputs)
    choice = Choice(lr, checkpoint, resume)
    settings = Settings(
        model=model.value, loss=loss.value, dim=dim, window=window, negative=negative, ns_exponent=ns_exponent,
        share_negatives=share_negatives, sample=sample, epochs=epochs, min_lr=min_lr, seed=seed, shuffle=shuffle,
        **choice.settings,
    )  # fmt: skip
    texts = Texts(
        corpus, min_count=min_count, max_vocab=max_vocab, lower=lower, vocabulary=vocab, encoded=encoded,
        errors=errors.value, memory=options.size(memory) if memory else None, tmp_dir=tmp_dir, init=init,
        valid=valid, valid_every=valid_every, patience=patience,
    )  # fmt: skip
    with StopSignals(keyboard=checkpoint is not None) as stop, out.progress("Training") as progress:
        job: dict[str, Any] = {
            "checkpoints": Checkpoints(checkpoint, checkpoint_every, stop), "resume": resume,
            "find_rate": choice.finder(progress, stop), "progress": progress,
        }  # fmt: skip
        if workers:
            from mlkit.word2vec.distributed import train_texts_on

            with workers.engine() as engine:
                texts = replace(texts, sources=paths(engine, corpus))
                trained = train_texts_on(workers.crew(engine, sync), texts, settings, **job)
        else:
            trained = train_texts(texts, settings, threads=threads, **job)
    _write(trained, output, format, save_output_vectors)
    _tell(trained, json, corpus, output)


def _write(trained: Trained, output: str, format: options.VectorFormat | None, outputs: str | None) -> None:
    from mlkit.formats.vectors import save_vectors

    kind = format.value if format else None
    save_vectors(output, trained.words, trained.vectors, kind)
    if outputs is not None:
        save_vectors(outputs, trained.vocabulary.words(), trained.output_vectors, kind)


def _tell(trained: Trained, json: bool, corpus: list[str], output: str) -> None:
    record = trained.record
    for epoch, held_out in record.valid_losses:
        out.words(f"epoch {epoch:g}: held-out loss {held_out:.4f}")
    if not record.losses:
        out.warn("no word has a neighbour: the vectors are as they were at the start")
    loss = f"loss {record.losses[-1]:.4f}, " if record.losses else ""
    out.words(f"{len(trained.words):,} words, {loss}{record.words / max(record.seconds, 1e-9):,.0f} words/s")
    if json:
        summary = {
            "words": len(trained.words), "losses": record.losses, "valid_losses": record.valid_losses,
            "words_read": record.words, "seconds": record.seconds, "cpu_seconds": record.cpu_seconds,
            "stopped_early": record.stopped_early, "corpus": corpus, "output": output,
        }  # fmt: skip
        out.json("mlkit.train-w2v", summary, asdict(trained.settings))
