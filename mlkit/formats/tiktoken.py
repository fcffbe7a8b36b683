"""tiktoken's rank files: a line is the base64 of a token's bytes, a space, and its rank (which is its id)."""

from __future__ import annotations

import base64
import binascii

from mlkit.errors import ModelError
from mlkit.formats.streams import PathLike, display_name, read_bytes


def looks_like_ranks(head: bytes) -> bool:
    """Say whether a file that begins with `head` may be a rank file."""
    first = head.split(b"\n", 1)[0].split(b" ")
    if len(first) != 2 or not first[1].strip().isdigit():
        return False
    try:
        return len(base64.b64decode(first[0], validate=True)) > 0
    except binascii.Error:
        return False


def read_ranks(path: PathLike) -> list[bytes]:
    """Return the tokens by rank. Raises `ModelError` with the line for anything that is not such a file."""
    name = display_name(path)
    ranks: dict[int, bytes] = {}
    for number, line in enumerate(read_bytes(path).splitlines(), 1):
        if not line:
            continue
        code, _, rank = line.partition(b" ")
        try:
            token = base64.b64decode(code, validate=True)
            index = int(rank)
        except (binascii.Error, ValueError):
            raise ModelError("not a token and its rank", path=name, line=number) from None
        if not token or index in ranks or not 0 <= index < 1 << 31:
            raise ModelError(f"rank {index} twice, out of range, or without a token", path=name, line=number)
        ranks[index] = token
    if not ranks:
        raise ModelError("holds no ranks", path=name)
    if sorted(ranks) != list(range(len(ranks))):
        raise ModelError("the ranks do not go from 0 on without a gap", path=name)
    return [ranks[index] for index in range(len(ranks))]
