"""Text to a vocabulary and to an encoded corpus: int32 word ids on a memory map.

Words are what ASCII white space (space, \\t, \\n, \\v, \\f, \\r) separates: any other byte, NUL and U+2028 included, is
part of a word. The end of a line is the end of a sentence. One reading of the text does both (`prepare_corpus`), so
that pipes and compressed files will do: the ids are first written to a temporary file in the order in which words
were met, and renumbered when the vocabulary is known.

An encoded corpus in a file can be reused. Its layout: 4096 bytes of header (magic, then JSON padded with spaces), the
ids (int32), and, from the next multiple of 8 bytes on, the vocabulary: counts (int64), ends of words (int64),
bytes of words.
"""

from __future__ import annotations

import json
import mmap
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from mlkit.corpus.word_counter import CounterGroup, Table, sum_of
from mlkit.errors import DataError, ModelError, UsageError
from mlkit.formats import kernels_corpus as kernels
from mlkit.formats.input_shards import input_size
from mlkit.formats.streams import Errors, PathLike, expand_sources, is_standard, open_output
from mlkit.formats.text_chunks import Chunk, Places, clean, text_chunks
from mlkit.formats.vocabulary import Vocabulary, raw
from mlkit.memory import resident
from mlkit.progress import Progress, Report, silent
from mlkit.threads import map_chunks, thread_count

__all__ = [
    "EncodedCorpus", "Vocabulary", "build_vocabulary", "encode_corpus", "merge_vocabularies", "prepare_corpus",
]  # fmt: skip

HEADER = 4096
MAGIC = b"MLKITIDS"
FORMAT = 1
_PIECE = 1 << 20


@dataclass(frozen=True)
class EncodedCorpus:
    """A corpus as word ids; -1 ends every sentence (line) that has a known word.

    ids: int32 memory map, read-only; tokens: the number of words; sentences: the number of -1; path: its file, or None
    for a temporary one; header: what the file says about itself.
    """

    ids: npt.NDArray[np.int32]
    tokens: int
    sentences: int
    path: str | None
    header: dict[str, Any]
    mapped: mmap.mmap | None = None

    def read(self, first: int, last: int) -> npt.NDArray[np.int32]:
        """Return a copy of ids[first:last] whose pages of the file do not stay in the memory of this process."""
        copy = self.ids[first:last].copy()
        if self.mapped is not None:
            self.mapped.madvise(mmap.MADV_DONTNEED)
        return copy

    @classmethod
    def open(cls, path: PathLike, vocabulary: Vocabulary | None = None) -> EncodedCorpus:
        """Map an encoded corpus; with `vocabulary`, check that it was encoded with that one.

        Raises `ModelError` for a file of another kind, a newer format, a truncated one, or another vocabulary.
        """
        with open(path, "rb") as file:
            corpus = cls._map(cast(BinaryIO, file), os.fspath(path))
        if vocabulary is not None and corpus.header["vocabulary"] != vocabulary.fingerprint:
            raise ModelError(
                "was encoded with another vocabulary",
                path=path,
                hint="remove it, or name another --encoded file",
            )
        return corpus

    @classmethod
    def _map(cls, file: BinaryIO, path: str | None) -> EncodedCorpus:
        file.seek(0)
        header = _read_header(file.read(HEADER), path or "encoded corpus")
        count = header["ids"]
        size = os.fstat(file.fileno()).st_size
        if size < _size_of(header):
            raise ModelError(f"is cut short ({size} of {_size_of(header)} bytes)", path=path)
        ids, mapped = np.empty(0, np.int32), None
        if count:
            mapped = mmap.mmap(file.fileno(), HEADER + 4 * count, access=mmap.ACCESS_READ)
            ids = np.frombuffer(mapped, np.int32, count, HEADER)
        return cls(ids, header["tokens"], header["sentences"], path, header, mapped)

    def vocabulary(self) -> Vocabulary:
        """Read the vocabulary that the file carries."""
        assert self.path is not None
        words, size = self.header["words"], self.header["bytes"]
        with open(self.path, "rb") as file:
            file.seek(_vocabulary_start(self.header))
            counts = np.fromfile(file, np.int64, words)
            offsets = np.fromfile(file, np.int64, words + 1)
            blob = np.fromfile(file, np.uint8, size)
        found = Vocabulary(blob, offsets, counts)
        if found.fingerprint != self.header["vocabulary"]:
            raise ModelError("its vocabulary is damaged", path=self.path)
        return found


def _vocabulary_start(header: dict[str, Any]) -> int:
    return (HEADER + 4 * int(header["ids"]) + 7) // 8 * 8


def _size_of(header: dict[str, Any]) -> int:
    if not header["words"]:
        return HEADER + 4 * int(header["ids"])
    return _vocabulary_start(header) + 16 * int(header["words"]) + 8 + int(header["bytes"])


def _read_header(block: bytes, path: str) -> dict[str, Any]:
    if not block.startswith(MAGIC):
        raise ModelError("is not an encoded corpus of mlkit", path=path)
    try:
        header = json.loads(block[len(MAGIC) :])
        if header["format"] > FORMAT:
            raise ModelError("was written by a newer mlkit", path=path)
        for key in ("ids", "tokens", "sentences", "words", "bytes"):
            if not isinstance(header[key], int) or header[key] < 0:
                raise ValueError(key)
        if header["ids"] != header["tokens"] + header["sentences"]:
            raise ValueError("ids")
        return cast(dict[str, Any], header | {"vocabulary": str(header["vocabulary"])})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError("its header is damaged", path=path) from error


def build_vocabulary(
    sources: Sequence[PathLike],
    *,
    min_count: int = 5,
    max_size: int | None = None,
    lower: bool = False,
    errors: Errors = "strict",
    threads: int = 1,
    memory: int | None = None,
    tmp_dir: str | None = None,
    shard: tuple[int, int] | None = None,
    progress: Progress = silent,
) -> Vocabulary:
    """Count the words of texts; sorted by descending count, then by bytes.

    sources: files, folders, "-" for stdin. memory: bytes for the whole process; tables that would exceed it go to
    `tmp_dir`. shard: (index, number) of the part of the input to count, see `text_parts.input_parts`.

    Raises `DataError` for invalid UTF-8 (errors="strict"), `UsageError` for too little memory.
    """
    group = CounterGroup(threads, _memory_for_tables(memory, threads), tmp_dir)
    _read(sources, group, None, lower, errors, threads, progress, shard)
    return group.finish(min_count, max_size)


def merge_vocabularies(
    paths: Sequence[PathLike],
    *,
    min_count: int = 1,
    max_size: int | None = None,
    memory: int | None = None,
    tmp_dir: str | None = None,
) -> Vocabulary:
    """Add up vocabulary files, such as those of shards; sorted by descending count, then by bytes.

    memory: bytes for the whole process while it counts, as in `build_vocabulary`; a word that comes twice in one file
    is then not always found. Raises `DataError` for files that are no vocabularies, `UsageError` for too little memory.
    """
    if memory is not None:
        group = CounterGroup(1, _memory_for_tables(memory, 1), tmp_dir)
        for path in paths:
            for words in Vocabulary.blocks(path):
                group.add(words)
        return group.finish(min_count, max_size)
    return sum_of(Vocabulary.load(path) for path in paths).frequent(min_count, max_size)


def encode_corpus(
    sources: Sequence[PathLike],
    vocabulary: Vocabulary,
    output: PathLike | None = None,
    *,
    lower: bool = False,
    errors: Errors = "strict",
    threads: int = 1,
    tmp_dir: str | None = None,
    shard: tuple[int, int] | None = None,
    progress: Progress = silent,
    settings: dict[str, Any] | None = None,
) -> EncodedCorpus:
    """Encode texts with a known vocabulary; other words are dropped.

    output: the file to write, or None for a temporary one without a name. shard: (index, number) of the part of the
    texts to encode.
    """
    group = CounterGroup(threads, fixed=Table.of(vocabulary))
    with _staging(tmp_dir) as stage:
        pieces = _read(sources, group, stage, lower, errors, threads, progress, shard)
        numbers = np.arange(len(vocabulary), dtype=np.int32)
        finish = _Renumbering(stage, pieces, dict.fromkeys({generation for generation, _ in pieces}, numbers))
        return finish.write(output, vocabulary, settings or {})


def prepare_corpus(
    sources: Sequence[PathLike],
    *,
    min_count: int = 5,
    max_size: int | None = None,
    lower: bool = False,
    vocabulary: Vocabulary | None = None,
    encoded: PathLike | None = None,
    errors: Errors = "strict",
    threads: int | None = 1,
    memory: int | None = None,
    tmp_dir: str | None = None,
    progress: Progress = silent,
) -> tuple[Vocabulary, EncodedCorpus]:
    """Return the vocabulary and the encoded corpus of texts, reading them once: the trainers' entry.

    vocabulary: use this one instead of counting (min_count and max_size are not used then). encoded: a file that keeps
    the result; if it exists, it is used and the texts are not read, provided that it was made with the same
    settings from inputs of the same size (`ModelError` if not).
    """
    threads = thread_count(threads)
    settings: dict[str, Any] = {"lower": lower, "source_bytes": _total_bytes(sources)}
    if vocabulary is None:
        settings |= {"min_count": min_count, "max_size": max_size}
    if encoded is not None and Path(encoded).exists():
        corpus = EncodedCorpus.open(encoded, vocabulary)
        if corpus.header.get("settings") != settings:
            raise ModelError(
                "was encoded from other input or with other settings", path=encoded,
                hint="remove it, or name another --encoded file",
            )  # fmt: skip
        return vocabulary or corpus.vocabulary(), corpus
    if vocabulary is not None:
        corpus = encode_corpus(
            sources, vocabulary, encoded, lower=lower, errors=errors, threads=threads, tmp_dir=tmp_dir,
            progress=progress, settings=settings,
        )  # fmt: skip
        return vocabulary, corpus
    group = CounterGroup(threads, _memory_for_tables(memory, threads), tmp_dir)
    with _staging(tmp_dir) as stage:
        pieces = _read(sources, group, stage, lower, errors, threads, progress)
        vocabulary = group.finish(min_count, max_size)
        finish = _Renumbering(stage, pieces, {}, group, Table.of(vocabulary))
        del group
        return vocabulary, finish.write(encoded, vocabulary, settings)


def _memory_for_tables(memory: int | None, threads: int) -> int | None:
    """Return what is left of the memory of the whole process for hash tables."""
    if memory is None:
        return None
    kernels.tokenise.compile()  # a large part of the process; it must be resident when we look
    buffers = threads * (14 << 20)  # chunks of text and of ids on their way
    return memory_left(memory, buffers, f"{threads} threads", least=threads * (2 << 20))


def memory_left(memory: int, reserved: int, what: str, least: int = 1 << 20) -> int:
    """Return what is left of `memory` bytes besides the process as it is and `reserved` bytes.

    Raises `UsageError` when that is less than `least`; `what` needs it.
    """
    occupied = resident()
    left = memory - occupied - reserved
    if left < least:
        needed = (occupied + reserved + least + (1 << 20)) >> 20
        raise UsageError(f"--memory is too small: {what} need at least {needed}M")
    return left


def _total_bytes(sources: Sequence[PathLike]) -> int | None:
    """Return the size of all input files on disk, None when a pipe is among them."""
    paths = expand_sources(sources)
    if any(is_standard(path) or not Path(path).is_file() for path in paths):
        return None
    return sum(Path(path).stat().st_size for path in paths)


def _staging(tmp_dir: str | None) -> BinaryIO:
    stage = cast(BinaryIO, tempfile.TemporaryFile(dir=tmp_dir))
    stage.write(b" " * HEADER)
    return stage


def _read(
    sources: Sequence[PathLike],
    group: CounterGroup,
    stage: BinaryIO | None,
    lower: bool,
    errors: Errors,
    threads: int,
    progress: Progress,
    shard: tuple[int, int] | None = None,
) -> list[tuple[int, int]]:
    """Tokenise texts; write ids to `stage` and return the (generation, number of ids) of its pieces."""
    total = input_size(sources, shard)
    done = 0
    pieces: list[tuple[int, int]] = []
    places = Places()

    def work(chunk: Chunk) -> tuple[Chunk, list[tuple[int, npt.NDArray[np.int32]]]]:
        size = chunk.size
        clean(chunk, lower=lower, errors=errors)
        found = [] if chunk.invalid >= 0 else group.tokenise(chunk, stage is not None)
        chunk.read = size
        if chunk.invalid < 0:
            chunk.data = chunk.data[:0]  # free it while the ids wait for their turn
        return chunk, found

    chunks = text_chunks(sources, whole_lines=errors == "skip", shard=shard)
    for chunk, found in map_chunks(work, chunks, threads):
        places.pass_by(chunk)
        if stage is not None:
            for generation, ids in found:
                stage.write(raw(ids))
                pieces.append((generation, len(ids)))
            if chunk.final:
                stage.write(b"\xff\xff\xff\xff")
                pieces.append((-1, 1))
        done += chunk.read
        progress(Report("reading", done, total, "B"))
    return pieces


class _Renumbering:
    """Write staged ids with their final numbers, in the place of the staged ones or to a new file."""

    def __init__(
        self,
        stage: BinaryIO,
        pieces: list[tuple[int, int]],
        numbers: dict[int, npt.NDArray[np.int32]],
        group: CounterGroup | None = None,
        table: Table | None = None,
    ) -> None:
        self.stage, self.pieces, self.numbers = stage, pieces, numbers
        self.group, self.table = group, table
        self.last_use = {generation: place for place, (generation, _) in enumerate(pieces)}

    def write(
        self, output: PathLike | None, vocabulary: Vocabulary, settings: dict[str, Any]
    ) -> EncodedCorpus:
        if output is None:
            header = self._write_ids(None)
            header |= {"format": FORMAT, "vocabulary": vocabulary.fingerprint, "words": 0, "bytes": 0}
            self.stage.truncate(HEADER + 4 * header["ids"])
            _write_header(self.stage, header)
            self.stage.flush()
            return EncodedCorpus._map(self.stage, None)
        with open_output(output) as target:
            if not target.seekable():
                raise UsageError(f"{os.fspath(output)}: an encoded corpus needs a regular, uncompressed file")
            target.write(b" " * HEADER)
            header = self._write_ids(target)
            header |= {
                "format": FORMAT, "vocabulary": vocabulary.fingerprint, "settings": settings,
                "words": len(vocabulary), "bytes": len(vocabulary.blob),
            }  # fmt: skip
            target.write(b"\0" * (_vocabulary_start(header) - HEADER - 4 * header["ids"]))
            for array in (vocabulary.counts, vocabulary.offsets, vocabulary.blob):
                target.write(raw(array))
            _write_header(target, header)
        return EncodedCorpus.open(output)

    def _write_ids(self, target: BinaryIO | None) -> dict[str, Any]:
        self.stage.flush()
        descriptor = self.stage.fileno()
        reading = writing = HEADER
        totals = np.zeros(3, np.int64)
        tokens = sentences = 0
        last = -1
        for place, (generation, count) in enumerate(self.pieces):
            numbers = self._numbers_of(generation)
            for first in range(0, count, _PIECE):
                ids = np.empty(min(_PIECE, count - first), np.int32)
                if os.preadv(descriptor, [raw(ids)], reading) != ids.nbytes:
                    raise OSError("a temporary file was cut short")
                reading += ids.nbytes
                written = int(kernels.renumber(ids, numbers, ids, last, totals))
                last = int(totals[2])
                tokens, sentences = tokens + int(totals[0]), sentences + int(totals[1])
                view = raw(ids[:written])
                if target is not None:
                    target.write(view)
                else:
                    _write_at(descriptor, view, writing)
                    writing += len(view)
            if self.last_use[generation] == place:
                self.numbers.pop(generation, None)
        return {"ids": tokens + sentences, "tokens": tokens, "sentences": sentences}

    def _numbers_of(self, generation: int) -> npt.NDArray[np.int32]:
        """Return the final id of every id of a generation."""
        if generation < 0:
            return np.empty(0, np.int32)
        if generation not in self.numbers:
            assert self.group is not None
            assert self.table is not None
            self.numbers[generation] = self.group.generations.pop(generation).numbers_in(self.table)
        return self.numbers[generation]


def _write_at(descriptor: int, view: memoryview, position: int) -> None:
    while view:
        count = os.pwrite(descriptor, view, position)
        view, position = view[count:], position + count


def _write_header(file: BinaryIO, header: dict[str, Any]) -> None:
    block = MAGIC + json.dumps(header, sort_keys=True).encode()
    if len(block) > HEADER:
        raise DataError("the header of an encoded corpus is too long")
    file.seek(0)
    file.write(block.ljust(HEADER))
    file.seek(0, 2)
