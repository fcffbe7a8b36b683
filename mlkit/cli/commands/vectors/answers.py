"""How `mlkit vectors nn` and `analogy` read queries and print answers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mlkit.cli.output import is_terminal, out

if TYPE_CHECKING:
    from mlkit.formats.streams import Errors
    from mlkit.vectors.queries import Query

HEADER = "query\tword\tscore"


def queries_on_stdin(
    vectors: str, arguments: list[str] | None, parse: Callable[[str], Query]
) -> Iterator[Query] | None:
    """Return the queries on stdin, where the arguments ask for them."""
    if arguments and arguments != ["-"]:
        return None
    from mlkit.errors import UsageError
    from mlkit.formats.streams import read_lines

    if vectors == "-":
        raise UsageError("the vectors come from stdin: give the queries as arguments")
    return _parsed(read_lines("-"), parse)


def _parsed(lines: Iterable[str], parse: Callable[[str], Query]) -> Iterator[Query]:
    from mlkit.errors import DataError, UsageError

    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield parse(line)
            except UsageError as fault:
                raise DataError(fault.message, path="<stdin>", line=number) from None


def answer(
    queries: Iterable[Query],
    settings: Mapping[str, Any],
    oov: str,
    threads: int | None,
    errors: Errors,
    method: str,
    json: bool,
    schema: str,
) -> None:
    """Print the answers to `queries` as TSV, or as one JSON object a query.

    `settings` holds the file of vectors and the options that shape the answer.
    """
    from collections import Counter

    from mlkit.threads import blas_threads, thread_count
    from mlkit.vectors.keyed_vectors import KeyedVectors
    from mlkit.vectors.queries import BATCH, only_known
    from mlkit.vectors.queries import answer as answered

    held = KeyedVectors.load(settings["vectors"], errors=errors)
    unknown: Counter[str] | None = Counter() if oov == "skip" else None
    # a person who types queries wants each answer at once
    batch = 1 if is_terminal(sys.stdin) else BATCH
    if not json:
        out.line(HEADER)
    with blas_threads(1):
        known = only_known(held, queries, unknown)
        for query, found in answered(
            held,
            known,
            settings["nearest"],
            restrict_vocab=settings["restrict_vocab"],
            method=method,
            batch=batch,
            threads=1 if batch == 1 else thread_count(threads),
        ):
            if json:
                near = [{"word": word, "score": round(score, 6)} for word, score in found]
                out.json(schema, {"query": query.text, "neighbours": near}, settings)
            else:
                for word, score in found:
                    out.line(f"{query.text}\t{word}\t{score:.6f}")
            if batch == 1:
                out.stdout.flush()
    if unknown:
        shown = ", ".join(word for word, _ in unknown.most_common(5))
        out.words(f"{unknown.total():,} unknown words left out with their queries: {shown}")
