"""`mlkit gmm`: mixtures of Gaussians of the columns of a table."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.commands.clustering import options as c
from mlkit.cli.commands.tables import options as t
from mlkit.cli.default_group import app_with_default
from mlkit.cli.output import out

app = app_with_default("Gaussian mixtures of tables: soft clusters, densities, samples.", "train")

Covariance = Annotated[
    str, typer.Option("--covariance", metavar="KIND", help="full, tied (one for all), diag or spherical.")
]
Hard = Annotated[bool, typer.Option("--hard", help="Every row belongs to one component: classification EM.")]
Ridge = Annotated[float, typer.Option("--reg", metavar="X", help="Added to every variance.")]
Tolerance = Annotated[
    float, typer.Option("--tol", metavar="X", help="Stop when the mean log-likelihood changes by less.")
]
Steps = Annotated[int, typer.Option("--max-iterations", min=1, metavar="N", help="Steps at most.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Choose among several -k: bic or aic.")]
Labels = Annotated[
    str | None, typer.Option("--labels", metavar="NAME", help="Column of labels to compare with.")
]


@app.command()
def train(
    table: t.TableArgument, output: t.ModelOutput, components: c.Counts = "8", by: By = "bic",
    covariance: Covariance = "full", hard: Hard = False, reg: Ridge = 1e-6, tol: Tolerance = 1e-3,
    max_iterations: Steps = 100, runs: c.Runs = 1, scale: c.Scale = False, ignore: t.Ignore = None, id: t.Id = None,
    delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None, seed: options.Seed = 1,
    json: options.Json = False,
) -> None:  # fmt: skip
    """Fit a mixture to the columns of numbers of a table.

    'mlkit gmm TABLE' is short for 'mlkit gmm train TABLE'. Starts from k-means. Several -k are all fitted; the table of
    their figures is printed and the best is kept. Log-likelihoods are natural, per row, in the units of the table.

    \b
    Examples:
      mlkit gmm adult.csv -k 2..12 --by bic -o adult.gmm
      mlkit gmm letter.csv -k 26 --scale --ignore lettr -o letter.gmm
    """
    from mlkit.clustering.fitting import read_input
    from mlkit.clustering.mixture import MixtureSettings
    from mlkit.clustering.mixture_model import fit_mixtures
    from mlkit.formats.streams import refuse_same_file
    from mlkit.threads import thread_count

    refuse_same_file(output, [table])
    numbers = c.counts(components)
    settings = MixtureSettings(covariance, hard, reg, tol, max_iterations, runs, seed)
    data = read_input(
        table, t.table_format(delimiter, header, na, errors), kind="table",
        left_out=(*t.split(ignore), *t.split(id)), scale=scale,
    )  # fmt: skip
    if data.space is not None:
        c.tell_left_out(data.words_columns, data.space)
    with out.progress("Fitting") as report:
        model, lines, remarks = fit_mixtures(
            data, settings, numbers, by, threads=thread_count(threads), progress=report
        )
    model.save(output)
    found = model.report
    if json:
        out.json("mlkit.gmm", {**found, "tried": lines})
    elif len(lines) > 1:
        out.table(tuple(lines[0]), (tuple(map(c.shown, line.values())) for line in lines))
    out.words(
        f"{found['components']} components, mean log-likelihood {found['log_likelihood']:.6g}, BIC {found['bic']:.6g}, "
        f"AIC {found['aic']:.6g}; {found['steps']} steps, stopped by the {found['stopped']}"
    )
    if found["stopped"] == "limit":
        out.warn("the log-likelihood still rises; raise --max-iterations")
    for remark in remarks[:5]:
        out.warn(remark)
    if len(remarks) > 5:
        out.warn(f"and {len(remarks) - 5} more such components and columns")
    if remarks:
        out.words("  fewer components, --covariance diag or a larger --reg may describe the table better")


@app.command()
def assign(
    model: t.ModelArgument, table: t.TableArgument = "-", output: options.Output = "-",
    proba: Annotated[bool, typer.Option("--proba", help="Add the probability of every component.")] = False,
    log_likelihood: Annotated[bool, typer.Option("--log-likelihood", help="Add the log density of the row.")] = False,
    delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, threads: options.Threads = None,
) -> None:  # fmt: skip
    """Add the most probable component to every row, in order.

    Components are numbered from 0; probabilities are columns p0, p1, ... Reads and writes a part at a time.

    \b
    Example:
      mlkit gmm assign letter.gmm letter.csv --proba > soft.csv
    """
    from mlkit.clustering.assignments import separator_of
    from mlkit.clustering.mixture_model import assigned_components, load_mixture
    from mlkit.formats.streams import open_output, refuse_same_file
    from mlkit.threads import thread_count

    refuse_same_file(output, [model, table])
    loaded = load_mixture(model)
    form = t.format_for(loaded, t.table_format(delimiter, header, na, errors))
    blocks = assigned_components(
        loaded, table, form, separator_of(form, table, output), chances=proba, density=log_likelihood,
        threads=thread_count(threads),
    )  # fmt: skip
    first = next(blocks)  # nothing is written before a first part has been assigned
    with open_output(output) as stream:
        stream.write(first)
        for block in blocks:
            stream.write(block)


@app.command("eval")
def evaluate(
    model: t.ModelArgument, table: t.TableArgument = "-", labels: Labels = None, delimiter: t.Delimiter = None,
    header: t.Header = None, na: t.Missing = None, errors: options.Errors = options.TextErrors.strict,
    threads: options.Threads = None, json: options.Json = False,
) -> None:  # fmt: skip
    """Measure a mixture on a table.

    Mean log-likelihood, BIC and AIC (less is better); against labels ARI, NMI, purity, homogeneity and completeness.

    \b
    Example:
      mlkit gmm eval letter.gmm letter.csv --labels lettr
    """
    from mlkit.clustering.mixture_model import evaluate_mixture, load_mixture
    from mlkit.threads import thread_count

    loaded = load_mixture(model)
    form = t.format_for(loaded, t.table_format(delimiter, header, na, errors))
    found = evaluate_mixture(loaded, table, form, labels=labels, threads=thread_count(threads))
    c.show(found, "mlkit.gmm.eval", json)


@app.command()
def sample(
    model: t.ModelArgument,
    rows: Annotated[int, typer.Option("--rows", "-n", min=1, metavar="N", help="How many rows.")] = 100,
    output: options.Output = "-", seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Draw rows from a mixture, as CSV.

    \b
    Example:
      mlkit gmm sample letter.gmm -n 1000 > drawn.csv
    """
    from mlkit.clustering.mixture_model import load_mixture, sampled
    from mlkit.formats.streams import open_output, refuse_same_file

    refuse_same_file(output, [model])
    loaded = load_mixture(model)
    with open_output(output) as stream:
        for block in sampled(loaded, rows, seed):
            stream.write(block)
