"""sentencepiece's .model: a protocol buffer, of which a handful of fields matter (no protobuf library needed)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from mlkit.errors import ModelError
from mlkit.formats.streams import PathLike, display_name, read_bytes

UNIGRAM, BPE, WORD, CHAR = 1, 2, 3, 4
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


@dataclass(frozen=True)
class SentencePieceModel:
    """The pieces of a model as (piece, score, type), by id, and how text is prepared for it."""

    pieces: list[tuple[str, float, int]]
    model_type: int
    byte_fallback: bool
    whitespace_suffix: bool
    normalizer: str
    charsmap: bytes
    dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool
    unknown_surface: str = " ⁇ "
    denormalizer: bytes = b""


def read_sentencepiece(path: PathLike) -> SentencePieceModel:
    """Read a .model file. Raises `ModelError` for anything else."""
    name = display_name(path)
    try:
        return _parse(read_bytes(path))
    except (ValueError, IndexError, struct.error):
        raise ModelError("not a whole sentencepiece model", path=name) from None


def _parse(data: bytes) -> SentencePieceModel:
    pieces: list[tuple[str, float, int]] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    denormalizer: dict[int, int | bytes] = {}
    for number, value in _fields(data):
        if number in (1, 2, 3, 5) and not isinstance(value, bytes):
            raise ValueError("a message is expected")
        if number == 1:
            piece = dict(_fields(_bytes(value)))
            score = struct.unpack("<f", _bytes(piece.get(2, b"\0\0\0\0")))[0]
            pieces.append(
                (_bytes(piece[1]).decode("utf-8") if 1 in piece else "", score, _int(piece.get(3, 1)))
            )
        elif number == 2:
            trainer.update(_fields(_bytes(value)))
        elif number == 3:
            normalizer.update(_fields(_bytes(value)))
        elif number == 5:
            denormalizer.update(_fields(_bytes(value)))
    if not pieces or not trainer:
        raise ValueError("no pieces")
    return SentencePieceModel(
        pieces,
        model_type=_int(trainer.get(3, UNIGRAM)),
        byte_fallback=bool(trainer.get(35, 0)),
        whitespace_suffix=bool(trainer.get(24, 0)),
        normalizer=_bytes(normalizer.get(1, b"")).decode("utf-8"),
        charsmap=_bytes(normalizer.get(2, b"")),
        dummy_prefix=bool(normalizer.get(3, 1)),
        remove_extra_whitespaces=bool(normalizer.get(4, 1)),
        escape_whitespaces=bool(normalizer.get(5, 1)),
        unknown_surface=_bytes(trainer.get(44, " ⁇ ".encode())).decode("utf-8"),
        denormalizer=_bytes(denormalizer.get(2, b"")),
    )


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("bytes are expected")
    return value


def _int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("a number is expected")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message: number, and an int (varint) or bytes (everything else)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("unknown wire type")
        if at + size > len(data):
            raise ValueError("truncated")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
