"""Trees as flat arrays: what training makes, what prediction walks, what a model file holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlkit.errors import ModelError
from mlkit.formats.schema import Array, Schema
from mlkit.threads import map_chunks
from mlkit.trees import kernels_predict
from mlkit.trees.binning import Bins

Reals = NDArray[np.float64]
ROWS = 1 << 14
SET, MISSING_LEFT = 1, 2  # flags of an inner node in the file
FLAG_BITS = 2
_COUNTS = ("uint8", "uint16", "uint32", "int32", "int64")
# the arrays of a file, see `Trees.to_tensors`; files of format 1 hold features and flags apart
_STRUCTURE = Schema({
    "sizes": Array(_COUNTS, ("trees",)), "left": Array(_COUNTS, ("nodes",), low=0, high="nodes"),
    "threshold": Array("uint8", ("inner",)), "gain": Array("float32", ("inner",)),
    "count": Array(_COUNTS, ("leaves",)), "large_counts": Array("uint32", ("large",), optional=True),
    "set_sizes": Array("uint8", ("sets",), high=33), "sets": Array("uint8", ("octets",)),
    "value": Array("float32", ("leaves",), optional=True),
})  # fmt: skip
_NODES = Schema({
    "split": Array(_COUNTS, ("inner",), optional=True),
    "feature": Array(_COUNTS, ("inner",), optional=True, low=0, high=1 << 16),
    "flags": Array("uint8", ("inner",), optional=True), "threshold": Array("uint8", ("inner",)),
})  # fmt: skip
_VOTES = Schema({
    "vote_counts": Array(_COUNTS, ("leaves",), low=0), "count": Array(_COUNTS, ("leaves",)),
    "vote_classes": Array(_COUNTS, ("votes",), low=0, high=1 << 16), "votes": Array("float32", ("votes",)),
})  # fmt: skip
LARGE = (1 << 16) - 1  # in a file, stands for a count that is told apart


@dataclass(frozen=True)
class Tree:
    """One tree. A node's left child stands `left` places after it (0: a leaf), the right child after the left one.

    A bin <= threshold goes left; `missing` is 255 where missing values go left, else 0. `set_of` is the row of
    `sets` (256 bits, one per bin that goes left) of a categorical split, -1 for a numeric one.
    """

    left: NDArray[np.int32]
    feature: NDArray[np.uint16]
    threshold: NDArray[np.uint8]
    missing: NDArray[np.uint8]
    set_of: NDArray[np.int32]
    sets: NDArray[np.uint64]  # [n, 4]
    value: NDArray[np.float32]
    gain: NDArray[np.float32]
    count: NDArray[np.int32]


@dataclass(frozen=True)
class Trees:
    """Many trees behind each other, with `roots`; the arrays are those of `Tree`.

    `votes`, for classifiers of several classes whose leaves vote: leaf l (counted over all trees) has
    entries begin[l] .. begin[l + 1] - 1 of (classes, votes).
    """

    roots: NDArray[np.int64]
    left: NDArray[np.int32]
    feature: NDArray[np.uint16]
    threshold: NDArray[np.uint8]
    missing: NDArray[np.uint8]
    set_of: NDArray[np.int32]
    sets: NDArray[np.uint64]
    value: NDArray[np.float32]
    gain: NDArray[np.float32]
    count: NDArray[np.int32]
    begin: NDArray[np.int32] | None = None
    classes: NDArray[np.uint16] | None = None
    votes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.roots)

    @property
    def _walk(self) -> tuple[NDArray[Any], ...]:
        return self.left, self.feature, self.threshold, self.missing, self.set_of, self.sets

    def sums(self, bins: Bins, outputs: int, threads: int = 1) -> Reals:
        """Return float64 [rows, outputs]: the sum of leaf values (tree t counts for output t % outputs) or votes."""
        out = np.zeros((len(bins), outputs))
        leaves = np.cumsum(self.left == 0) - 1 if self.votes is not None else None

        def walk(start: int) -> None:
            rows = slice(start, start + ROWS)
            if self.votes is None:
                kernels_predict.add_values(bins[rows], self.roots, *self._walk, self.value, out[rows])
            else:
                kernels_predict.add_votes(
                    bins[rows],
                    self.roots,
                    *self._walk,
                    leaves,
                    self.begin,
                    self.classes,
                    self.votes,
                    out[rows],
                )

        for _ in map_chunks(walk, range(0, len(bins), ROWS), threads):
            pass
        return out

    def leaves(self, bins: Bins) -> NDArray[np.int32]:
        """Return int32 [rows, trees]: the leaf of every row, as a node counted from the root of its tree."""
        out = np.empty((len(bins), len(self.roots)), np.int32)
        kernels_predict.find_leaves(bins, self.roots, *self._walk, out)
        return out

    def part(self, first: int, last: int) -> Trees:
        """Return trees first..last-1, whose leaves have values."""
        return join_trees([self.tree(t) for t in range(first, last)])

    def tree(self, number: int) -> Tree:
        """Return one tree."""
        start = int(self.roots[number])
        stop = int(self.roots[number + 1]) if number + 1 < len(self.roots) else len(self.left)
        span = slice(start, stop)
        set_of = self.set_of[span]
        used = set_of[set_of >= 0]
        first, last = (int(used.min()), int(used.max()) + 1) if len(used) else (0, 0)
        return Tree(
            self.left[span], self.feature[span], self.threshold[span], self.missing[span],
            np.where(set_of >= 0, set_of - first, -1).astype(np.int32), self.sets[first:last],
            self.value[span], self.gain[span], self.count[span],
        )  # fmt: skip

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a model file: the smallest types, no room for what leaves or inner nodes lack."""
        inner = self.left > 0
        flags = (self.set_of[inner] >= 0) * SET + (self.missing[inner] == 255) * MISSING_LEFT
        sizes = np.diff(self.roots, append=len(self.left))
        tensors = {
            "sizes": narrow(sizes), "left": narrow(self.left),
            "split": narrow((self.feature[inner].astype(np.int64) << FLAG_BITS) | flags),
            "threshold": self.threshold[inner], "gain": self.gain[inner],
        }  # fmt: skip
        tensors |= _shorten_counts(self.count[~inner]) | _shorten_sets(self.sets)
        if self.begin is None or self.classes is None or self.votes is None:
            tensors["value"] = self.value[~inner]
        else:
            tensors |= {
                "vote_counts": narrow(np.diff(self.begin)), "vote_classes": narrow(self.classes),
                "votes": self.votes,
            }  # fmt: skip
        return tensors

    @staticmethod
    def from_tensors(tensors: dict[str, NDArray[Any]], path: Any = None) -> Trees:
        """Return the trees that a model file's arrays describe; raises `ModelError` when they do not fit."""
        try:
            trees = _widen(tensors)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise ModelError(f"damaged trees ({error})", path=path) from None
        nodes = np.arange(len(trees.left))
        inner = trees.left > 0
        ends = np.repeat(np.append(trees.roots[1:], len(nodes)), np.diff(np.append(trees.roots, len(nodes))))
        if (trees.left < 0).any() or (nodes[inner] + trees.left[inner] + 1 >= ends[inner]).any():
            raise ModelError("damaged trees (a child outside of its tree)", path=path)
        return trees

    def check(self, columns: int, outputs: int, path: Any = None) -> None:
        """Raise `ModelError` where a split or a vote names a column or an output that is not there."""
        inner = self.left > 0
        if inner.any() and int(self.feature[inner].max()) >= columns:
            raise ModelError("damaged trees (a column that is not there)", path=path)
        if self.classes is not None and len(self.classes) and int(self.classes.max()) >= outputs:
            raise ModelError("damaged trees (a class that is not there)", path=path)


def narrow(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array in the smallest unsigned type that holds it."""
    top = int(array.max()) if array.size else 0
    dtype = np.uint8 if top < 1 << 8 else np.uint16 if top < 1 << 16 else np.uint32
    return array.astype(dtype)


def _shorten_counts(counts: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    """Return the rows of leaves in 16 bits at most; the few that are larger are told apart, in their order."""
    large = counts >= LARGE
    return {"count": narrow(np.where(large, LARGE, counts)), "large_counts": counts[large].astype(np.uint32)}


def _lengthen_counts(tensors: dict[str, NDArray[Any]]) -> NDArray[np.int32]:
    counts = tensors["count"].astype(np.int32)
    if "large_counts" in tensors:
        counts[counts == LARGE] = tensors["large_counts"]
    return counts


def _splits(tensors: dict[str, NDArray[Any]]) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Return (features, flags) of inner nodes; files of format 1 hold them apart."""
    _NODES.check({}, tensors)
    if "flags" in tensors:
        return tensors["feature"].astype(np.uint16), tensors["flags"]
    split = tensors["split"]
    return (split >> FLAG_BITS).astype(np.uint16), (split & ((1 << FLAG_BITS) - 1)).astype(np.uint8)


def _shorten_sets(sets: NDArray[np.uint64]) -> dict[str, NDArray[Any]]:
    """Return the sets as bytes without the zeros at their ends; bit 255 is the node's flag for missing values."""
    octets = np.ascontiguousarray(sets, "<u8").view(np.uint8).reshape(-1, 32).copy()
    octets[:, 31] &= 127
    used = octets != 0
    sizes = np.where(used.any(axis=1), 32 - used[:, ::-1].argmax(axis=1), 0)
    return {"set_sizes": sizes.astype(np.uint8), "sets": octets[np.arange(32) < sizes[:, None]]}


def _lengthen_sets(tensors: dict[str, NDArray[Any]], missing_left: NDArray[np.bool_]) -> NDArray[np.uint64]:
    sizes = tensors["set_sizes"].astype(np.int64)
    if len(sizes) != len(missing_left) or (sizes > 32).any():
        raise ValueError("sets")
    octets = np.zeros((len(sizes), 32), np.uint8)
    octets[np.arange(32) < sizes[:, None]] = tensors["sets"]
    octets[missing_left, 31] |= 128
    return octets.view("<u8").astype(np.uint64).reshape(-1, 4)


def _widen(tensors: dict[str, NDArray[Any]]) -> Trees:
    _STRUCTURE.check({}, tensors)
    sizes = tensors["sizes"].astype(np.int64)
    left = tensors["left"].astype(np.int32)
    if sizes.sum() != len(left) or (sizes < 1).any():
        raise ValueError("sizes")
    inner = left > 0
    count = len(left)

    def spread(values: NDArray[Any], dtype: Any, where: NDArray[np.bool_]) -> NDArray[Any]:
        out = np.zeros(count, dtype)
        out[where] = values
        return out

    features, node_flags = _splits(tensors)
    flags = spread(node_flags, np.uint8, inner)
    is_set = flags & SET > 0
    set_of = np.where(is_set, np.cumsum(is_set) - 1, -1).astype(np.int32)
    sets = _lengthen_sets(tensors, flags[is_set] & MISSING_LEFT > 0)
    trees: dict[str, Any] = {
        "roots": np.cumsum(sizes) - sizes, "left": left, "feature": spread(features, np.uint16, inner),
        "threshold": spread(tensors["threshold"], np.uint8, inner), "set_of": set_of, "sets": sets,
        "missing": np.where(flags & MISSING_LEFT > 0, 255, 0).astype(np.uint8),
        "gain": spread(tensors["gain"], np.float32, inner),
        "count": spread(_lengthen_counts(tensors), np.int32, ~inner),
    }  # fmt: skip
    if "votes" in tensors:
        _VOTES.check({}, tensors)
        begin = np.concatenate([[0], np.cumsum(tensors["vote_counts"], dtype=np.int64)]).astype(np.int32)
        if len(begin) != int((~inner).sum()) + 1 or begin[-1] != len(tensors["votes"]):
            raise ValueError("votes")
        trees |= {
            "value": np.zeros(count, np.float32), "begin": begin, "votes": np.array(tensors["votes"]),
            "classes": tensors["vote_classes"].astype(np.uint16),
        }  # fmt: skip
    else:
        trees["value"] = spread(tensors["value"], np.float32, ~inner)
    return Trees(**trees)


def join_trees(trees: Sequence[Tree], votes: Sequence[Any] | None = None) -> Trees:
    """Put trees behind each other; `votes` are (counts per leaf, classes, votes) per tree."""
    sizes = np.array([len(tree.left) for tree in trees], np.int64)
    set_counts = np.array([len(tree.sets) for tree in trees], np.int64)
    set_starts = np.cumsum(set_counts) - set_counts
    joined = {
        name.name: np.concatenate([getattr(tree, name.name) for tree in trees])
        for name in fields(Tree)
        if name.name != "set_of"
    }
    joined["set_of"] = np.concatenate(
        [
            np.where(tree.set_of >= 0, tree.set_of + start, -1).astype(np.int32)
            for tree, start in zip(trees, set_starts, strict=True)
        ]
    )
    if votes is not None:
        counts = np.concatenate([part[0] for part in votes])
        joined["begin"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        joined["classes"] = np.concatenate([part[1] for part in votes]).astype(np.uint16)
        joined["votes"] = np.concatenate([part[2] for part in votes]).astype(np.float32)
    return Trees(np.cumsum(sizes) - sizes, **joined)


def single(tree: Tree) -> Trees:
    """Return an ensemble of one tree, whose leaves have values."""
    return Trees(np.zeros(1, np.int64), *(getattr(tree, field.name) for field in fields(Tree)))


def append_trees(before: Trees, after: Trees) -> Trees:
    """Return the trees of two ensembles, without votes, one behind the other."""
    return join_trees(
        [before.tree(t) for t in range(len(before))] + [after.tree(t) for t in range(len(after))]
    )
