"""Tables of scores, and the choice of sentences by cross-entropy (Moore and Lewis, 2010)."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mlkit.errors import UsageError
from mlkit.formats.lm_words import UNKNOWN
from mlkit.formats.streams import Errors, PathLike
from mlkit.ngram.model import LanguageModel
from mlkit.ngram.query import ScoredPiece, score_ids, score_text, token_words

Floats = npt.NDArray[np.float64]
BITS = math.log2(10.0)


def token_table(
    model: LanguageModel, texts: Sequence[PathLike], threads: int, errors: Errors
) -> Iterator[bytes]:
    """Yield the lines of a table: line, token, log10 p, matched order, whether the word is unknown."""
    yield b"line\ttoken\tlog10\torder\tunknown\n"
    first = 1
    for piece in score_text(model, texts, threads=threads, errors=errors):
        values, orders = piece.values.tolist(), piece.matched.tolist()
        unknown = (piece.ids == UNKNOWN).tolist()
        lines: list[str] = []
        number = -1
        for number, words in token_words(model, piece):
            lines.extend(
                f"{first + number}\t{word}\t{values[at]:.6f}\t{orders[at]}\t{int(unknown[at])}\n"
                for word, at in words
            )
        first += number + 1
        yield "".join(lines).encode()


def sentence_scores(
    model: LanguageModel, other: LanguageModel | None, piece: ScoredPiece
) -> tuple[Floats, Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return of every line log10 p, the score (bits per token, or the difference to `other`), tokens, unknown words."""
    sums, tokens, unknown = piece.sums()
    score = -sums / tokens * BITS
    if other is not None:
        ids = other.vocabulary.look_up(piece.chunk.data, piece.chunk.size)
        against, _, _ = ScoredPiece(piece.chunk, ids, *score_ids(other, ids)).sums()
        score = score + against / tokens * BITS
    return sums, score, tokens, unknown


def sentence_table(
    model: LanguageModel, other: LanguageModel | None, texts: Sequence[PathLike], threads: int, errors: Errors
) -> Iterator[bytes]:
    """Yield the lines of a table: line, log10 p, tokens, unknown words, perplexity, difference to `other`."""
    header = ["line", "log10", "tokens", "unknown", "perplexity", *(["difference"] if other else [])]
    yield ("\t".join(header) + "\n").encode()
    number = 0
    for piece in score_text(model, texts, threads=threads, errors=errors):
        sums, score, tokens, unknown = sentence_scores(model, other, piece)
        with np.errstate(over="ignore"):
            perplexities = 10.0 ** (-sums / tokens)
        columns = [sums.tolist(), tokens.tolist(), unknown.tolist(), perplexities.tolist(), score.tolist()]
        lines: list[str] = []
        for total, count, missing, ppl, difference in zip(*columns, strict=True):
            number += 1
            last = f"\t{difference:.6f}" if other else ""
            lines.append(f"{number}\t{total:.6f}\t{count}\t{missing}\t{ppl:.4f}{last}\n")
        yield "".join(lines).encode()


def chosen_lines(
    model: LanguageModel,
    other: LanguageModel | None,
    texts: Sequence[PathLike],
    *,
    below: float | None = None,
    top: str | None = None,
    threads: int = 1,
    errors: Errors = "strict",
) -> Iterator[bytes]:
    """Yield the lines whose score is below a threshold, or the `top` ones (``100`` or ``10%``) with the
    lowest scores.

    The lines keep their order; of equal scores the earlier ones are chosen. For `top` the text waits in a
    temporary file.
    """
    share = None if top is None else _read_top(top)
    scored = score_text(model, texts, threads=threads, errors=errors)
    if share is None:
        for piece in scored:
            score = sentence_scores(model, other, piece)[1]
            yield _pick(piece.lines(), score < cast(float, below))
        return
    scores: list[Floats] = []
    with tempfile.TemporaryFile() as file:
        for piece in scored:
            scores.append(sentence_scores(model, other, piece)[1])
            lines = piece.lines()
            file.writelines(line + b"\n" for line in lines)
        everything = np.concatenate(scores)
        wanted = share(len(everything))
        keep = np.zeros(len(everything), np.bool_)
        keep[np.argsort(everything, kind="stable")[:wanted]] = True
        file.seek(0)
        for start in range(0, len(keep), 1 << 14):
            part = keep[start : start + (1 << 14)]
            yield b"".join(line for line, kept in zip(file, part, strict=False) if kept)


def _pick(lines: list[bytes], keep: npt.NDArray[np.bool_]) -> bytes:
    return b"".join(line + b"\n" for line, kept in zip(lines, keep, strict=True) if kept)


def _read_top(text: str) -> Any:
    """Return a function from the number of lines to the number of chosen ones."""
    try:
        if text.endswith("%"):
            percent = float(text[:-1])
            if not 0 <= percent <= 100:
                raise ValueError
            return lambda lines: math.ceil(lines * percent / 100)
        number = int(text)
        if number < 0:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"--top {text!r}: a number of lines or a percentage such as 10% is expected"
        ) from None
    return lambda lines: min(number, lines)
