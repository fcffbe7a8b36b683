"""What a model does to a text: counts of pieces, unused ones, compression, fertility; and how a word is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlkit.bpe.encode import Encoder
from mlkit.bpe.encode_options import Options
from mlkit.bpe.encode_plain import PlainEncoder
from mlkit.bpe.model import SPACE, BpeModel
from mlkit.errors import UsageError
from mlkit.formats.streams import Errors, PathLike
from mlkit.progress import Progress, silent


@dataclass(frozen=True)
class Vocabulary:
    """Counts of pieces as they come out of `encode`, and what they cover.

    `words` are what stands between spaces; `unused` are tokens of the model that did not occur.
    """

    counts: list[tuple[str, int]]
    lines: int
    words: int
    characters: int
    bytes: int
    tokens: int
    unused: list[str]

    @property
    def characters_per_token(self) -> float:
        """Compression: characters per token."""
        return self.characters / self.tokens if self.tokens else 0.0

    @property
    def fertility(self) -> float:
        """Tokens per word."""
        return self.tokens / self.words if self.words else 0.0


def count_pieces(
    model: BpeModel,
    sources: Sequence[PathLike],
    *,
    options: Options | None = None,
    threads: int = 1,
    errors: Errors = "strict",
    progress: Progress = silent,
) -> Vocabulary:
    """Encode files and count the pieces, most frequent first."""
    from mlkit.bpe import text_blocks as texts

    encoder = Encoder(model, options, threads=threads)
    counts: Counter[str] = Counter()
    sizes = [0, 0, 0, 0]

    def watched() -> object:
        for piece in texts.pieces(sources, errors=errors, lossless=model.lossless, chunk_bytes=1 << 20):
            text = piece.text.decode()
            lines = text.count("\n") + (not text.endswith("\n"))
            sizes[0] += lines
            sizes[1] += len(text.split())
            sizes[2] += len(text) - text.count("\n")
            sizes[3] += len(piece.text) - text.count("\n")
            yield piece

    for encoded in encoder.encode_pieces(watched(), progress):  # type: ignore[arg-type]
        counts.update(bytes(encoded).decode().split())
    marker = encoder.options.marker or model.default_marker
    used = {_token(model, piece, marker) for piece in counts}
    unused = [token for token in model.vocabulary if token not in used]
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines, words, characters, size = sizes
    return Vocabulary(ordered, lines, words, characters, size, sum(counts.values()), unused)


def _token(model: BpeModel, piece: str, marker: str) -> str:
    """Return the token that a piece shows."""
    if model.kind != "chars" or not model.suffix or model.foreign:
        return piece
    if marker == model.suffix:
        return piece
    if piece.endswith(marker):
        return piece.removesuffix(marker)
    return piece if model.closing else piece + model.suffix


@dataclass(frozen=True)
class Step:
    """One merge in the making of a word: its rank (from 1), the pair, and the symbols after it."""

    rank: int
    left: str
    right: str
    symbols: list[str]


def explain(model: BpeModel, word: str) -> tuple[list[str], list[Step]]:
    """Return the first symbols of a word (one, as the model cuts words) and the merges that made its pieces."""
    if model.foreign:
        raise UsageError("this tokenizer.json runs in the tokenizers library, which does not tell its merges")
    if model.whole_lines:
        from mlkit.bpe.whole_line import LineCutter

        return LineCutter(model).cut(SPACE + word), []
    encoder = PlainEncoder(model, Options())
    parts = encoder.symbols(word)
    start = list(parts)
    steps: list[Step] = []
    while len(parts) > 1:
        found = [(encoder.ranks[pair], k) for k, pair in enumerate(pairwise(parts)) if pair in encoder.ranks]
        if not found:
            break
        rank, k = min(found)
        left, right = parts[k : k + 2]
        parts[k : k + 2] = [left + right]
        steps.append(Step(rank + 1, left, right, list(parts)))
    return start, steps
