"""`mlkit train-glove`: learn word vectors from co-occurrences."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.output import out
from mlkit.cli.registry import App

if TYPE_CHECKING:
    from mlkit.glove.texts import Trained

app = App(help="Learn word vectors from co-occurrences.")

MODEL, TEXT, HELD_OUT = "Model", "Text", "Held-out loss"


class Vectors(StrEnum):
    """Which vectors of a word to write."""

    sum = "sum"
    word = "word"
    context = "context"
    both = "both"


def _switch(names: str, help: str, panel: str = TEXT, default: Any = True) -> Any:
    return typer.Option(names, help=help, rich_help_panel=panel, show_default=default)


@app.command()
def train_glove(
    input: Annotated[
        list[str],
        typer.Argument(help="Texts, or a file of 'mlkit cooccur', or GloVe's records.", show_default=False),
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
    dim: Annotated[int, options.whole("--dim", "Dimensions.", MODEL)] = 50,
    epochs: Annotated[int, options.whole("--epochs", "Passes over the records.", MODEL)] = 25,
    x_max: Annotated[
        float, options.number("--x-max", "Records of this weight or more count fully.", MODEL)
    ] = 100.0,
    alpha: Annotated[
        float, options.number("--alpha", "Lighter ones count (weight / x-max) to this power.", MODEL)
    ] = 0.75,
    lr: Annotated[options.Rate, options.rate("--lr", help="Learning rate (of AdaGrad)", panel=MODEL)] = 0.05,
    clip: Annotated[float, options.number("--clip", "Bound of every gradient.", MODEL)] = 100.0,
    output_vectors: Annotated[
        Vectors,
        typer.Option("--output-vectors", rich_help_panel=MODEL, help="Word vector + context vector, or ..."),
    ] = Vectors.sum,
    init: Annotated[
        str | None, options.file("--init", "Begin with these vectors; new words are added.", MODEL)
    ] = None,
    unk: Annotated[
        bool, _switch("--unk", "Append <unk>, the mean of the 100 rarest words, as GloVe does.", MODEL, False)
    ] = False,
    vocab: Annotated[
        str | None, options.file("--vocab", "Words of 'mlkit vocab'; needed for GloVe's records.", TEXT)
    ] = None,
    window: Annotated[int, options.whole("--window", "Largest distance.", TEXT)] = 15,
    symmetric: Annotated[
        bool, _switch("--symmetric/--left-to-right", "Both neighbours, or those to the right.")
    ] = True,
    distance_weighting: Annotated[
        bool, _switch("--distance-weighting/--flat", "Weigh by 1/distance, or not.")
    ] = True,
    min_count: Annotated[int, options.whole("--min-count", "Leave out rarer words.", TEXT)] = 5,
    max_vocab: Annotated[
        int | None, options.whole("--max-vocab", "Keep the N most frequent words.", TEXT, "all")
    ] = None,
    lower: Annotated[bool, _switch("--lower", "Lowercase the text.", TEXT, False)] = False,
    held_out: Annotated[
        float, options.number("--held-out", "Share of the records to keep for a held-out loss.", HELD_OUT)
    ] = 0.0,
    patience: Annotated[
        int | None,
        options.whole("--patience", "Stop after N epochs without a new best.", HELD_OUT, "never"),
    ] = None,
    seed: options.Seed = 1,
    threads: options.Threads = None,
    errors: options.Errors = options.TextErrors.strict,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
    checkpoint: options.Checkpoint = None,
    checkpoint_every: options.CheckpointEvery = 600.0,
    resume: options.Resume = False,
) -> None:
    """Learn word vectors from co-occurrences.

    Texts are counted first, as 'mlkit cooccur' does. The result does not depend on --threads. A run that was
    stopped continues from --checkpoint with --resume, to the same bytes.

    \b
    Example:
      mlkit train-glove corpus.txt -o vectors.txt --min-count 1 --epochs 5
      mlkit cooccur corpus.txt -o cooc.bin
      mlkit train-glove cooc.bin -o vectors.txt --dim 100 --epochs 15
    """
    from mlkit.checkpoint import Checkpoints
    from mlkit.cli.learning_rate import Choice
    from mlkit.errors import UsageError
    from mlkit.formats.streams import refuse_same_file
    from mlkit.glove.texts import Counting, train_inputs
    from mlkit.glove.train import Settings
    from mlkit.signals import StopSignals
    from mlkit.threads import thread_count

    if resume and checkpoint is None:
        raise UsageError("--resume needs --checkpoint FILE")
    for path in (output, checkpoint):
        refuse_same_file(path, [*input, *[path for path in (vocab, init) if path is not None]])
    choice = Choice(lr, checkpoint, resume)
    settings = Settings(
        dim=dim, epochs=epochs, x_max=x_max, alpha=alpha, clip=clip, held_out=held_out, patience=patience, seed=seed,
        **choice.settings,
    )  # fmt: skip
    counting = Counting(window, symmetric, distance_weighting, min_count, max_vocab, lower, errors.value)
    with StopSignals(keyboard=checkpoint is not None) as stop, out.progress("Training") as progress:
        trained = train_inputs(
            input, settings, counting=counting, vocabulary=vocab, initial=init, threads=thread_count(threads),
            memory=options.size(memory) if memory else None, tmp_dir=tmp_dir,
            checkpoints=Checkpoints(checkpoint, checkpoint_every, stop), resume=resume,
            find_rate=choice.finder(progress, stop), progress=progress,
        )  # fmt: skip
    _write(trained, output, format, output_vectors, unk)
    if json:
        vectors = trained.vectors
        out.json("mlkit.train-glove", {
            "words": len(trained.words), "records": vectors.records, "losses": vectors.history.losses,
            "valid_losses": vectors.history.valid_losses, "stopped_early": vectors.history.stopped_early,
            "seconds": vectors.seconds, "cpu_seconds": vectors.cpu_seconds, "input": input, "output": output,
        }, asdict(settings) | choice.settings)  # fmt: skip


def _write(
    trained: Trained, output: str, format: options.VectorFormat | None, which: Vectors, unk: bool
) -> None:
    import numpy as np

    from mlkit.formats.vectors import save_vectors

    words, matrix = trained.words, trained.vectors.output(which.value)
    if unk and "<unk>" not in words:
        words, matrix = [*words, "<unk>"], np.vstack((matrix, matrix[-100:].mean(axis=0, dtype=np.float64)))
    save_vectors(output, words, np.ascontiguousarray(matrix, np.float32), format.value if format else None)
    history = trained.vectors.history
    for epoch, loss in enumerate(history.losses, 1):
        held_out = f", held-out {history.valid_losses[epoch - 1]:.6f}" if history.valid_losses else ""
        out.detail(f"epoch {epoch}: cost {loss:.6f}{held_out}")
    rate = trained.vectors.records * len(history.losses) / max(trained.vectors.seconds, 1e-9)
    out.words(f"{len(words):,} words, cost {history.losses[-1]:.6f}, {rate:,.0f} records/s")
