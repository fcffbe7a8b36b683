"""Encode whole lines as sentencepiece does: merges that reach over spaces, user-defined symbols, unigram models.

A BPE line is merged by scores with a heap; a unigram line is the best path through the pieces that match (Viterbi),
with sums in single precision, as sentencepiece has them: ties and last bits decide ids.
"""

from __future__ import annotations

import array
import heapq
from itertools import count
from typing import Any

from mlkit.bpe.encode_options import Options
from mlkit.bpe.encode_plain import UnknownCharacter
from mlkit.bpe.model import SPACE, BpeModel
from mlkit.bpe.normalize import user_symbols
from mlkit.bpe.text_blocks import Piece
from mlkit.formats.sentencepiece import BPE, NORMAL, UNUSED, USER_DEFINED, SentencePieceModel

# what a character without a piece costs beyond the worst piece
_UNKNOWN_PENALTY = 10.0
_TINY = 2.0**-126  # what sentencepiece starts the best score with: the smallest normal number


def _single(value: float) -> float:
    """Round to single precision."""
    return array.array("f", [value])[0]


class Merger:
    """Merge the characters of a line by the scores of the pieces they make."""

    def __init__(self, model: SentencePieceModel) -> None:
        kinds = (NORMAL, USER_DEFINED, UNUSED)
        self._scores = {piece: score for piece, score, kind in model.pieces if kind in kinds}
        self._unused = {piece for piece, _, kind in model.pieces if kind == UNUSED}
        self._symbols = user_symbols(model)

    def cut(self, text: str) -> list[str]:
        """Return the pieces of a prepared line."""
        parts, frozen = self._start(text)
        made: dict[str, tuple[str, str]] = {}
        scores, size = self._scores, len(parts)
        words: list[str] = parts
        after, prior = list(range(1, size + 1)), list(range(-1, size - 1))
        heap: list[tuple[float, int, int, int]] = []

        def look(left: int, right: int) -> None:
            if left < 0 or right >= size or frozen[left] or frozen[right]:
                return
            word = words[left] + words[right]
            score = scores.get(word)
            if score is None:
                return
            heapq.heappush(heap, (-score, left, right, len(word)))
            if word in self._unused:
                made[word] = (words[left], words[right])

        for k in range(1, size):
            look(k - 1, k)
        while heap:
            _, left, right, length = heapq.heappop(heap)
            if not words[left] or not words[right] or len(words[left]) + len(words[right]) != length:
                continue
            words[left] += words[right]
            words[right] = ""
            after[left] = after[right]
            if after[left] < size:
                prior[after[left]] = left
            look(prior[left], left)
            look(left, after[left])
        out: list[str] = []
        for word in words:
            if word:
                self._add(word, made, out)
        return out

    def _start(self, text: str) -> tuple[list[str], list[bool]]:
        if self._symbols is None:
            return list(text), [False] * len(text)
        data, at = text.encode(), 0
        parts: list[str] = []
        frozen: list[bool] = []
        for match in self._symbols.finditer(data):
            before = data[at : match.start()].decode()
            parts += [*before, match[0].decode()]
            frozen += [*[False] * len(before), True]
            at = match.end()
        rest = data[at:].decode()
        return [*parts, *rest], [*frozen, *[False] * len(rest)]

    def _add(self, word: str, made: dict[str, tuple[str, str]], out: list[str]) -> None:
        """Add a piece; one that must not be used is cut as it was made."""
        if word not in self._unused or word not in made:
            out.append(word)
            return
        for part in made[word]:
            self._add(part, made, out)


class Unigram:
    """Cut lines by the log probabilities of pieces."""

    def __init__(self, model: SentencePieceModel) -> None:
        normal = [score for _, score, kind in model.pieces if kind == NORMAL]
        self.unknown_score = _single(min(normal, default=0.0) - _UNKNOWN_PENALTY)
        best = max([_TINY, *normal])
        self._trie: dict[str, Any] = {}
        for piece, score, kind in model.pieces:
            if not piece or kind not in (NORMAL, USER_DEFINED):
                continue
            # a user-defined symbol always wins
            value = _single(_single(len(piece.encode()) * best) - 0.1) if kind == USER_DEFINED else score
            node = self._trie
            for character in piece:
                node = node.setdefault(character, {})
            node[""] = value

    def cut(self, text: str) -> list[str]:
        """Return the most probable pieces of a prepared line."""
        size, root = len(text), self._trie
        total = array.array("f", bytes(4 * (size + 1)))
        begun = [-1] * (size + 1)
        single_precision = array.array("f", [0.0])
        for start in range(size):
            here, single = total[start], False
            node: dict[str, Any] | None = root
            for at in range(start, size):
                node = node.get(text[at]) if node is not None else None
                if node is None:
                    break
                value = node.get("")
                if value is not None:
                    stop = at + 1
                    single = single or at == start
                    single_precision[0] = value + here
                    if begun[stop] < 0 or single_precision[0] > total[stop]:
                        total[stop], begun[stop] = single_precision[0], start
            if not single:
                value = _single(self.unknown_score + here)
                if begun[start + 1] < 0 or value > total[start + 1]:
                    total[start + 1], begun[start + 1] = value, start
        out: list[str] = []
        while size > 0:
            out.append(text[begun[size] : size])
            size = begun[size]
        return out[::-1]

    def matches(self, text: str) -> list[list[tuple[int, float]]]:
        """Return, for every place, the pieces that begin there: where each ends and its score."""
        found: list[list[tuple[int, float]]] = []
        for start in range(len(text)):
            row: list[tuple[int, float]] = []
            node = self._trie
            for at in range(start, len(text)):
                if text[at] not in node:
                    break
                node = node[text[at]]
                if "" in node:
                    row.append((at + 1, node[""]))
            if not row or row[0][0] != start + 1:
                row.append((start + 1, self.unknown_score))
            found.append(row)
        return found

    def best(self, text: str, number: int) -> list[tuple[list[str], float]]:
        """Return the `number` most probable ways to cut a prepared line, with their scores, the best first."""
        size, rows = len(text), self.matches(text)
        ahead = [0.0] + [-float("inf")] * size  # the best score of the text before a place
        for start, row in enumerate(rows):
            for stop, score in row:
                ahead[stop] = max(ahead[stop], ahead[start] + score)
        into: list[list[tuple[int, float]]] = [[] for _ in range(size + 1)]
        for start, row in enumerate(rows):
            for stop, score in row:
                into[stop].append((start, score))
        order = count()
        # from the end to the start: what is left is bounded by the best score before the place
        heap: list[tuple[float, int, int, float, Any]] = [(-ahead[size], next(order), size, 0.0, None)]
        out: list[tuple[list[str], float]] = []
        while heap and len(out) < number:
            _, _, place, behind, trail = heapq.heappop(heap)
            if place == 0:
                pieces: list[str] = []
                while trail is not None:
                    (start, stop), trail = trail
                    pieces.append(text[start:stop])
                out.append((pieces, behind))
                continue
            for start, score in into[place]:
                entry = (
                    -(ahead[start] + score + behind), next(order), start, score + behind, ((start, place), trail),
                )  # fmt: skip
                heapq.heappush(heap, entry)
        return out


class LineCutter:
    """The pieces of prepared lines of a sentencepiece model, as its own `encode` gives them."""

    def __init__(self, model: BpeModel) -> None:
        assert model.sentencepiece is not None
        self.vocabulary, self.byte_fallback = model.vocabulary, model.byte_fallback
        self.unknown = model.unknown
        self.inner: Merger | Unigram = (
            Merger(model.sentencepiece)
            if model.sentencepiece.model_type == BPE
            else Unigram(model.sentencepiece)
        )

    def cut(self, text: str) -> list[str]:
        """Cut a prepared line."""
        return self.finished(self.inner.cut(text)) if text else []

    def finished(self, parts: list[str]) -> list[str]:
        """Spell unknown pieces in bytes, or join runs of them."""
        vocabulary, out = self.vocabulary, []
        behind_unknown = False
        for part in parts:
            if part in vocabulary and part != self.unknown:
                behind_unknown = False
                out.append(part)
            elif self.byte_fallback:
                out += [f"<0x{byte:02X}>" for byte in part.encode()]
            elif behind_unknown:
                out[-1] += part
            else:
                behind_unknown = True
                out.append(part)
        return out


class WholeLineEncoder:
    """Encode pieces of text, line by line, in plain Python; lines are prepared already."""

    def __init__(self, model: BpeModel, options: Options) -> None:
        self.model, self.options = model, options
        self.cutter = LineCutter(model)
        self._unknown = None if model.unknown is None else model.vocabulary[model.unknown]

    def encode(self, piece: Piece) -> bytes:
        """Encode a piece of text."""
        lines = [self.cutter.cut(line) for line in piece.text.decode().split("\n")]
        if self.options.output == "pieces":
            text = "\n".join(map(" ".join, lines))
            return text.replace(SPACE, self.options.marker or SPACE).encode()
        numbers = [self._numbers(parts, piece, k) for k, parts in enumerate(lines)]
        if not self.options.binary:
            return "\n".join(" ".join(map(str, row)) for row in numbers).encode()
        width = 2 if self.options.output == "uint16" else 4
        return b"".join(number.to_bytes(width, "little") for row in numbers for number in row)

    def _numbers(self, parts: list[str], piece: Piece, line: int) -> list[int]:
        get, unknown = self.model.vocabulary.get, self._unknown
        found = [get(part, unknown) for part in parts]
        if unknown is None and None in found:
            part = parts[found.index(None)]
            raise UnknownCharacter(part, part).at(piece.name, piece.line + line)
        return found  # type: ignore[return-value]
