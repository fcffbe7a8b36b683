"""`mlkit vectors align` and `apply`: two languages in one space."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mlkit.cli import options
from mlkit.cli.output import out

if TYPE_CHECKING:
    from mlkit.alignment import Alignment
    from mlkit.alignment.dictionaries import Rows
    from mlkit.vectors.keyed_vectors import KeyedVectors


class Method(StrEnum):
    """What kind of map is fitted to the pairs of words."""

    procrustes = "procrustes"
    reweight = "reweight"


class Side(StrEnum):
    """Which map of a mapping is meant."""

    source = "source"
    target = "target"


Words = Annotated[
    int, typer.Option("--words", min=1, metavar="N", help="Look at the first N words of each side.")
]


def align(
    source: Annotated[str, typer.Argument(help="Vectors that are moved, by frequency.", show_default=False)],
    target: Annotated[str, typer.Argument(help="Vectors of the other language.", show_default=False)],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", help="The source vectors in the common space.")
    ],
    output_target: Annotated[
        str | None,
        typer.Option("--output-target", metavar="FILE", help="The target vectors there (--method reweight)."),
    ] = None,
    save_mapping: Annotated[
        str | None, typer.Option("--save-mapping", metavar="FILE", help="Keep the map, for 'apply'.")
    ] = None,
    dictionary_output: Annotated[
        str | None,
        typer.Option(
            "--dictionary-output", metavar="FILE", help="Pairs the map rests on, with confidences: TSV."
        ),
    ] = None,
    dictionary: Annotated[
        str | None,
        typer.Option("--dictionary", metavar="FILE", help="Known pairs: lines 'source target'."),
    ] = None,
    identical: Annotated[
        bool, typer.Option("--identical", help="Begin with words spelled alike.", show_default=False)
    ] = False,
    method: Annotated[
        Method,
        typer.Option("--method", help="A rotation of the source, or whitening and weights for both sides."),
    ] = Method.procrustes,
    refine: Annotated[
        int, typer.Option("--refine", min=0, metavar="N", help="Rounds with mutual CSLS pairs.")
    ] = 5,
    refine_words: Annotated[
        int, typer.Option("--refine-words", min=1, metavar="N", help="Words they look at, each side.")
    ] = 10_000,
    words: Words = 20_000,
    start_words: Annotated[
        int, typer.Option("--start-words", min=1, metavar="N", help="Words of a start from nothing.")
    ] = 4_000,
    interval: Annotated[
        int, typer.Option("--interval", min=1, metavar="N", help="Its patience: rounds without a gain.")
    ] = 5,
    csls: Annotated[int, typer.Option("--csls", min=1, metavar="N", help="Neighbours of CSLS.")] = 10,
    seed: options.Seed = 1,
    errors: options.Errors = options.TextErrors.strict,
    json: options.Json = False,
) -> None:
    """Bring the vectors of two languages into one space.

    With --dictionary or --identical by orthogonal Procrustes on those pairs; with neither from the vectors alone:
    sorted similarities give a first dictionary, rounds of induction with scores dropped at random a better one.
    Refinement follows. The map is fitted on the first --words words and moves all of them, block by block.

    \b
    Examples:
      mlkit vectors align es.bin en.bin -o es-in-en.bin --identical --save-mapping es-en.map
      mlkit vectors align es.bin en.bin -o es-in-en.bin --dictionary known.txt --refine 0
      mlkit vectors align es.bin en.bin -o es-in-en.bin --dictionary-output found.tsv
    """
    from mlkit.alignment import AlignSettings
    from mlkit.alignment import align as fitted
    from mlkit.alignment.fitting import named_pairs
    from mlkit.alignment.mapping import MappedRows
    from mlkit.errors import UsageError
    from mlkit.formats.streams import open_output, refuse_same_file
    from mlkit.threads import blas_threads
    from mlkit.vectors.keyed_vectors import KeyedVectors

    if dictionary is not None and identical:
        raise UsageError("--dictionary and --identical exclude each other")
    if (output_target is not None) != (method is Method.reweight):
        raise UsageError("--method reweight moves both sides and needs --output-target; procrustes moves one")
    for name in (output, output_target, save_mapping, dictionary_output):
        if name is not None:
            refuse_same_file(name, [source, target, *([dictionary] if dictionary else [])])
    held = [KeyedVectors.load(name, errors=errors.value) for name in (source, target)]
    first = [KeyedVectors(one.words[:words], one.matrix[:words]) for one in held]
    pairs = _pairs(first[0], first[1], dictionary, identical, errors)
    settings = AlignSettings(
        method=method.value, refine=refine, refine_words=refine_words, start_words=start_words,
        interval=interval, neighbours=csls, seed=seed,
    )  # fmt: skip
    with blas_threads(1), out.progress("Alignment") as progress:
        found = fitted(first[0].matrix, first[1].matrix, pairs, settings, progress)
        moved: list[tuple[str, MappedRows, KeyedVectors]] = [
            (output, found.mapping.rows(held[0].matrix), held[0])
        ]
        if output_target is not None:
            moved.append((output_target, found.mapping.rows(held[1].matrix, "target"), held[1]))
        for path, rows, vectors in moved:
            rows.save(path, vectors.words)
            out.words(f"{len(vectors):,} vectors in {path}")
    if save_mapping is not None:
        found.mapping.save(save_mapping)
    if dictionary_output is not None:
        with open_output(dictionary_output) as stream:
            for one, other, confidence in named_pairs(found, first[0].words, first[1].words):
                stream.write(f"{one}\t{other}\t{confidence:.6f}\n".encode("utf-8", "surrogateescape"))
    _report(found, json)


def _pairs(
    source: KeyedVectors, target: KeyedVectors, path: str | None, identical: bool, errors: options.TextErrors
) -> tuple[Rows, Rows] | None:
    from mlkit.alignment import dictionaries

    if path is None and not identical:
        return None
    if path is None:
        return dictionaries.identical(source, target)
    listed = dictionaries.read_dictionary(path, errors.value)
    if listed.skipped:
        out.warn(f"{path}: {listed.skipped} lines without exactly two fields are left out")
    rows = listed.rows(source, target)
    out.words(f"{len(rows[0]):,} of {len(listed.pairs):,} pairs of the dictionary have vectors")
    return rows


def _report(found: Alignment, json: bool) -> None:
    import math

    facts = {
        "pairs": len(found.source_rows),
        "start_rounds": found.rounds,
        "mean_cosine": round(found.criterion, 6),
        "mutual": None if math.isnan(found.mutual) else round(found.mutual, 6),
    }
    if json:
        out.json("mlkit.vectors.align", facts)
        return
    out.words(f"the map rests on {facts['pairs']:,} pairs of mean cosine {found.criterion:.3f}")
    if not math.isnan(found.mutual):
        out.words(f"{100 * found.mutual:.1f} % of the words looked at chose each other")


def apply(
    mapping: Annotated[str, typer.Argument(help="What --save-mapping wrote.", show_default=False)],
    vectors: Annotated[str, typer.Argument(help="Vectors to move.", show_default=False)],
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="The moved vectors.")],
    side: Annotated[Side, typer.Option("--side", help="Whose vectors these are.")] = Side.source,
    errors: options.Errors = options.TextErrors.strict,
) -> None:
    """Move vectors by a mapping that 'align' kept.

    A memory-mapped file (.safetensors) is read and written in blocks; write .bin to hold no more than a block.

    \b
    Example:
      mlkit vectors apply es-en.map more-es.safetensors -o more-es-in-en.bin
    """
    from mlkit.alignment import Mapping
    from mlkit.formats.streams import refuse_same_file
    from mlkit.threads import blas_threads
    from mlkit.vectors.keyed_vectors import KeyedVectors

    refuse_same_file(output, [mapping, vectors])
    loaded = Mapping.load(mapping)
    held = KeyedVectors.load(vectors, errors=errors.value)
    with blas_threads(1):
        loaded.rows(held.matrix, side.value).save(output, held.words)
    out.words(f"{len(held):,} vectors in {output}")
