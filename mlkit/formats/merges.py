"""Files of BPE merges: subword-nmt codes (0.1 and 0.2), fastBPE codes, GPT-2's merges.txt with its vocab.json."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlkit.errors import DataError, ModelError
from mlkit.formats.streams import PathLike, decode_lines, display_name, open_output, read_bytes, write_text

Pair = tuple[str, str]
_NO_SPACE = bytes(byte for byte in range(256) if byte not in b" \n")


@dataclass(frozen=True)
class MergesFile:
    """The merges of a file in order; `version` is that of its header, None without one; `counts` as in fastBPE."""

    version: str | None
    pairs: list[Pair]
    counts: list[int] | None


def read_merges(path: PathLike) -> MergesFile:
    """Read codes or merges: an optional ``#version: X`` line, then ``left right`` or ``left right count`` lines.

    Raises `ModelError` with the line for anything else.
    """
    name = display_name(path)
    content = read_bytes(path)
    plain = _plain_merges(content)
    if plain is not None:
        return plain
    version: str | None = None
    pairs: list[Pair] = []
    counts: list[int] = []
    try:
        for number, line in enumerate(decode_lines(io.BytesIO(content), name), 1):
            if number == 1 and line.startswith("#version:"):
                version = line.removeprefix("#version:").strip()
                continue
            fields = line.strip("\r\n ").split(" ")
            if len(fields) == 3 and version is None and fields[2].isdecimal():
                counts.append(int(fields[2]))
            elif len(fields) != 2 or not all(fields):
                if not line.strip():
                    continue
                raise ModelError(
                    f"not a merge: {line[:60]!r}", path=name, line=number,
                    hint="a line holds two symbols separated by one space",
                )  # fmt: skip
            pairs.append((fields[0], fields[1]))
    except DataError as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"not a file of merges ({error.message})", path=name, line=error.line) from None
    if not pairs:
        raise ModelError("holds no merges", path=name)
    if counts and len(counts) != len(pairs):
        raise ModelError("some merges have a count and some have none", path=name)
    return MergesFile(version, pairs, counts or None)


def _plain_merges(content: bytes) -> MergesFile | None:
    """Return the merges of a file in which every line is just ``left right``, at once; None for any other."""
    version = None
    if content.startswith(b"#version:"):
        head, _, content = content.partition(b"\n")
        version = head.removeprefix(b"#version:").strip().decode("utf-8", "replace")
    content = content.removesuffix(b"\n") + b"\n"
    spaces = content.translate(None, _NO_SPACE)
    if spaces != b" \n" * content.count(b"\n") or b" \n" in content or b"\n " in content:
        return None
    if b"\r" in content or content.startswith((b" ", b"\xef\xbb\xbf")):
        return None
    try:
        symbols = content.decode("utf-8")[:-1].replace("\n", " ").split(" ")
    except UnicodeDecodeError:
        return None
    return MergesFile(version, list(zip(symbols[::2], symbols[1::2], strict=True)), None)


def write_merges(path: PathLike, pairs: Iterable[Pair], version: str | None = "0.2") -> None:
    """Write merges with a ``#version:`` line (subword-nmt codes and merges.txt)."""
    head = [] if version is None else [f"#version: {version}"]
    write_text(path, [*head, *(f"{left} {right}" for left, right in pairs)])


def write_fastbpe(path: PathLike, pairs: Sequence[Pair], counts: Sequence[int]) -> None:
    """Write fastBPE codes: ``left right count`` lines without a header."""
    write_text(path, (f"{left} {right} {n}" for (left, right), n in zip(pairs, counts, strict=True)))


def read_vocab_json(path: PathLike) -> dict[str, int]:
    """Read a vocab.json: one object, token -> id. Raises `ModelError`."""
    return check_vocabulary(parse_json(path), display_name(path))


def check_vocabulary(vocabulary: object, name: str) -> dict[str, int]:
    """Return a mapping of tokens to different ids from 0 on, or raise `ModelError`."""
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise ModelError("the vocabulary is not an object of tokens and ids", path=name)
    numbers = vocabulary.values()
    if set(map(type, numbers)) != {int} or min(numbers) < 0 or max(numbers) >= 1 << 31:
        for token, number in vocabulary.items():
            if type(number) is not int or not 0 <= number < 1 << 31:
                raise ModelError(f"token {token[:40]!r} has no valid id", path=name)
    if len(set(vocabulary.values())) != len(vocabulary):
        raise ModelError("two tokens share an id", path=name)
    return vocabulary


def write_vocab_json(path: PathLike, vocabulary: Mapping[str, int]) -> None:
    """Write a vocab.json, tokens by id."""
    ordered = dict(sorted(vocabulary.items(), key=lambda item: item[1]))
    with open_output(path) as stream:
        stream.write(json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def parse_json(path: PathLike) -> object:
    """Return the content of a JSON file. Raises `ModelError` when it is none."""
    name = display_name(path)
    try:
        found: object = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "not UTF-8 or nested too deeply"
        raise ModelError(f"not a whole JSON file ({reason})", path=name) from None
    return found
