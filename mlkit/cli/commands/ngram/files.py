"""`mlkit ngram count`, `merge`, `convert`, `prune`, `mix` and `info`: count files and model files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.output import out
from mlkit.cli.workers import Workers

Model = Annotated[str, typer.Argument(help="Model: ARPA or binary.", show_default=False)]
CountFile = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Count file: text ('-' is stdout), or binary (.bin)."
    ),
]
Weights = Annotated[
    bool, typer.Option("--weights", help="Every line begins with its weight.", show_default=False)
]
SkipSymbols = Annotated[
    bool, typer.Option("--skip-symbols", help="Leave <s> and </s> in the text out.", show_default=False)
]
ModelFile = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="The model: ARPA, or binary if it ends in .bin.")
]


def discounts(given: list[str]) -> dict[int, tuple[float, ...]]:
    """Read ``3=0.5,1,1.5`` options."""
    found = {}
    for text in given:
        order, equals, values = text.partition("=")
        try:
            found[int(order)] = tuple(float(value) for value in values.split(","))
        except ValueError:
            equals = ""
        if not equals:
            raise typer.BadParameter(f"--discount {text!r}: something like 3=0.5,1,1.5 is expected")
    return found


def memory_bound(memory: str | None) -> int | None:
    """Read --memory, and warn when it cannot be kept."""
    from mlkit.ngram.train import LEAST_MEMORY

    if memory is None:
        return None
    bound = options.size(memory)
    if bound < LEAST_MEMORY:
        out.warn(
            f"--memory {memory}: the program itself takes most of the {LEAST_MEMORY >> 20}M that it needs at least"
        )
    return bound


def shards_of(order: int, errors: Any, weights: bool, skip_symbols: bool, memory: int | None) -> Any:
    """Return what makes the counting job of workers from their files, threads and scratch folder."""
    from mlkit.ngram.shards import NgramShards

    def job(files: tuple[str, ...], threads: int | None, scratch: str | None) -> NgramShards:
        return NgramShards(files, order, errors, weights, skip_symbols, memory, scratch, threads)

    return job


def count(
    corpus: Annotated[
        list[str], typer.Argument(help="Texts, one sentence per line; '-' is stdin.", show_default=False)
    ],
    output: CountFile = "-",
    order: Annotated[
        int, typer.Option("--order", "-n", min=1, metavar="N", help="Words of the longest n-grams.")
    ] = 3,
    weights: Weights = False,
    skip_symbols: SkipSymbols = False,
    errors: options.Errors = options.TextErrors.strict,
    shard: options.Shard = None,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
    threads: options.Threads = None,
    cluster: options.Cluster = None,
    processes: options.Processes = None,
) -> None:
    """Count the n-grams of texts, of all orders up to --order.

    Lines are 'words<TAB>count' as SRILM writes them; a name that ends in .bin asks for a compact binary file.
    --shard I/N counts the I-th of N parts of the input; 'merge' adds them up to the same bytes as one run.
    --processes N and --cluster do both, on several workers.
    --memory bounds the whole process (from about 180M on); sorted parts go to --tmp-dir.

    \b
    Example:
      mlkit ngram count corpus.txt --order 3 --shard 2/8 -o part2.counts
    """
    from mlkit.formats.streams import plain_suffix, refuse_same_file
    from mlkit.ngram.count_files import count_text, write_merged
    from mlkit.ngram.train import shelves_for, threads_for
    from mlkit.threads import thread_count

    refuse_same_file(output, corpus)
    bound = memory_bound(memory)
    binary = plain_suffix(output) == ".bin"
    workers = Workers(cluster, processes, output, tmp_dir, threads, shard)
    with out.progress("Counting") as report:
        if workers:
            job = shards_of(order, errors.value, weights, skip_symbols, bound)
            with workers.engine() as engine, workers.ranges(engine, corpus, job, report) as merged:
                sizes = write_merged(
                    merged.parts, merged.plan, merged.pieces, output, binary=binary,
                    threads=threads_for(bound, thread_count(threads)), shelves=shelves_for(bound, tmp_dir),
                    progress=report,
                )  # fmt: skip
        else:
            sizes = count_text(
                corpus, output, order=order, binary=binary, threads=threads_for(bound, thread_count(threads)),
                shelves=shelves_for(bound, tmp_dir), errors=errors.value,
                shard=None if shard is None else options.shard(shard), weighted=weights, skip_symbols=skip_symbols,
                progress=report,
            )  # fmt: skip
    out.words(", ".join(f"{size:,} {k}-grams" for k, size in enumerate(sizes, 1)))


def merge(
    parts: Annotated[list[str], typer.Argument(help="Count files, text or binary.", show_default=False)],
    output: CountFile = "-",
    errors: options.Errors = options.TextErrors.strict,
    memory: options.Memory = None,
    tmp_dir: options.TmpDir = None,
    threads: options.Threads = None,
) -> None:
    """Add count files up.

    Those of shards give the same bytes as one run over all texts.

    \b
    Example:
      mlkit ngram merge part*.counts -o all.counts
    """
    from mlkit.formats.streams import plain_suffix, refuse_same_file
    from mlkit.ngram.count_files import merge_counts
    from mlkit.ngram.train import shelves_for, threads_for
    from mlkit.threads import thread_count

    refuse_same_file(output, parts)
    bound = memory_bound(memory)
    with out.progress("Merging") as report:
        sizes = merge_counts(
            parts, output, binary=plain_suffix(output) == ".bin", threads=threads_for(bound, thread_count(threads)),
            shelves=shelves_for(bound, tmp_dir),
            errors=errors.value, progress=report,
        )  # fmt: skip
    out.words(", ".join(f"{size:,} {k}-grams" for k, size in enumerate(sizes, 1)))


def convert(
    source: Model,
    target: Annotated[
        str, typer.Argument(help="ARPA ('-' is stdout), or binary if it ends in .bin.", show_default=False)
    ],
    threads: options.Threads = None,
) -> None:
    """Convert a model between ARPA and the binary form that loads at once.

    ARPA may be compressed: .gz .xz .bz2 .zst.

    \b
    Example:
      mlkit ngram convert lm.arpa lm.bin
    """
    from mlkit.formats.streams import refuse_same_file
    from mlkit.ngram.model import load_model, save_model
    from mlkit.ngram.train import is_arpa_name
    from mlkit.threads import thread_count

    refuse_same_file(target, [source])
    save_model(load_model(source, thread_count(threads)), target, binary=not is_arpa_name(target))


def prune(
    model: Model,
    output: ModelFile,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", metavar="X", min=0, help="The rise of the perplexity that is too small to matter."
        ),
    ] = 1e-8,
    min_order: Annotated[
        int,
        typer.Option("--min-order", metavar="N", min=2, help="Prune n-grams of this order and longer ones."),
    ] = 2,
    threads: options.Threads = None,
) -> None:
    """Leave out the n-grams that change the perplexity least.

    This is the relative entropy of Stolcke (1998), as in SRILM's ngram -prune.

    \b
    Example:
      mlkit ngram prune lm.arpa -o small.arpa --threshold 1e-7
    """
    from mlkit.formats.streams import refuse_same_file
    from mlkit.ngram.model import load_model, save_model
    from mlkit.ngram.prune import prune_entropy
    from mlkit.ngram.train import is_arpa_name
    from mlkit.threads import thread_count

    refuse_same_file(output, [model])
    before = load_model(model, thread_count(threads))
    after = prune_entropy(before, threshold, min_order=min_order, threads=thread_count(threads))
    save_model(after, output, binary=not is_arpa_name(output))
    out.words(f"{sum(after.sizes):,} of {sum(before.sizes):,} n-grams are kept")


def mix(
    models: Annotated[list[str], typer.Argument(help="Models: ARPA or binary.", show_default=False)],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The mixture as one model; without it, only the weights are printed.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="'X X ...'",
            help="Weights of the models.",
            show_default="equal, or by --heldout",
        ),
    ] = None,
    heldout: Annotated[
        list[str] | None,
        typer.Option("--heldout", metavar="FILE", help="Text that the weights are tuned on (EM)."),
    ] = None,
    errors: options.Errors = options.TextErrors.strict,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Mix models linearly, and write the mixture as one model.

    --heldout finds the best weights on held-out text.

    \b
    Example:
      mlkit ngram mix news.arpa wiki.arpa --heldout valid.txt -o mixed.arpa
    """
    from mlkit.errors import UsageError
    from mlkit.formats.streams import refuse_same_file
    from mlkit.ngram.interpolate import mix_models, tune_weights
    from mlkit.ngram.model import load_model, save_model
    from mlkit.ngram.train import is_arpa_name
    from mlkit.threads import thread_count

    number = thread_count(threads)
    refuse_same_file(output, [*models, *(heldout or [])])
    if weights and heldout:
        raise UsageError("--weights and --heldout exclude each other")
    try:
        chosen = [float(value) for value in weights.replace(",", " ").split()] if weights else []
    except ValueError:
        raise UsageError(f"--weights {weights!r}: numbers such as '0.3 0.7' are expected") from None
    loaded = [load_model(path, number) for path in models]
    if heldout:
        chosen = tune_weights(loaded, heldout, threads=number, errors=errors.value)
    chosen = chosen or [1.0 / len(models)] * len(models)
    if output is not None:
        save_model(mix_models(loaded, chosen, threads=number), output, binary=not is_arpa_name(output))
    if json:
        out.json("mlkit.ngram.mix", {"models": models, "weights": chosen})
    elif output != "-":
        out.table(
            ["model", "weight"],
            [(path, f"{weight:.6f}") for path, weight in zip(models, chosen, strict=True)],
        )


def info(
    model: Model,
    text: Annotated[
        str | None,
        typer.Option(
            "--text", metavar="FILE", help="Tell how often n-grams of every order are hit in this text."
        ),
    ] = None,
    threads: options.Threads = None,
    json: options.Json = False,
) -> None:
    """Tell the kind, order, sizes and settings of a model.

    --text adds its hit rates on a text.

    \b
    Example:
      mlkit ngram info lm.arpa --text test.txt
    """
    from mlkit.ngram.model import load_model
    from mlkit.ngram.query import hit_rates
    from mlkit.threads import thread_count

    loaded = load_model(model, thread_count(threads))
    settings = loaded.settings
    rows: dict[str, object] = {
        "kind": settings.kind,
        "order": loaded.order,
        "words": len(loaded.vocabulary) - 1,
    }
    rows.update({f"{order}-grams": size for order, size in enumerate(loaded.sizes, 1)})
    if settings.alpha:
        rows["alpha"] = settings.alpha
    rows.update({name: value for name, value in settings.made.items() if value not in (None, [])})
    if text is not None:
        rows.update({f"hits of order {k}": round(rate, 6) for k, rate in hit_rates(loaded, [text]).items()})
    if json:
        out.json("mlkit.ngram.info", {"model": model, **rows})
    else:
        out.table(["name", "value"], rows.items())
