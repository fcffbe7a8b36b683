"""`mlkit kmeans`: clusters of the rows of tables and of word vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.clustering import options as c
from mlkit.cli.commands.tables import options as t
from mlkit.cli.default_group import app_with_default
from mlkit.cli.output import out

if TYPE_CHECKING:
    from mlkit.clustering.kmeans import KMeansResult
    from mlkit.clustering.model import KMeansModel

app = app_with_default("Cluster tables and word vectors by k-means.", "train")

Clusters = Annotated[int, typer.Option("--clusters", "-k", min=1, metavar="N", help="How many clusters.")]
Start = Annotated[
    str,
    typer.Option(
        "--init",
        metavar="HOW|FILE",
        help="++ (k-means++), random rows, or a file of centres: a model, table or vectors.",
    ),
]
Rounds = Annotated[int, typer.Option("--max-iterations", min=1, metavar="N", help="Rounds at most.")]
Algorithm = Annotated[
    str,
    typer.Option("--algorithm", metavar="NAME", help="hamerly (bounds) or lloyd; the result is the same."),
]
Cosine = Annotated[bool, typer.Option("--cosine", help="Rows and centres of length 1: spherical k-means.")]
Batch = Annotated[
    int | None,
    typer.Option("--batch", min=1, metavar="N", help="Mini-batches of N rows: faster, less exact."),
]
Labels = Annotated[
    str | None, typer.Option("--labels", metavar="NAME", help="Column of labels to compare with.")
]
Output = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="FILE", show_default=False,
        help="The model; assignments for .tsv, .csv, .txt and '-' (stdout).",
    ),
]  # fmt: skip


@app.command()
def train(
    input: c.Input, output: Output, clusters: Clusters = 8, init: Start = "++", runs: c.Runs = 1,
    tol: c.Tolerance = 1e-4, max_iterations: Rounds = 300, algorithm: Algorithm = "hamerly", cosine: Cosine = False,
    batch: Batch = None, scale: c.Scale = False, kind: c.Kind = "auto", weight: t.Weight = None,
    ignore: t.Ignore = None, id: t.Id = None, delimiter: t.Delimiter = None, header: t.Header = None,
    na: t.Missing = None, errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None,
    seed: options.Seed = 1, json: options.Json = False,
) -> None:  # fmt: skip
    """Find clusters.

    'mlkit kmeans TABLE' is short for 'mlkit kmeans train TABLE'. Of a table the columns of numbers are used. A name
    that ends in .tsv, .csv or .txt gets the assignments instead of the model: the table with a column 'cluster', or
    'word cluster distance' lines of word vectors.

    \b
    Examples:
      mlkit kmeans letter.csv -k 26 --ignore lettr -o letter.kmeans
      mlkit kmeans vectors.bin -k 500 --cosine -o classes.tsv
    """
    from mlkit.clustering.assignments import separator_of, shown_distances, vector_lines, with_columns
    from mlkit.clustering.fitting import cluster, read_input
    from mlkit.clustering.kmeans import STARTS, KMeansSettings
    from mlkit.errors import UsageError
    from mlkit.formats.streams import open_output, refuse_same_file
    from mlkit.threads import thread_count

    refuse_same_file(output, [input] if init in STARTS else [input, init])
    if json and output == "-":
        raise UsageError("--json and the assignments both go to stdout: name a file with -o")
    form = t.table_format(delimiter, header, na, errors)
    data = read_input(
        input, form, kind=kind, left_out=(*t.split(ignore), *t.split(id)), weight=weight, scale=scale, cosine=cosine,
        errors=errors.value,
    )  # fmt: skip
    if data.space is not None:
        c.tell_left_out(data.words_columns, data.space)
    started = init if init in STARTS else "++"
    settings = KMeansSettings(clusters, runs, tol, max_iterations, started, algorithm, cosine, seed)
    with out.progress("Clustering") as report:
        start = None if init in STARTS else init
        model, found = cluster(data, settings, batch, start, threads=thread_count(threads), progress=report)
    if not c.writes_rows(output):
        model.save(output)
    elif data.table is not None:
        columns = {"cluster": found.labels}
        with open_output(output) as stream:
            stream.write(with_columns(data.table, columns, separator_of(form, output), header=True))
    else:
        with open_output(output) as stream:
            for block in vector_lines(
                data.words, found.labels, shown_distances(found.distances, cosine=cosine)
            ):
                stream.write(block)
    _tell(model, found)
    if json:
        out.json("mlkit.kmeans", model.report)


def _tell(model: KMeansModel, found: KMeansResult) -> None:
    reasons = {
        "labels": "no label changed", "tolerance": "the centres hardly moved (--tol)",
        "limit": "the limit of rounds (--max-iterations)", "patience": "the inertia no longer falls",
    }  # fmt: skip
    share = f", {100 * model.report['share']:.2f} % of the total" if model.report["share"] is not None else ""
    sizes = found.sizes
    out.words(
        f"{len(sizes):,} clusters of {sizes.min():,} to {sizes.max():,} rows, inertia {found.inertia:.6g}{share}; "
        f"{found.rounds} rounds, stopped: {reasons[found.stopped]}"
    )
    if model.cosine:
        out.words(f"mean cosine to the centres {model.report['mean_cosine']:.4f}")
    if found.stopped == "limit":
        out.warn("the last round still moved centres; raise --max-iterations")
    if found.moved:
        out.words(f"{found.moved} empty clusters took the rows farthest from their centres")
    if found.used < len(sizes):
        out.warn(
            f"only {found.used} of {len(sizes)} clusters have rows: there are fewer distinct rows than clusters"
        )


@app.command()
def assign(
    model: t.ModelArgument, input: c.Input = "-", output: options.Output = "-",
    distance: Annotated[bool, typer.Option("--distance", help="Add the distance to the centre.")] = False,
    delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None,
) -> None:  # fmt: skip
    """Add the cluster to every row of a table, in order.

    Of word vectors come lines 'word cluster distance'. Clusters are numbered from 0. Tables are read and written a
    part at a time. The distance is Euclidean, of scaled columns if the model scales them; with --cosine 1 - cosine.

    \b
    Example:
      mlkit kmeans assign letter.kmeans letter.csv --distance > clusters.csv
    """
    from mlkit.clustering.assignments import assigned, separator_of
    from mlkit.clustering.model import load_kmeans
    from mlkit.formats.streams import open_output, refuse_same_file
    from mlkit.threads import thread_count

    refuse_same_file(output, [model, input])
    loaded = load_kmeans(model)
    form = t.format_for(loaded, t.table_format(delimiter, header, na, errors))
    blocks = assigned(
        loaded, input, form, separator_of(form, input, output), distance=distance, threads=thread_count(threads),
        errors=errors.value,
    )  # fmt: skip
    first = next(blocks)  # nothing is written before a first part has been assigned
    with open_output(output) as stream:
        stream.write(first)
        for block in blocks:
            stream.write(block)


@app.command("eval")
def evaluate(
    model: t.ModelArgument, input: c.Input = "-",
    labels: Labels = None,
    sample: c.SampleRows = 10000, weight: t.Weight = None, delimiter: t.Delimiter = None, header: t.Header = None,
    na: t.Missing = None, errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None,
    seed: options.Seed = 1, json: options.Json = False,
) -> None:  # fmt: skip
    """Measure clusters, also against labels.

    Silhouette, Calinski-Harabasz, Davies-Bouldin; against labels ARI, NMI, purity, homogeneity and completeness.
    inertia: the sum of squared distances to the centres; share: that of the total to the mean of all rows.
    The silhouette is taken of --sample rows. NMI is by the arithmetic mean of both entropies.

    \b
    Example:
      mlkit kmeans eval letter.kmeans letter.csv --labels lettr
    """
    from mlkit.clustering.fitting import evaluate_kmeans
    from mlkit.clustering.model import load_kmeans
    from mlkit.threads import thread_count

    loaded = load_kmeans(model)
    form = t.format_for(loaded, t.table_format(delimiter, header, na, errors))
    found = evaluate_kmeans(
        loaded, input, form, labels=labels, weight=weight, sample=sample, seed=seed, threads=thread_count(threads),
        errors=errors.value,
    )  # fmt: skip
    c.show(found, "mlkit.kmeans.eval", json)


@app.command()
def sweep(
    input: c.Input, clusters: c.Counts, plot: c.Plot = None, sample: c.SampleRows = 10000, init: Start = "++",
    runs: c.Runs = 1, tol: c.Tolerance = 1e-4, max_iterations: Rounds = 300, cosine: Cosine = False,
    scale: c.Scale = False, kind: c.Kind = "auto", weight: t.Weight = None, ignore: t.Ignore = None,
    id: t.Id = None, delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None, seed: options.Seed = 1,
    json: options.Json = False,
) -> None:  # fmt: skip
    """Try several numbers of clusters.

    Prints inertia, its share of the total and the silhouette of each.

    \b
    Example:
      mlkit kmeans sweep letter.csv -k 2..8 --ignore lettr --plot curve.svg
    """
    from mlkit.clustering.fitting import read_input, sweep_kmeans, sweep_plot
    from mlkit.clustering.kmeans import KMeansSettings
    from mlkit.threads import thread_count

    numbers = c.counts(clusters)
    settings = KMeansSettings(numbers[0], runs, tol, max_iterations, init, cosine=cosine, seed=seed)
    data = read_input(
        input, t.table_format(delimiter, header, na, errors), kind=kind, left_out=(*t.split(ignore), *t.split(id)),
        weight=weight, scale=scale, cosine=cosine, errors=errors.value,
    )  # fmt: skip
    if data.space is not None:
        c.tell_left_out(data.words_columns, data.space)
    with out.progress("Clustering") as report:
        found: list[dict[str, Any]] = sweep_kmeans(
            data, settings, numbers, sample=sample, threads=thread_count(threads), progress=report
        )
    if plot is not None:
        from mlkit.plots import save

        save(sweep_plot(found), plot)
    if json:
        out.json("mlkit.kmeans.sweep", {"sweep": found})
    else:
        out.table(tuple(found[0]), (tuple(map(c.shown, line.values())) for line in found))
