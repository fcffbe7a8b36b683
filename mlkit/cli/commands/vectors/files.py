"""`mlkit vectors convert`, `info` and `plot`: vector files as files, and as a picture."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.output import out

Source = Annotated[str, typer.Argument(help="Vector file of any format ('-' is stdin).", show_default=False)]


def convert(
    source: Source,
    target: Annotated[str, typer.Argument(help="File to write ('-' is stdout).", show_default=False)],
    to_format: Annotated[
        options.VectorFormat | None,
        typer.Option("--format", help="Format to write.", show_default="by suffix"),
    ] = None,
    from_format: Annotated[
        options.VectorFormat | None,
        typer.Option("--from", help="Format to read.", show_default="by content"),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help="Take the first N vectors.", show_default="all"),
    ] = None,
    words: Annotated[
        str | None, typer.Option("--words", metavar="FILE", help="Keep only the words listed, one a line.")
    ] = None,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Scale vectors to length 1.", show_default=False)
    ] = False,
    errors: options.Errors = options.TextErrors.strict,
) -> None:
    """Convert word vectors between formats.

    The suffix tells the format: .txt and .vec word2vec text, .bin word2vec binary, .glove GloVe text, .safetensors;
    one more suffix (.gz .xz .bz2 .zst) compresses.

    \b
    Example:
      mlkit vectors convert vectors.txt vectors.bin
    """
    from mlkit.errors import DataError
    from mlkit.formats.streams import read_lines, refuse_same_file
    from mlkit.formats.vectors import read_vectors, save_vectors
    from mlkit.vectors.keyed_vectors import KeyedVectors, select

    refuse_same_file(target, [source])
    content = read_vectors(source, from_format and from_format.value, limit, errors=errors.value)
    if content.dropped:
        out.warn(f"{source}: {content.dropped} vectors of words that came before are left out")
    listed = None if words is None else set(read_lines(words, errors.value))
    chosen = select(KeyedVectors(content.words, content.matrix), listed, normalize=normalize)
    if listed is not None and not len(chosen):
        raise DataError("none of the words listed has a vector", path=words)
    save_vectors(target, chosen.words, chosen.matrix, to_format and to_format.value)
    out.words(f"{len(chosen):,} vectors of {chosen.dimension} numbers")


def info(
    source: Source, errors: options.Errors = options.TextErrors.strict, json: options.Json = False
) -> None:
    """Print what a vector file holds.

    \b
    Example:
      mlkit vectors info vectors.bin
    """
    from mlkit.formats.vectors import read_vectors
    from mlkit.vectors.keyed_vectors import KeyedVectors

    content = read_vectors(source, errors=errors.value)
    shortest, mean, longest = KeyedVectors(content.words, content.matrix).length_range()
    facts = {
        "file": source, "format": content.format, "header": content.header, "words": len(content.words),
        "dimension": content.matrix.shape[1], "repeated_words": content.dropped,
        "shortest": round(shortest, 6), "mean_length": round(mean, 6), "longest": round(longest, 6),
        "first_words": content.words[:5],
    }  # fmt: skip
    if json:
        out.json("mlkit.vectors.info", facts)
    else:
        facts |= {"header": "yes" if content.header else "no", "first_words": " ".join(content.words[:5])}
        out.table(("property", "value"), facts.items())


def plot(
    source: Source,
    words: Annotated[
        list[str] | None, typer.Argument(help="Words to show; none or '-': one a line on stdin.")
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Picture: .svg, .png or .txt ('-': text).")
    ] = "-",
    nearest: Annotated[
        int, typer.Option("-k", "--nearest", min=0, metavar="N", help="Add the N nearest words of each.")
    ] = 0,
    oov: options.Oov = options.Unknown.error,
    errors: options.Errors = options.TextErrors.strict,
) -> None:
    """Draw chosen words in the plane of their two main directions (PCA).

    \b
    Example:
      mlkit vectors plot vectors.txt king queen man woman -k 3 -o words.svg
    """
    from mlkit.errors import UsageError
    from mlkit.formats.streams import plain_suffix, read_lines, refuse_same_file
    from mlkit.plots import Figure, Series, write
    from mlkit.vectors.keyed_vectors import KeyedVectors
    from mlkit.vectors.projection import principal_plane, with_neighbours

    refuse_same_file(output, [source])
    if not words or words == ["-"]:
        if source == "-":
            raise UsageError("the vectors come from stdin: give the words as arguments")
        words = [line.strip() for line in read_lines("-") if line.strip()]
    vectors = KeyedVectors.load(source, errors=errors.value)
    if oov is options.Unknown.skip:
        known = [word for word in words if word in vectors]
        if len(known) < len(words):
            out.words(f"{len(words) - len(known):,} of {len(words):,} words have no vector")
        words = known
    groups = with_neighbours(vectors, words, nearest)
    plane, shares = principal_plane(vectors, [word for group in groups for word in group])
    points = iter(plane.tolist())
    series = []
    for group in groups:
        xs, ys = zip(*(next(points) for _ in group), strict=True)
        series.append(Series(xs, ys, group[0] if nearest else "", "scatter", tuple(group)))
    labels = [f"component {axis} ({100 * share:.0f} % of variance)" for axis, share in enumerate(shares, 1)]
    figure = Figure(series, x_label=labels[0], y_label=labels[1])
    write(figure, output, ".txt" if output == "-" else plain_suffix(output).lower())
