"""A language model in memory: vocabulary, n-grams with their values, and the tables that answer queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from mlkit.errors import ModelError, UsageError
from mlkit.formats.arpa import ArpaWriter, read_arpa
from mlkit.formats.lm_binary import Sections, SectionWriter, is_binary
from mlkit.formats.lm_words import UNKNOWN, WORDS, LmVocabulary
from mlkit.formats.schema import Array, Schema, flag, list_of, one_of, real, record, whole
from mlkit.formats.streams import PathLike, display_name, open_output
from mlkit.ngram import kernels_count
from mlkit.ngram.count import Packing
from mlkit.ngram.hash_table import Singles, TableBuilder, Tables, group_by_hash, pack_values, unpack_values
from mlkit.ngram.spill import Shelves
from mlkit.threads import map_chunks

Grams = npt.NDArray[np.int32]
KIND = "an n-gram model"
MOST_ORDER = 64
BACKOFF, ADDITIVE = "backoff", "additive"


@dataclass
class Level:
    """The n-grams of one order: int32[n, order] ids in reading order and two values of each.

    values: log10 p, or the count; contexts: log10 back-off weight, or the count as a context.
    """

    grams: Grams
    values: Singles
    contexts: Singles

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class ModelSettings:
    """How a model was made and is to be read.

    kind: "backoff" or "additive"; alpha: what an additive model adds to counts; missing: log10 of what a context
    without an entry costs; closed: no n-gram is there without its suffix; made: the settings of the training.
    """

    kind: str = BACKOFF
    alpha: float = 0.0
    missing: float = 0.0
    closed: bool = False
    made: dict[str, Any] = field(default_factory=dict)


class LanguageModel:
    """A model that can be asked: made from levels (an ARPA file) or from the sections of a binary file."""

    def __init__(
        self,
        vocabulary: LmVocabulary,
        settings: ModelSettings,
        sizes: Sequence[int],
        words: tuple[Singles, Singles],
        *,
        levels: list[Level] | None = None,
        tables: Tables | None = None,
        rows: list[Any] | None = None,
        threads: int = 1,
    ) -> None:
        self.vocabulary, self.settings, self.sizes = vocabulary, settings, list(sizes)
        self.word_values, self.word_contexts = words
        self._levels, self._tables, self._rows = levels, tables, rows
        self.threads = threads

    @classmethod
    def of_levels(
        cls, vocabulary: LmVocabulary, settings: ModelSettings, levels: list[Level], threads: int = 1
    ) -> LanguageModel:
        """Make a model of levels; levels[0] has all words from id 1 on, in the order of their ids."""
        words = tuple(
            np.concatenate((np.zeros(1, np.float32), column))
            for column in (levels[0].values, levels[0].contexts)
        )
        if len(words[1]) == 1:
            words = (words[0], np.zeros(len(words[0]), np.float32))
        if settings.kind == ADDITIVE:
            # the history of no words occurs as often as there are tokens
            words[1][0] = settings.made["tokens"]
        sizes = [len(level) for level in levels]
        return cls(vocabulary, settings, sizes, (words[0], words[1]), levels=levels, threads=threads)

    @property
    def order(self) -> int:
        """The longest n-grams of the model."""
        return len(self.sizes)

    @property
    def knows_unknown(self) -> bool:
        """Whether the unknown word has a probability."""
        return self.settings.kind == ADDITIVE or float(self.word_values[UNKNOWN]) > -98.0

    @cached_property
    def tables(self) -> Tables:
        """The hash tables of the orders from 2 on."""
        if self._tables is None:
            assert self._levels is not None
            self._tables = Tables.build(
                [(level.grams, pack_values(level.values, level.contexts)) for level in self._levels[1:]],
                self.threads,
            )
        return self._tables

    @cached_property
    def levels(self) -> list[Level]:
        """All n-grams with their values."""
        if self._levels is None:
            self._levels = [self._read_level(order) for order in range(1, self.order + 1)]
        return self._levels

    def _read_level(self, order: int) -> Level:
        if order == 1:
            grams = np.arange(1, len(self.vocabulary), dtype=np.int32).reshape(-1, 1)
            return Level(grams, self.word_values[1:], self.word_contexts[1:])
        assert self._rows is not None
        packing = Packing.of(self.vocabulary)
        rows = self._rows[order - 1]

        def piece(start: int) -> tuple[Grams, Any]:
            part = rows[start : start + (1 << 18)]
            grams = np.empty((len(part), order), np.int32)
            kernels_count.unpack_rows(part, order, packing.bits, packing.fields, grams)
            values, found = self.tables.look_up(grams)
            if not found.all() or (len(grams) and int(grams.max()) >= len(self.vocabulary)):
                raise ModelError("the model file is damaged: an n-gram is not in its table")
            return grams, unpack_values(values)

        pieces = list(map_chunks(piece, range(0, len(rows), 1 << 18), self.threads))
        if not pieces:
            return Level(np.empty((0, order), np.int32), np.empty(0, np.float32), np.empty(0, np.float32))
        return Level(
            np.concatenate([grams for grams, _ in pieces]),
            np.concatenate([values for _, (values, _) in pieces]),
            np.concatenate([contexts for _, (_, contexts) in pieces]),
        )

    def write(self, sink: Any) -> None:
        """Pass all n-grams to a sink, as training does."""
        sink.begin(self.vocabulary, self.sizes)
        for order, level in enumerate(self.levels, 1):
            chunk = 1 << 18

            def prepare(start: int, order: int = order, level: Level = level, chunk: int = chunk) -> Any:
                part = slice(start, start + chunk)
                last = order == self.order
                contexts = np.empty(0, np.float32) if last else level.contexts[part]
                return sink.prepare(order, level.grams[part], level.values[part], contexts)

            step = len(level) if order == 1 else chunk
            for prepared in map_chunks(prepare, range(0, len(level), max(step, 1)), self.threads):
                sink.write(order, prepared)


class ModelSink:
    """Collect a model in memory."""

    def begin(self, vocabulary: LmVocabulary, sizes: Sequence[int]) -> None:
        """Remember the vocabulary."""
        self.vocabulary = vocabulary
        self._pieces: list[list[tuple[Any, ...]]] = [[] for _ in sizes]

    def prepare(self, level: int, grams: Grams, values: Singles, contexts: Singles) -> tuple[Any, ...]:
        """Keep a piece as it is."""
        return grams, values, contexts

    def write(self, level: int, prepared: tuple[Any, ...]) -> None:
        """Take a piece."""
        self._pieces[level - 1].append(prepared)

    def model(self, settings: ModelSettings, threads: int = 1) -> LanguageModel:
        """Return the model."""
        levels = []
        for order, pieces in enumerate(self._pieces, 1):
            pieces = pieces or [
                (np.empty((0, order), np.int32), np.empty(0, np.float32), np.empty(0, np.float32))
            ]
            grams, values, contexts = (np.concatenate(column) for column in zip(*pieces, strict=True))
            if not len(contexts):
                contexts = np.zeros(len(values), np.float32)
            levels.append(Level(grams, values, contexts))
        return LanguageModel.of_levels(self.vocabulary, settings, levels, threads)


class BinarySink:
    """Write a binary model: packed n-grams as they come, the hash table of an order when it is complete."""

    def __init__(self, stream: BinaryIO, shelves: Shelves | None = None, threads: int = 1) -> None:
        self._writer = SectionWriter(stream, KIND)
        self._shelves = shelves or Shelves()
        self._threads = threads
        self._level = 0
        self._builder: TableBuilder | None = None
        self._table_sizes = [0]

    def begin(self, vocabulary: LmVocabulary, sizes: Sequence[int]) -> None:
        """Write the vocabulary."""
        self._vocabulary, self._sizes = vocabulary, list(sizes)
        self._packing = Packing.of(vocabulary)
        slots, keys, lengths = vocabulary.index
        for name, array in (
            ("word bytes", vocabulary.blob), ("word starts", vocabulary.starts),
            ("word slots", slots), ("word keys", keys), ("word lengths", lengths),
        ):  # fmt: skip
            self._writer.add(name, array)

    def prepare(self, level: int, grams: Grams, values: Singles, contexts: Singles) -> tuple[Any, ...]:
        """Pack a piece and group it by hash."""
        if level == 1:
            return values, contexts
        rows = np.empty((len(grams), self._packing.columns(level)), np.uint64)
        kernels_count.pack_rows(
            np.ascontiguousarray(grams), level, self._packing.bits, self._packing.fields, rows
        )
        return rows, group_by_hash(grams, pack_values(values, contexts), self._sizes[level - 1])

    def write(self, level: int, prepared: tuple[Any, ...]) -> None:
        """Write packed n-grams, keep the hashed ones for the table."""
        if level == 1:
            values, contexts = prepared
            size = len(values)
            self._writer.add("values 1", np.concatenate((np.zeros(1, np.float32), values)))
            held = contexts if len(contexts) else np.zeros(size, np.float32)
            self._writer.add("contexts 1", np.concatenate((np.zeros(1, np.float32), held)))
            self._level = 1
            return
        self._advance(level)
        assert self._builder is not None
        self._writer.append(prepared[0])
        self._builder.add(prepared[1])

    def _advance(self, level: int) -> None:
        while self._level < level:
            self._end_level()
            self._level += 1
            self._builder = TableBuilder(self._sizes[self._level - 1], self._shelves)
            self._writer.begin(f"rows {self._level}")
            self._writer.append(np.empty((0, self._packing.columns(self._level)), np.uint64))

    def _end_level(self) -> None:
        if self._builder is not None:
            self._writer.begin(f"table {self._level}")
            for rows in self._builder.rows(self._threads):
                self._writer.append(rows)
            self._table_sizes.append(self._builder.size)
            self._builder = None

    def finish(self, settings: ModelSettings) -> None:
        """Complete the file."""
        self._advance(len(self._sizes))
        self._end_level()
        header = {
            "kind": settings.kind, "alpha": settings.alpha, "missing": settings.missing, "closed": settings.closed,
            "made": settings.made, "sizes": self._sizes, "tables": self._table_sizes,
        }  # fmt: skip
        self._writer.finish(header)


_EXTRA = {"alpha": real(0, 1e300), "missing": real(-1e300, 1e300), "closed": flag, "made": record}
HEADER = Schema(
    header={
        "kind": one_of(BACKOFF, ADDITIVE), **_EXTRA, "sizes": list_of(whole(0, 1 << 48), 1, MOST_ORDER),
        "tables": list_of(whole(0, 1 << 48), 1, MOST_ORDER),
    }
)  # fmt: skip
# the words of a model and their look-up; the tables and rows of n-grams depend on the order
WORD_INDEX = {
    **WORDS,
    "word slots": Array("int32", ("slots",), low=-1, high="words"), "word keys": Array("uint64", ("words",)),
    "word lengths": Array("int32", ("words",), low=0), "values 1": Array("float32", ("words",)),
    "contexts 1": Array("float32", ("words",)),
}  # fmt: skip


def _check_index(vocabulary: LmVocabulary) -> None:
    """Raise `ValueError` where a search for a word could leave the arrays or never end."""
    slots, _, lengths = vocabulary.index
    size = len(slots)
    if size & (size - 1) or not size or int(np.count_nonzero(slots >= 0)) >= size:
        raise ValueError("the slots of words")
    if not np.array_equal(np.diff(vocabulary.starts) - 1, lengths):
        raise ValueError("the lengths of words")


def load_model(path: PathLike, threads: int = 1, unknown: str | None = None) -> LanguageModel:
    """Load an ARPA file, or a binary model of mlkit (which is mapped into memory).

    unknown: the name of the unknown word in an ARPA file, if it is not `<unk>` or `<UNK>`.
    Raises `ModelError` or `DataError` for what is neither, is cut short, or contradicts itself.
    """
    if is_binary(path):
        return _load_binary(path, threads)
    arpa = read_arpa(path, threads, unknown)
    settings = ModelSettings(made={"unknown": arpa.has_unknown})
    levels = [Level(level.grams, level.values, level.backoffs) for level in arpa.levels]
    return LanguageModel.of_levels(arpa.vocabulary, settings, levels, threads)


def _load_binary(path: PathLike, threads: int) -> LanguageModel:
    sections = Sections(path, KIND)
    arrays, header = sections.arrays, sections.header
    known = max(len(arrays["word starts"]) - 1, 0) if "word starts" in arrays else 0
    HEADER.check(header, {}, path)
    if known < 4:
        raise ModelError("damaged file (no words)", path=display_name(path))
    levels = range(2, len(header["sizes"]) + 1)
    columns = Packing(max((known - 1).bit_length(), 2), 64 // max((known - 1).bit_length(), 2)).columns
    tables_of = {f"table {k}": Array("uint64", (f"table {k}", 2)) for k in levels}
    rows_of = {f"rows {k}": Array("uint64", (header["sizes"][k - 1], columns(k))) for k in levels}
    Schema({**WORD_INDEX, **tables_of, **rows_of}, sizes={"words": known}).check(header, arrays, path)
    try:
        vocabulary = LmVocabulary(arrays["word bytes"], arrays["word starts"])
        vocabulary.adopt_index(arrays["word slots"], arrays["word keys"], arrays["word lengths"])
        settings = ModelSettings(
            str(header["kind"]), float(header["alpha"]), float(header["missing"]), bool(header["closed"]),
            dict(header["made"]),
        )  # fmt: skip
        _check_index(vocabulary)
        sizes = [int(size) for size in header["sizes"]]
        whole = np.frombuffer(sections.mapped, np.uint64).reshape(-1, 2)
        offsets = [0, *(sections.offset(f"table {k}") // 16 for k in range(2, len(sizes) + 1)), len(whole)]
        rows: list[Any] = [None, *(arrays[f"rows {k}"] for k in range(2, len(sizes) + 1))]
        for order, size in enumerate(header["tables"], 1):
            if order > 1 and not 0 < size < len(arrays[f"table {order}"]):
                raise ValueError(f"table {order}")
            if order > 1 and (arrays[f"table {order}"][-1].any() or len(rows[order - 1]) != sizes[order - 1]):
                raise ValueError(f"table {order}")
        words = arrays["values 1"], arrays["contexts 1"]
        if (
            len(words[0]) != len(vocabulary)
            or len(words[1]) != len(vocabulary)
            or len(header["tables"]) != len(sizes)
        ):
            raise ValueError("sizes")
        if settings.kind == ADDITIVE:
            words = words[0], words[1].copy()
            words[1][0] = float(settings.made["tokens"])
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ModelError(f"the model is damaged ({error})", path=display_name(path)) from None
    tables = Tables(whole, offsets, header["tables"])
    return LanguageModel(vocabulary, settings, sizes, words, tables=tables, rows=rows, threads=threads)


def save_model(model: LanguageModel, path: PathLike, *, binary: bool) -> None:
    """Write a model as an ARPA file or in binary form.

    Raises `UsageError` when an ARPA file cannot express the model.
    """
    if not binary:
        refuse_arpa(model.settings)
    with open_output(path) as stream:
        if binary:
            sink = BinarySink(stream, threads=model.threads)
            model.write(sink)
            sink.finish(model.settings)
        else:
            writer = ArpaWriter(stream)
            model.write(writer)
            writer.finish()


def refuse_arpa(settings: ModelSettings) -> None:
    """Raise `UsageError` for models whose probabilities no ARPA file can hold."""
    if settings.kind == ADDITIVE:
        raise UsageError(
            "an ARPA file cannot hold an additive model: it gives every unseen n-gram of a context its own"
            " share of the context's count, not a back-off to the shorter history; write a .bin file"
        )
    if settings.missing != 0:
        raise UsageError(
            "an ARPA file cannot hold stupid back-off: histories that were never seen cost the same factor,"
            " which ARPA files have no place for; write a .bin file"
        )
