"""Encode in plain Python: for small inputs (no numba is imported), and for single words of unusual kinds.

The same bytes come out as of the kernels.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from itertools import pairwise

from mlkit.bpe.alphabet import from_bytes
from mlkit.bpe.encode_options import Options
from mlkit.bpe.model import SPACE, BpeModel
from mlkit.bpe.text_blocks import Piece
from mlkit.bpe.unicode_classes import LETTER, NUMBER, expression
from mlkit.bpe.unicode_classes import SPACE as WHITE
from mlkit.errors import DataError

_LONG = 150  # symbols: longer words are merged with a heap
_BLOCK = 512  # as in kernels_encode
_MASK = (1 << 64) - 1

_CONTRACTIONS = "'(?:[stmd]|re|ve|ll)"
_ASCII = re.compile(rf"{_CONTRACTIONS}| ?[a-zA-Z]+| ?[0-9]+| ?[^\sa-zA-Z0-9]+|\s+(?!\S)|\s+", re.ASCII)


@cache
def _unicode_pattern() -> re.Pattern[str]:
    letters, numbers, white = expression(LETTER), expression(NUMBER), expression(WHITE)
    return re.compile(
        f"{_CONTRACTIONS}| ?[{letters}]+| ?[{numbers}]+| ?[^{white}{letters}{numbers}]+"
        f"|[{white}]+(?![^{white}])|[{white}]+"
    )


def gpt2_words(text: str) -> list[str]:
    """Cut text by GPT-2's expression, as HF's ByteLevel does."""
    return (_ASCII if text.isascii() else _unicode_pattern()).findall(text)


def metaspace_words(text: str) -> list[str]:
    """Cut text before every space (or ▁), which is left out; text that begins with none begins a word too."""
    text = text.replace(SPACE, " ")
    return text[text.startswith(" ") :].split(" ") if text else []


def space_words(text: str) -> list[str]:
    """Return what stands between spaces."""
    return [word for word in text.split(" ") if word]


WORDS: dict[str, Callable[[str], list[str]]] = {
    "bytes": gpt2_words, "chars": space_words, "metaspace": metaspace_words,
}  # fmt: skip


class _Cache(dict[str, str]):
    """Words and what they become."""

    def __init__(self, render: Callable[[str], str]) -> None:
        super().__init__()
        self._render = render

    def __missing__(self, word: str) -> str:
        if len(self) >= 1 << 20:
            self.clear()
        value = self[word] = self._render(word)
        return value


class PlainEncoder:
    """Encode words, lines and pieces of text with a model; see `Options`."""

    def __init__(self, model: BpeModel, options: Options) -> None:
        self.model, self.options = model, options
        self.never = len(model.merges) + 1
        self.before, self.inside, self.behind = options.markers(model)
        self.swap = options.marker == SPACE and model.kind == "bytes"
        self.ids = options.output != "pieces"
        self.fallback = model.byte_fallback
        self.cache = _Cache(self.render)
        marks = model.specials if model.has_ids else {}
        ordered = sorted(marks, key=len, reverse=True)
        self.specials = re.compile("(" + "|".join(map(re.escape, ordered)) + ")") if ordered else None
        self.width = 2 if options.output == "uint16" else 4
        self.unknown = model.vocabulary.get(model.unknown) if model.unknown is not None else None
        self.glossaries = [re.compile(f"({pattern})") for pattern in options.glossaries]
        self.glossary = re.compile(f"^({'|'.join(options.glossaries)})$") if options.glossaries else None
        self._line = 0
        self._word = 0

    # words

    @cached_property
    def ranks(self) -> dict[tuple[str, str], int]:
        """The rank of every merge."""
        ranks = self.model.ranks or range(len(self.model.merges))
        return dict(zip(self.model.merges, ranks, strict=True))

    def symbols(self, word: str) -> list[str]:
        """Return the characters of a word as the model spells them."""
        model = self.model
        if model.kind == "bytes":
            return list(from_bytes(word.encode()))
        parts: list[str] = [SPACE] if model.kind == "metaspace" else []
        for character in word:
            if self.fallback and character not in model.vocabulary:
                parts += [f"<0x{byte:02X}>" for byte in character.encode()]
            else:
                parts.append(character)
        if model.suffix and parts:
            if model.closing:
                parts.append(model.suffix)
            else:
                parts[-1] += model.suffix
        return parts

    def merge(self, parts: list[str]) -> list[str]:
        """Merge the best pair, the leftmost of equals, until none is left."""
        if self.options.dropout:
            return self._merge_dropout(parts)
        if len(parts) > _LONG:
            return self._merge_long(parts)
        get = self.ranks.get
        while len(parts) > 1:
            best, place, left = self.never, -1, parts[0]
            for k in range(1, len(parts)):
                right = parts[k]
                rank = get((left, right), best)
                if rank < best:
                    best, place = rank, k
                left = right
            if place < 0:
                break
            parts[place - 1 : place + 1] = [parts[place - 1] + parts[place]]
        return parts

    def _merge_long(self, parts: list[str]) -> list[str]:
        ranks, count = self.ranks, len(parts)
        words: list[str | None] = list(parts)
        after, prior = list(range(1, count + 1)), list(range(-1, count - 1))
        heap = [(ranks[pair], k) for k, pair in enumerate(pairwise(parts)) if pair in ranks]
        heapq.heapify(heap)
        while heap:
            rank, k = heapq.heappop(heap)
            left, right = words[k], after[k]
            if left is None or right >= count or ranks.get((left, words[right] or "")) != rank:
                continue
            words[k], words[right] = left + (words[right] or ""), None
            after[k] = after[right]
            if after[k] < count:
                prior[after[k]] = k
            for first in (k, prior[k]):
                if first >= 0 and after[first] < count:
                    found = ranks.get((words[first] or "", words[after[first]] or ""))
                    if found is not None:
                        heapq.heappush(heap, (found, first))
        return [word for word in words if word is not None]

    def _merge_dropout(self, parts: list[str]) -> list[str]:
        """Leave every possible merge out with a probability at each step; see `kernels_encode`."""
        random = _Random(self.options.seed, self._line, self._word)
        get, dropout, done = self.ranks.get, self.options.dropout, []
        for begin in range(0, len(parts), _BLOCK):
            block = parts[begin : begin + _BLOCK]
            while len(block) > 1:
                best, place = self.never, -1
                for k in range(len(block) - 1):
                    rank = get((block[k], block[k + 1]))
                    if rank is not None and random.next() >= dropout and (place < 0 or rank < best):
                        best, place = rank, k
                if place < 0:
                    break
                block[place : place + 2] = [block[place] + block[place + 1]]
            done += block
        return done

    def pieces(self, word: str) -> list[str]:
        """Return the pieces of a word, without markers."""
        if not self.glossaries:
            return self._segment(word)
        segments = [word]
        for pattern in self.glossaries:
            segments = [part for segment in segments for part in _isolate(segment, pattern)]
        return [piece for segment in segments for piece in self._segment(segment)]

    def _segment(self, word: str) -> list[str]:
        if self.glossary is not None and self.glossary.match(word):
            return [word]
        parts = self.merge(self.symbols(word))
        suffix = self.model.suffix
        if suffix and parts:
            if parts[-1] == suffix and len(parts) > 1:
                parts.pop()
            else:
                parts[-1] = parts[-1].removesuffix(suffix)
        if self.options.vocabulary is not None:
            parts = self._in_vocabulary(parts)
        return self._fused(parts) if self.model.fuse_unknown else parts

    def _fused(self, parts: list[str]) -> list[str]:
        """Join runs of unknown characters, as their one id stands for all."""
        out: list[str] = []
        behind = False
        for part in parts:
            unknown = part not in self.model.vocabulary
            if unknown and behind:
                out[-1] += part
            else:
                out.append(part)
            behind = unknown
        return out

    def render(self, word: str) -> str:
        """Return what a word becomes: marked pieces, or ids (for binary ids, the text of their bytes)."""
        if self.ids:
            return self._render_ids(self.merge(self.symbols(word)), word)
        if self.model.kind == "bytes":
            text = " ".join(self.pieces(word))
            return text.replace("Ġ", SPACE) if self.swap else text
        parts = self.pieces(word)
        if self.model.kind == "metaspace":
            parts[0] = parts[0][1:]
        return self.before + f"{self.inside} ".join(parts) + self.behind

    def _render_ids(self, parts: list[str], word: str) -> str:
        numbers: list[int] = []
        last_unknown = False
        for part in parts:
            number = self.model.vocabulary.get(part)
            if number is None:
                if self.unknown is None:
                    raise UnknownCharacter(part, word)
                if self.model.fuse_unknown and last_unknown:
                    continue
                last_unknown, number = True, self.unknown
            else:
                last_unknown = False
            numbers.append(number)
        return self._write(numbers)

    def _write(self, numbers: list[int]) -> str:
        if not self.options.binary:
            return " ".join(map(str, numbers))
        return b"".join(number.to_bytes(self.width, "little") for number in numbers).decode("latin-1")

    def _in_vocabulary(self, parts: list[str]) -> list[str]:
        """Cut pieces that are not in the vocabulary by the merges that made them, as subword-nmt does."""
        out: list[str] = []
        for place, part in enumerate(parts):
            last = place == len(parts) - 1
            out += [part] if self._known(part, last) else self._cut(part, last)
        return out

    def _known(self, part: str, last: bool) -> bool:
        vocabulary = self.options.vocabulary
        return vocabulary is not None and (part if last else part + self.inside) in vocabulary

    def _cut(self, part: str, last: bool) -> Iterator[str]:
        pair = self._made_of.get(part + self.model.suffix if last else part)
        if pair is None:
            yield part
            return
        left, right = pair[0], pair[1].removesuffix(self.model.suffix) if last else pair[1]
        yield from [left] if self._known(left, False) else self._cut(left, False)
        if right:
            yield from [right] if self._known(right, last) else self._cut(right, last)

    @property
    def _made_of(self) -> dict[str, tuple[str, str]]:
        if not hasattr(self, "_made"):
            # the first merge that makes a piece counts
            self._made = {left + right: (left, right) for left, right in reversed(self.model.merges)}
        return self._made

    # text

    def encode_text(self, text: str) -> list[str]:
        """Return what the words of a text become; special tokens stand for themselves."""
        words = WORDS[self.model.kind]
        if self.specials is None:
            return self._encode_words(words(text))
        out: list[str] = []
        for place, part in enumerate(self.specials.split(text)):
            if place % 2:
                out.append(self._write([self.model.specials[part]]) if self.ids else part)
            elif part:
                out += self._encode_words(words(part))
        return out

    def _encode_words(self, words: list[str]) -> list[str]:
        if not self.options.dropout:
            return list(map(self.cache.__getitem__, words))
        out = []
        for word in words:
            out.append(self.render(word))
            self._word += 1
        return out

    def encode_line(self, line: str) -> str:
        """Encode a line; spaces at both ends stay for models of characters."""
        if self.model.kind != "chars" or self.ids:
            return " ".join(self.encode_text(line))
        core = line.strip(" ")
        if not core:
            return line
        lead, trail = len(line) - len(line.lstrip(" ")), len(line) - len(line.rstrip(" "))
        return " " * lead + " ".join(self.encode_text(core)) + " " * trail

    def encode(self, piece: Piece) -> bytes:
        """Encode a piece of text."""
        text = piece.text.decode("utf-8")
        self._line, self._word = piece.line, 0
        try:
            if self.options.binary and self.model.kind == "bytes":
                self._line = piece.offset
                return "".join(self.encode_text(text)).encode("latin-1")
            lines = []
            for line in text.split("\n"):
                lines.append(
                    "".join(self.encode_text(line)) if self.options.binary else self.encode_line(line)
                )
                self._line += 1
                self._word = 0
        except UnknownCharacter as error:
            raise error.at(piece.name, self._line) from None
        return "".join(lines).encode("latin-1") if self.options.binary else "\n".join(lines).encode()


class UnknownCharacter(Exception):
    """A character without an id, in a model without a token for what is unknown."""

    def __init__(self, character: str, word: str) -> None:
        super().__init__(character)
        self.character, self.word = character, word

    def at(self, name: str, line: int) -> DataError:
        """Return the error for the user."""
        return DataError(
            f"{self.character!r} in {self.word[:40]!r} is not in the vocabulary, and the model has no unknown token",
            path=name, line=line, hint="learn the model with --special '<unk>', or encode to pieces",
        )  # fmt: skip


def _isolate(word: str, pattern: re.Pattern[str]) -> list[str]:
    """Cut a word around what a glossary's expression matches."""
    if pattern.fullmatch(word) or not pattern.search(word):
        return [word]
    segments = pattern.split(word)
    return [segment for segment in segments if segment]


def _scrambled(z: int) -> int:
    low = 0xFFFFFFFF
    z = ((z & low) * 0x9E3779B1) ^ ((z >> 32) * 0x85EBCA77)
    z = (z ^ (z >> 29) ^ (z << 25)) & _MASK
    z = ((z & low) * 0x85EBCA77) ^ ((z >> 32) * 0x9E3779B1)
    return (z ^ (z >> 32) ^ (z << 27)) & _MASK


class _Random:
    """The random numbers of one word, as in `kernels_encode`."""

    def __init__(self, seed: int, line: int, word: int) -> None:
        z = _scrambled((seed & _MASK) ^ 0x9E3779B97F4A7C15)
        self.state = _scrambled(_scrambled(z ^ line) ^ word) or 1

    def next(self) -> float:
        """Return the next number in [0, 1)."""
        x = self.state
        x ^= (x << 13) & _MASK
        x ^= x >> 7
        x ^= (x << 17) & _MASK
        self.state = x
        return (x >> 11) * (1.0 / 9007199254740992.0)
