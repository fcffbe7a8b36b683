"""GPT-2's alphabet: a printable character for each of the 256 bytes, so that pieces can be written as text."""

from __future__ import annotations

from functools import cache

_PRINTABLE = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}


@cache
def byte_characters() -> tuple[str, ...]:
    """Return the character of every byte: printable Latin-1 stands for itself, the rest from U+0100 on."""
    characters, moved = [], 0
    for byte in range(256):
        if byte in _PRINTABLE:
            characters.append(chr(byte))
        else:
            characters.append(chr(0x100 + moved))
            moved += 1
    return tuple(characters)


@cache
def _to_latin1() -> dict[int, int]:
    return {ord(character): byte for byte, character in enumerate(byte_characters())}


@cache
def _from_latin1() -> dict[int, str]:
    return dict(enumerate(byte_characters()))


def to_bytes(piece: str) -> bytes:
    """Turn a piece in GPT-2's alphabet back into its bytes. Raises ValueError for any other character."""
    table = _to_latin1()
    try:
        return bytes([table[ord(character)] for character in piece])
    except KeyError as error:
        raise ValueError(f"{chr(error.args[0])!r} is not in the byte alphabet") from None


def from_bytes(data: bytes) -> str:
    """Write bytes in GPT-2's alphabet."""
    return data.decode("latin-1").translate(_from_latin1())


def alphabet_order() -> list[int]:
    """Return the 256 bytes by the code points of their characters: the order of ids in GPT-2 and `tokenizers`."""
    characters = byte_characters()
    return sorted(range(256), key=lambda byte: characters[byte])
