"""From counts to probabilities, level by level, with every level divided into parts.

Three steps, after Heafield et al. (2013), but over parts in place of sorted files: (A) sort the n-grams of
every part by suffix and count; (B) regroup each order by context and estimate u(w|h) and gamma(h); (C) back
in suffix order, where the parent of an n-gram is its lower-order n-gram, interpolate and give contexts their
gamma as back-off weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlkit.errors import DataError, UsageError
from mlkit.formats.lm_words import BEGIN, NOTHING, UNKNOWN, LmVocabulary
from mlkit.ngram import kernels_count, kernels_estimate
from mlkit.ngram.count import Levels, Packing, Source, count_parts
from mlkit.ngram.smoothing import (
    COUNTS_OF_COUNTS,
    LevelSettings,
    Smoothing,
    counts_of_counts,
    settings_of,
)
from mlkit.ngram.spill import Parts, Shelf, Shelves
from mlkit.progress import Progress, Report, silent
from mlkit.threads import map_chunks

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Grams = npt.NDArray[np.int32]
MISSING = np.uint32(kernels_count.MISSING)


class Sink(Protocol):
    """Where a model goes as it is made: level by level, each in pieces."""

    def begin(self, vocabulary: LmVocabulary, sizes: Sequence[int]) -> None:
        """Learn the vocabulary and how many n-grams every order has."""

    def prepare(self, level: int, grams: Grams, values: Singles, contexts: Singles) -> Any:
        """Work on a piece (in any thread): n-grams, log10 p, log10 back-off (empty for the highest order)."""

    def write(self, level: int, prepared: Any) -> None:
        """Take prepared pieces, in order."""


@dataclass
class Statistics:
    """What training found: n-grams per order (before and after pruning), discounts, counts of counts, words."""

    order: int
    found: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    discounts: list[list[float]] = field(default_factory=list)
    counts_of_counts: list[list[int]] = field(default_factory=list)
    tokens: float = 0.0
    sentences: float = 0.0
    warnings: list[str] = field(default_factory=list)


@dataclass
class _Counted:
    """Step A's result of one part."""

    levels: tuple[Any, Any, Any]
    contexts: list[tuple[tuple[Any, ...], Any]]
    counts_of_counts: npt.NDArray[np.int64]
    unigrams: tuple[Any, Any, Any]
    found: npt.NDArray[np.int64]
    fractional: bool


class Estimator:
    """Estimate a model from a source of n-grams and pass it to a sink."""

    def __init__(
        self,
        source: Source,
        order: int,
        smoothing: Smoothing,
        *,
        prune: Sequence[float] = (),
        threads: int = 1,
        shelves: Shelves | None = None,
        counted: Callable[[], None] = lambda: None,
        progress: Progress = silent,
    ) -> None:
        """counted: called when the source is no longer needed."""
        self.source, self.order, self.smoothing = source, order, smoothing
        self.prune = prune_thresholds(prune, order)
        self.threads, self.progress, self.counted = threads, progress, counted
        self.shelves = shelves or Shelves()
        self.packing = Packing.of(source.vocabulary)
        self.statistics = Statistics(order, sentences=source.sentences)

    # Step A

    def count(self) -> None:
        """Sort and count every part; keep its trie, and its n-grams grouped by context."""
        size = len(self.source.vocabulary)
        self.tries: Shelf = self.shelves.shelf()
        self.by_context: list[Parts] = []
        self.part_of: Any = np.zeros(size, np.int32)
        self.unigram_counts = np.zeros(size)
        self.unigram_kept = np.zeros(size, np.bool_)
        for level in range(2, self.order + 1):
            rows = np.empty((0, self.packing.columns(level - 1)), np.uint64)
            self.by_context.append(
                Parts(self.shelves, [rows, np.empty(0, np.uint32), np.empty(0, np.float32)])
            )
        found = np.zeros(self.order, np.int64)
        kept = np.zeros(self.order, np.int64)
        counts = np.zeros((self.order, COUNTS_OF_COUNTS), np.int64)
        fractional = False
        for part in count_parts(
            self.source, self.order, self.packing, self.shelves, self.threads, self._count_part
        ):
            self.tries.put(*_as_block(part.levels))
            for level, (arrays, offsets) in enumerate(part.contexts):
                self.by_context[level].add(arrays, offsets)
            found += part.found
            kept += np.diff(part.levels[0])
            counts += part.counts_of_counts
            words, values, keep = part.unigrams
            self.unigram_counts[words] = values
            self.unigram_kept[words] = keep
            fractional |= part.fractional
            self.progress(Report("Counting", len(self.tries), None, "parts"))
        self.counted()
        self.parts = len(self.tries)
        self.unigram_counts[BEGIN] = 0
        if not self.unigram_counts.any():
            raise DataError("there are no counts to learn from")
        if fractional and (self.smoothing.kneser_ney or self.smoothing.method in ("good-turing", "katz")):
            raise UsageError(
                f"{self.smoothing.method} needs whole counts; fractional ones go with witten-bell, absolute or laplace"
            )
        self.statistics.found = [size - 1, *(int(n) for n in found[1:])]
        self.statistics.kept = [size - 1, *(int(n) for n in kept[1:])]
        for level in range(self.order, 1, -1):
            if found[level - 1] == 0:
                raise DataError(
                    f"there is no {level}-gram: every line is shorter",
                    hint=f"choose an --order below {level}",
                )
        self._choose_settings(counts)

    def _choose_settings(self, counts: npt.NDArray[np.int64]) -> None:
        self.settings = [
            settings_of(self.smoothing, self.order, level, counts[level - 1], self.statistics.warnings)
            for level in range(1, self.order + 1)
        ]
        self.statistics.discounts = [setting.discounts[1:].tolist() for setting in self.settings]
        self.statistics.counts_of_counts = counts[:, 1:5].tolist()

    def _count_part(self, levels: Levels, part_of: npt.NDArray[np.int32], parts: int) -> _Counted:
        self.part_of = part_of
        counts = levels.counts
        if self.smoothing.kneser_ney:
            counts = levels.left.astype(np.float64)
            raw = levels.words == BEGIN
            raw[levels.of(self.order)] = True
            counts[raw] = levels.counts[raw]
        keep = levels.words != NOTHING
        for level in range(2, self.order + 1):
            keep[levels.of(level)] &= levels.counts[levels.of(level)] > self.prune[level - 1]
        numbers = np.empty(len(keep), np.uint32)
        kernels_count.number_kept(levels.offsets, levels.words, levels.parents, keep.view(np.uint8), numbers)
        stats = np.array([counts_of_counts(counts[levels.of(level)]) for level in range(1, self.order + 1)])
        single = counts.astype(np.float32)
        contexts = [
            self._group_by_context(levels, numbers, single, level, part_of, parts)
            for level in range(2, self.order + 1)
        ]
        first = levels.of(1)
        return _Counted(
            _kept_trie(levels, numbers), contexts, stats,
            (levels.words[first], counts[first], numbers[first] != MISSING), np.diff(levels.offsets),
            bool((levels.counts != np.rint(levels.counts)).any()),
        )  # fmt: skip

    def _group_by_context(
        self, levels: Levels, numbers: Any, counts: Singles, level: int, part_of: Any, parts: int
    ) -> tuple[tuple[Any, ...], Any]:
        offsets = np.zeros(parts + 1, np.int64)
        trie = (levels.offsets, levels.words, levels.parents)
        kernels_count.count_contexts(*trie, level, part_of, offsets[1:])
        np.cumsum(offsets, out=offsets)
        size = int(offsets[-1])
        rows = np.empty((size, self.packing.columns(level - 1)), np.uint64)
        entries, values = np.empty(size, np.uint32), np.empty(size, np.float32)
        kernels_count.scatter_contexts(
            *trie, numbers, counts, level, self.packing.bits, self.packing.fields, part_of,
            offsets[:-1].copy(), rows, entries, values,
        )  # fmt: skip
        return (rows, entries, values), offsets

    # Step B

    def _estimate_level(self, level: int) -> tuple[Parts, Shelf]:
        """Estimate u and gamma of every n-gram of a level; return them by suffix part, and the contexts by part."""
        empty = [np.empty(0, np.uint32), np.empty(0, np.float32), np.empty(0, np.float32)]
        results = Parts(self.shelves, empty)
        contexts = self.shelves.shelf()
        grouped = self.by_context[level - 2]
        setting = self.settings[level - 1]

        def work(part: int) -> tuple[Any, ...]:
            (rows, entries, counts), offsets = grouped.read(part)
            return estimate_part(rows, entries, counts, self.packing, self.smoothing, setting), offsets

        for (arrays, found), offsets in map_chunks(work, range(self.parts), self.threads):
            # the blocks that were read are the suffix parts, in order
            results.add(arrays, offsets)
            contexts.put(*found)
        grouped.close()
        return results, contexts

    # Step C

    def unigrams(self) -> Floats:
        """Return the probabilities (or counts) of the words; those of `<s>` and of no word are 0."""
        counts, setting = self.unigram_counts, self.settings[0]
        size = self.source.vocabulary.types
        total = float(counts.sum())
        self.statistics.tokens = total
        if self.smoothing.count_model:
            return counts
        if self.smoothing.method == "stupid-backoff":
            return counts / total
        discounts = setting.discounts
        place = np.minimum(counts, len(discounts) - 1).astype(np.int64)
        removed = np.where(counts > 0, np.minimum(discounts[place], counts), 0.0)
        bottom = total + setting.types * np.count_nonzero(counts)
        scale = float(setting.scales[min(int(np.log2(max(total, 1.0))), len(setting.scales) - 1)])
        share = scale * (counts - removed) / bottom
        rest = 1.0 - float(share.sum())
        if rest <= 1e-12:
            share, rest = share * (total / (total + 1.0)), 1.0 / (total + 1.0)
        if self.smoothing.interpolate_unigrams:
            share = share + rest / size
        else:
            share[UNKNOWN] += rest
        share[[NOTHING, BEGIN]] = 0.0
        return share

    def run(self, sink: Sink) -> Statistics:
        """Count, estimate and write the model."""
        self.count()
        vocabulary = self.source.vocabulary
        sink.begin(vocabulary, self.statistics.kept)
        values = self.unigrams()
        lower: Shelf = self.shelves.shelf()
        for part in range(self.parts):
            offsets, words, _ = _from_block(self.tries.get(part))
            lower.put(values[words[: int(offsets[1])]].astype(np.float32))
        contexts, results = None, None
        for level in range(1, self.order + 1):
            following, next_contexts = None, None
            if level < self.order:
                following, next_contexts = self._estimate_level(level + 1)
            if level == 1:
                self._write_unigrams(sink, values, next_contexts)
            else:
                assert results is not None
                lower = self._write_level(sink, level, results, next_contexts, lower)
                results.close()
            if contexts is not None:
                contexts.close()
            results, contexts = following, next_contexts
            self.progress(Report("Estimating", level, self.order, "orders"))
        self.tries.close()
        return self.statistics

    def _final(self, values: Singles) -> Singles:
        """Return what is written: logarithms, or the counts of a count model."""
        out = np.ascontiguousarray(values, np.float32)
        if not self.smoothing.count_model:
            kernels_estimate.to_log10(out)
        return out

    def _write_unigrams(self, sink: Sink, values: Floats, contexts: Shelf | None) -> None:
        size = len(self.source.vocabulary)
        rest = np.full(size, self._no_context(), np.float32)
        if contexts is not None and self.smoothing.method != "stupid-backoff":
            for part in range(self.parts):
                rows, gammas = contexts.get(part)
                shift = np.uint64(self.packing.bits * (self.packing.fields - 1))
                rest[(rows[:, 0] >> shift).astype(np.int64)] = gammas
        grams = np.arange(1, size, dtype=np.int32).reshape(-1, 1)
        probabilities = self._final(values[1:].astype(np.float32))
        backoffs = self._final(rest[1:].copy()) if self.order > 1 else np.empty(0, np.float32)
        sink.write(1, sink.prepare(1, grams, probabilities, backoffs))

    def _no_context(self) -> float:
        """Return the value of an n-gram that is no context: weight 1 (logarithm 0), or no occurrence."""
        if self.smoothing.method == "stupid-backoff":
            return self.smoothing.backoff
        return 0.0 if self.smoothing.count_model else 1.0

    def _write_level(
        self, sink: Sink, level: int, results: Parts, contexts: Shelf | None, lower: Shelf
    ) -> Shelf:
        interpolated = not self.smoothing.backs_off and self.smoothing.mode == kernels_estimate.SMOOTHED
        upper = self.shelves.shelf()

        def work(part: int) -> tuple[Any, ...]:
            offsets, words, parents = _from_block(self.tries.get(part))
            (entries, share, rest), _ = results.read(part)
            here = slice(int(offsets[level - 1]), int(offsets[level]))
            probabilities = np.zeros(here.stop - here.start, np.float32)
            kernels_estimate.interpolate(
                entries, share, rest, parents[here], lower.get(part)[0], interpolated, probabilities
            )
            backoffs = np.empty(0, np.float32)
            if contexts is not None:
                backoffs = np.full(len(probabilities), self._no_context(), np.float32)
                if self.smoothing.method != "stupid-backoff":
                    rows, gammas = contexts.get(part)
                    kernels_estimate.join_contexts(
                        offsets, words, parents, level, self.packing.bits, self.packing.fields,
                        rows, gammas, backoffs,
                    )  # fmt: skip
                backoffs = self._final(backoffs)
            grams = np.empty((len(probabilities), level), np.int32)
            kernels_count.read_level(offsets, words, parents, level, grams)
            final = self._final(probabilities.copy())
            return probabilities, sink.prepare(level, grams, final, backoffs)

        for part, (probabilities, prepared) in enumerate(map_chunks(work, range(self.parts), self.threads)):
            lower.drop(part)
            if level < self.order:
                upper.put(probabilities)
            sink.write(level, prepared)
        lower.close()
        return upper


def prune_thresholds(prune: Sequence[float], order: int) -> list[float]:
    """Return the highest pruned count of every order, as lmplz reads `--prune 0 1 1`: the last one is
    repeated.

    Raises `UsageError` for thresholds that decrease or prune words.
    """
    given = list(prune) or [0.0]
    if len(given) > order:
        raise UsageError(f"--prune has {len(given)} thresholds for order {order}")
    given += [given[-1]] * (order - len(given))
    if given[0] != 0:
        raise UsageError("--prune must begin with 0; words are left out by --min-count")
    if any(b < a for a, b in pairwise(given)):
        raise UsageError("--prune: thresholds must not decrease from one order to the next")
    return given


def estimate_part(
    rows: npt.NDArray[np.uint64],
    entries: npt.NDArray[np.uint32],
    counts: Singles,
    packing: Packing,
    smoothing: Smoothing,
    setting: LevelSettings,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Estimate the n-grams whose contexts are `rows`: (entries, u, gamma) in their order, (contexts, gamma) sorted."""
    sorting = packing.sorted(rows)
    share, rest = np.empty(len(rows), np.float32), np.empty(len(rows), np.float32)
    contexts, gammas = np.empty_like(rows), np.empty(len(rows), np.float32)
    found = kernels_estimate.estimate_contexts(
        rows, sorting, entries, counts, smoothing.mode, setting.discounts, setting.types, setting.scales,
        share, rest, contexts, gammas,
    )  # fmt: skip
    return (entries, share, rest), (contexts[:found].copy(), gammas[:found].copy())


def _kept_trie(levels: Levels, numbers: npt.NDArray[np.uint32]) -> tuple[Any, Any, Any]:
    kept = numbers != MISSING
    if kept.all():
        return levels.offsets, levels.words, levels.parents
    sizes = [int(np.count_nonzero(kept[levels.of(k)])) for k in range(1, len(levels.offsets))]
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    words, parents = np.empty(int(offsets[-1]), np.uint32), np.empty(int(offsets[-1]), np.uint32)
    kernels_count.keep_entries(levels.offsets, levels.words, levels.parents, numbers, words, parents)
    return offsets, words, parents


def _as_block(levels: tuple[Any, Any, Any]) -> tuple[Any, ...]:
    """Put the offsets of a trie in front of its arrays, so that a shelf can hold it as one block."""
    offsets, words, parents = levels
    return (np.concatenate((np.array([len(offsets)]), offsets)), words, parents)


def _from_block(block: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    offsets, words, parents = block
    return offsets[1:], words, parents


__all__ = ["Estimator", "Sink", "Statistics", "estimate_part", "prune_thresholds"]
