"""Ask a model: log10 p of every word of a text, perplexity, cross-entropy differences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlkit.formats.lm_words import END, UNKNOWN
from mlkit.formats.streams import Errors, PathLike
from mlkit.formats.text_chunks import Chunk, Places, clean, text_chunks
from mlkit.ngram import kernels_hash_table
from mlkit.ngram.model import ADDITIVE, LanguageModel
from mlkit.threads import map_chunks

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


def score_ids(model: LanguageModel, ids: Ids) -> tuple[Floats, npt.NDArray[np.int8]]:
    """Return log10 p and the matched order of every word; -1 in `ids` is the end of a line and is scored as `</s>`."""
    out, matched = np.empty(len(ids)), np.empty(len(ids), np.int8)
    tables, settings = model.tables, model.settings
    common = (
        ids, model.order, tables.offsets, tables.sizes, tables.table, tables.values,
        model.word_values, model.word_contexts,
    )  # fmt: skip
    with np.errstate(over="ignore"):
        if settings.kind == ADDITIVE:
            kernels_hash_table.score_additive(
                *common, settings.alpha, float(model.vocabulary.types), out, matched
            )
        else:
            kernels_hash_table.score_backoff(*common, settings.missing, settings.closed, out, matched)
    return out, matched


@dataclass
class ScoredPiece:
    """Whole lines of a text with the scores of their words (-1 in `ids`: the end of a line)."""

    chunk: Chunk
    ids: Ids
    values: Floats
    matched: npt.NDArray[np.int8]

    def lines(self) -> list[bytes]:
        """Return the lines without their ends."""
        data = self.chunk.data[: self.chunk.size].tobytes()
        found = data.split(b"\n")
        return found[:-1] if data.endswith(b"\n") or not data else found

    def sums(self) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return of every line the sum of log10 p, the number of words (the end included) and of unknown ones."""
        ends = np.flatnonzero(self.ids < 0)
        starts = np.concatenate((np.zeros(1, np.int64), ends + 1))[:-1]
        if not len(ends):
            return np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
        unknown = np.add.reduceat((self.ids == UNKNOWN).astype(np.int64), starts)
        return np.add.reduceat(self.values, starts), ends + 1 - starts, unknown


def score_text(
    model: LanguageModel, sources: Sequence[PathLike], *, threads: int = 1, errors: Errors = "strict"
) -> Iterator[ScoredPiece]:
    """Score texts piece by piece, in order. Raises `DataError` for invalid UTF-8."""
    _ = model.tables, model.vocabulary.index
    places = Places()

    def work(chunk: Chunk) -> ScoredPiece:
        clean(chunk, errors=errors)
        ids = model.vocabulary.look_up(chunk.data, chunk.size)
        values, matched = score_ids(model, ids)
        return ScoredPiece(chunk, ids, values, matched)

    for piece in map_chunks(work, text_chunks(sources, whole_lines=True, chunk_bytes=1 << 20), threads):
        places.pass_by(piece.chunk)
        yield piece


@dataclass
class Totals:
    """The score of a text: sums of log10 p and numbers of tokens, line ends included; *known*: no unknown words."""

    lines: int = 0
    tokens: int = 0
    unknown: int = 0
    log10: float = 0.0
    known_log10: float = 0.0

    def add(self, piece: ScoredPiece) -> None:
        """Count a piece."""
        unknown = piece.ids == UNKNOWN
        self.lines += int(np.count_nonzero(piece.ids < 0))
        self.tokens += len(piece.ids)
        self.unknown += int(np.count_nonzero(unknown))
        self.log10 += float(piece.values.sum())
        self.known_log10 += float(piece.values[~unknown].sum())

    @property
    def perplexity(self) -> float:
        """10 to the minus mean log10 p over all tokens."""
        return perplexity(self.log10, self.tokens)

    @property
    def known_perplexity(self) -> float:
        """The perplexity without the unknown words (in the sum and in the count), as KenLM's query does."""
        return perplexity(self.known_log10, self.tokens - self.unknown)

    @property
    def bits(self) -> float:
        """Bits per token, unknown words included."""
        return -self.log10 / self.tokens * math.log2(10.0) if self.tokens else math.nan


def perplexity(log10: float, tokens: int) -> float:
    """Return 10 ** (-log10 / tokens)."""
    if not tokens:
        return math.nan
    exponent = -log10 / tokens
    return math.inf if exponent > 300 else 10.0**exponent


def measure(
    model: LanguageModel, sources: Sequence[PathLike], *, threads: int = 1, errors: Errors = "strict"
) -> Totals:
    """Return the totals of texts under a model."""
    totals = Totals()
    for piece in score_text(model, sources, threads=threads, errors=errors):
        totals.add(piece)
    return totals


def token_words(model: LanguageModel, piece: ScoredPiece) -> Iterator[tuple[int, list[tuple[str, Any]]]]:
    """Yield (line of the piece from 0, [(word as written, place in the piece)]) of every line; `</s>` ends each."""
    at = 0
    end_name = model.vocabulary.word(END)
    for number, line in enumerate(piece.lines()):
        words = [word.decode("utf-8", "replace") for word in line.split()]
        yield number, [(word, at + k) for k, word in enumerate([*words, end_name])]
        at += len(words) + 1


def hit_rates(model: LanguageModel, sources: Sequence[PathLike], *, threads: int = 1) -> dict[int, float]:
    """Return for every order the share of the tokens whose longest n-gram in the model has this order."""
    hits = np.zeros(model.order + 1, np.int64)
    for piece in score_text(model, sources, threads=threads):
        hits += np.bincount(piece.matched, minlength=model.order + 1)
    total = max(int(hits.sum()), 1)
    return {order: int(hits[order]) / total for order in range(1, model.order + 1)}
