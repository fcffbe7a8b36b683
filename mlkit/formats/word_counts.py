"""Files of word counts: what a cluster's shards write, what adding them up reads, what learning starts from.

A line is ``word<TAB>count``, the words sorted by their bytes, below a first line that names the kind of words:
``#words bytes`` (GPT-2's alphabet), ``#words chars`` or ``#words metaspace`` (without their ▁). Lists without that
line are read too, with a tab or a space before the count, as subword-nmt's get-vocab and fastBPE's getvocab write
them (words of characters).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import PathLike, display_name, open_input, open_output

Count = tuple[bytes, int]
_HEAD = b"#words "
KINDS = ("bytes", "chars", "metaspace")


def write_word_counts(path: PathLike, kind: str, rows: Iterable[Count]) -> int:
    """Write counts, which must be sorted by word; return how many."""
    written = 0
    with open_output(path) as stream:
        stream.write(_HEAD + kind.encode() + b"\n")
        for word, count in rows:
            stream.write(b"%b\t%d\n" % (word, count))
            written += 1
    return written


def kind_of_counts(path: PathLike) -> str | None:
    """Return the kind of words that a file names, or None for a plain list. stdin cannot be asked."""
    with open_input(path) as stream:
        return _kind(stream.readline(64), display_name(path))


def _kind(line: bytes, name: str) -> str | None:
    if not line.startswith(_HEAD):
        return None
    kind = line[len(_HEAD) :].strip().decode("utf-8", "replace")
    if kind not in KINDS:
        raise DataError(f"counts of words of an unknown kind: {kind!r}", path=name, line=1)
    return kind


def read_word_counts(path: PathLike, expected: str | None = None) -> Iterator[Count]:
    """Yield the (word, count) rows of a file. Raises `DataError` with the line for anything else."""
    name = display_name(path)
    with open_input(path) as stream:
        for number, line in enumerate(stream, 1):
            if number == 1 and line.startswith(_HEAD):
                kind = _kind(line, name)
                if expected is not None and kind != expected:
                    raise DataError(f"counts of {kind}, where {expected} are expected", path=name, line=1)
                continue
            line = line.rstrip(b"\r\n")
            if not line:
                continue
            word, tab, count = line.rpartition(b"\t")
            if not tab:
                word, tab, count = line.rpartition(b" ")
            if not tab or not count.isdigit() or len(count) > 18:
                raise DataError("not a word and its count", path=name, line=number)
            try:
                word.decode("utf-8")
            except UnicodeDecodeError:
                raise DataError("invalid UTF-8", path=name, line=number) from None
            yield word, int(count)


def merge_word_counts(paths: Sequence[PathLike]) -> tuple[str, Iterator[Count]]:
    """Add up sorted files of counts; return the kind of words and the sorted sums. Memory does not grow.

    Raises `UsageError` for files of different kinds and `DataError` for one that is not sorted.
    """
    kinds = {kind_of_counts(path) for path in paths}
    if len(kinds) > 1:
        raise UsageError(f"counts of different kinds: {', '.join(sorted(str(kind) for kind in kinds))}")
    kind = kinds.pop() or "chars"
    return kind, add_sorted([_sorted(path) for path in paths])


def _sorted(path: PathLike) -> Iterator[Count]:
    last: bytes | None = None
    for word, count in read_word_counts(path):
        if last is not None and word <= last:
            raise DataError(
                f"words are not sorted: {word[:40].decode()!r} follows {last[:40].decode()!r}",
                path=display_name(path), hint="'mlkit bpe count' writes them sorted",
            )  # fmt: skip
        last = word
        yield word, count


def add_sorted(streams: Sequence[Iterator[Count]]) -> Iterator[Count]:
    """Add the counts of equal words of sorted streams."""
    for word, rows in groupby(heapq.merge(*streams, key=itemgetter(0)), key=itemgetter(0)):
        yield word, sum(count for _, count in rows)
