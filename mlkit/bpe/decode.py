"""Turn pieces or ids back into text."""

from __future__ import annotations

import array
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, cached_property
from itertools import accumulate, chain, pairwise
from typing import Any

from mlkit.bpe import text_blocks as texts
from mlkit.bpe.alphabet import byte_characters, to_bytes
from mlkit.bpe.encode import load_foreign
from mlkit.bpe.encode_options import Options
from mlkit.bpe.model import SPACE, SUFFIX, BpeModel
from mlkit.bpe.text_blocks import Piece
from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import Errors, PathLike, display_name, open_input

# up to so many bytes of ids or pieces are decoded in plain Python: loading kernels takes as long
SMALL = 3 << 20
_CHUNK = 1 << 20


class Decoder:
    """Decode what `Encoder` wrote with the same model and options (`output` and `marker` matter).

    Byte-level models give back the very bytes; models of characters give words with single spaces between them,
    and metaspace models lose one space at the start of a line. The same bytes come out for any number of `threads`.
    """

    def __init__(self, model: BpeModel, options: Options | None = None, *, threads: int = 1) -> None:
        self.threads = threads
        self.model, self.options = model, options or Options()
        self.options.check(model)
        if model.kind == "chars" and not model.suffix and self.options.output != "pieces":
            raise UsageError("the ids of a model without an end-of-word marker do not tell where words end")
        self._foreign: Any = load_foreign(model) if model.foreign and not model.by_bytes else None
        self._joiner = None
        if model.sentencepiece is not None:
            from mlkit.bpe.decode_pieces import PieceJoiner

            self._joiner = PieceJoiner(model)

    def decode_line(self, line: str) -> str:
        """Decode one line of pieces or ids."""
        return b"".join(self.decode_pieces(iter([Piece("line", 0, 1, 0, line.encode())]))).decode(
            "utf-8", "replace"
        )

    def decode_files(
        self, sources: Sequence[PathLike], *, errors: Errors = "strict"
    ) -> Iterator[bytes | memoryview]:
        """Yield the decoded text of files in pieces. Raises `DataError` for what is no piece or id of the model."""
        if self.options.binary:
            for source in sources:
                yield from self._binary(source)
            return
        stream = texts.pieces(sources, errors=errors, chunk_bytes=_CHUNK)
        yield from self.decode_pieces(stream)

    def decode_pieces(self, stream: Iterator[Piece]) -> Iterator[bytes | memoryview]:
        """Yield the text of pieces of encoded lines."""
        taken, small = texts.split_small(stream, SMALL)
        pieces = chain(taken, stream)
        if small:
            yield from map(self._decoder(True), pieces)
            return
        from mlkit.threads import map_chunks

        yield from map_chunks(self._decoder(False), pieces, self.threads)

    def _decoder(self, small: bool) -> Callable[[Piece], bytes | memoryview]:
        if self._foreign is not None:
            return self._decode_foreign
        if self._joiner is not None:
            return self._joined
        if self.model.foreign and self.options.output == "pieces":
            return self._added_or_bytes
        if self.options.output != "pieces":
            return self._ids if small else _FastIds(self.model).decode
        if self.model.kind == "bytes":
            return self._byte_pieces if small else _FastBytePieces(self.options.marker == SPACE).decode
        return self._word_pieces

    # ids

    @cached_property
    def _spelled(self) -> dict[bytes, bytes]:
        """The text of every id, as it is written."""
        table = token_table(self.model)
        return dict(zip(" ".join(map(str, table)).encode().split(b" "), table.values(), strict=True))

    @property
    def _strip(self) -> tuple[bool, bool]:
        """Whether a space at the start and at the end of a line is dropped."""
        return self.model.kind == "metaspace", self.model.kind == "chars"

    def _sides(self, line: bytes) -> bytes:
        first, last = self._strip
        if first and line.startswith(b" "):
            line = line[1:]
        return line[:-1] if last and line.endswith(b" ") else line

    def _ids(self, piece: Piece) -> bytes:
        table = self._spelled
        if self.model.kind == "bytes":
            with suppress(KeyError):
                parts = piece.text.replace(b"\n", b" \n ").split(b" ")
                return b"".join(map((table | {b"\n": b"\n", b"": b""}).__getitem__, parts))
        out = []
        for number, line in enumerate(piece.text.split(b"\n"), piece.line):
            try:
                out.append(self._sides(b"".join([table[part] for part in line.split()])))
            except KeyError as error:
                raise not_an_id(error.args[0], self.model, piece.name, number) from None
        return b"\n".join(out)

    def _id_blocks(self, source: PathLike) -> Iterator[array.array[int]]:
        """Yield the ids of a file of raw ids in blocks. Raises `DataError` for what is no id of the model."""
        width = 2 if self.options.output == "uint16" else 4
        name, place, known = display_name(source), 0, self.model.tokens
        with open_input(source) as stream:
            while data := stream.read(_CHUNK):
                if len(data) % width:
                    data += stream.read(width - len(data) % width)
                if len(data) % width:
                    raise DataError(f"ends inside an id of {8 * width} bits", path=name)
                numbers = array.array("H" if width == 2 else "I", data)
                if sys.byteorder == "big":
                    numbers.byteswap()
                bad = set(numbers) - known.keys()
                if bad:
                    where = next(k for k, number in enumerate(numbers) if number in bad)
                    raise DataError(
                        f"id {numbers[where]} (number {place + where + 1}) is not in the vocabulary", path=name,
                        hint=f"the model's ids go from 0 to {self.model.size - 1}",
                    )  # fmt: skip
                place += len(numbers)
                yield numbers

    def _binary(self, source: PathLike) -> Iterator[bytes]:
        if self._joiner is not None:
            tokens = self.model.tokens
            yield self._joiner.join([tokens[n] for block in self._id_blocks(source) for n in block]).encode()
            return
        table = token_table(self.model)
        fresh, held = True, b""
        first, last = self._strip
        for numbers in self._id_blocks(source):
            text = b"".join([table[number] for number in numbers])
            if first and fresh:
                text = text.removeprefix(b" ")
            fresh = False
            text = held + text
            held = b""
            if last and text.endswith(b" "):
                text, held = text[:-1], b" "
            yield text

    def _decode_foreign(self, piece: Piece) -> bytes:
        if self.options.output == "pieces":
            raise UsageError("pieces of this tokenizer.json cannot be decoded; encode and decode with --ids")
        lines = []
        for number, line in enumerate(piece.text.decode().split("\n"), piece.line):
            parts = line.split()
            bad = next((p for p in parts if not p.isdecimal() or int(p) not in self.model.tokens), None)
            if bad is not None:
                raise not_an_id(bad.encode(), self.model, piece.name, number)
            lines.append(self._foreign.decode(list(map(int, parts)), skip_special_tokens=False))
        return "\n".join(lines).encode()

    def _added_or_bytes(self, piece: Piece) -> bytes:
        """Decode pieces in GPT-2's alphabet among which added tokens stand as they are."""
        added = {token: token.encode() for token in self.model.specials}
        lines = []
        for number, line in enumerate(piece.text.decode().split("\n"), piece.line):
            try:
                lines.append(b"".join([added.get(part) or to_bytes(part) for part in line.split(" ")]))
            except ValueError as error:
                raise DataError(str(error), path=piece.name, line=number) from None
        return b"\n".join(lines)

    def _joined(self, piece: Piece) -> bytes:
        """Decode sentencepiece's pieces or ids."""
        assert self._joiner is not None
        marker, ids, tokens = self.options.marker, self.options.output != "pieces", self.model.tokens
        text, lines = piece.text.decode(), []
        if marker and not ids:
            text = text.replace(marker, SPACE)
        for number, line in enumerate(text.split("\n"), piece.line):
            parts = line.split() if ids else [part for part in line.split(" ") if part]
            if ids:
                bad = next((p for p in parts if not p.isdecimal() or int(p) not in tokens), None)
                if bad is not None:
                    raise not_an_id(bad.encode(), self.model, piece.name, number)
                parts = [tokens[int(part)] for part in parts]
            lines.append(self._joiner.join(parts))
        return "\n".join(lines).encode()

    # pieces

    def _word_pieces(self, piece: Piece) -> bytes:
        before, inside, behind = self.options.markers(self.model)
        text = piece.text
        if inside:
            joint = re.escape(inside.encode())
            return re.sub(joint + rb" ?(?=\n|$)", b"", text.replace(inside.encode() + b" ", b""))
        text = text.replace(b" ", b"")
        if before:
            text = text.replace(before.encode(), b" ")
            return re.sub(rb"(^|\n) ", rb"\1", text)
        return re.sub(rb" (?=\n|$)", b"", text.replace(behind.encode(), b" "))

    def _byte_pieces(self, piece: Piece) -> bytes:
        text = piece.text.decode()
        if self.options.marker == SPACE:
            text = text.replace(SPACE, "Ġ")
        try:
            return text.replace(" ", "").translate(_unspell()).encode("latin-1")
        except UnicodeEncodeError as error:
            place = error.start
            line = piece.line + text.replace(" ", "")[:place].count("\n")
            raise _not_a_piece(text.replace(" ", "")[place], piece.name, line) from None


@cache
def _unspell() -> dict[int, int]:
    """Map GPT-2's alphabet to Latin-1, and whatever is not in it to what Latin-1 does not hold."""
    table = {code: 0xFFFF for code in range(0x100)}
    table.update({ord(character): byte for byte, character in enumerate(byte_characters())})
    table[ord("\n")] = ord("\n")
    return table


def token_table(model: BpeModel) -> dict[int, bytes]:
    """Return what every id stands for in decoded text."""
    tokens = model.vocabulary
    if model.kind == "bytes":
        table = _byte_table(tokens)
    elif model.kind == "metaspace":
        table = {number: token.replace(SPACE, " ").encode() for token, number in tokens.items()}
        if model.byte_fallback:
            table |= {
                tokens[name]: bytes([byte]) for byte in range(256) if (name := f"<0x{byte:02X}>") in tokens
            }
    else:
        suffix = model.suffix
        table = {
            number: token.removesuffix(suffix).encode() + b" "
            if suffix and token.endswith(suffix)
            else token.encode()
            for token, number in tokens.items()
        }
    behind = b" " if model.kind == "chars" else b""
    return table | {number: token.encode() + behind for token, number in model.specials.items()}


def _byte_table(tokens: dict[str, int]) -> dict[int, bytes]:
    """Return the bytes that tokens in GPT-2's alphabet stand for; a token with other characters is plain text."""
    text = "".join(tokens)
    with suppress(UnicodeEncodeError):
        if "\n" not in text:
            data = text.translate(_unspell()).encode("latin-1")
            ends = accumulate(map(len, tokens), initial=0)
            return {
                n: data[begin:end] for n, (begin, end) in zip(tokens.values(), pairwise(ends), strict=True)
            }
    return {number: to_bytes_or_text(token) for token, number in tokens.items()}


def to_bytes_or_text(token: str) -> bytes:
    """Return the bytes of a token in GPT-2's alphabet, or its own for any other."""
    try:
        return to_bytes(token)
    except ValueError:
        return token.encode()


def not_an_id(text: bytes, model: BpeModel, name: str, line: int) -> DataError:
    """Return the error for something that is not an id of the model."""
    shown = text[:40].decode("utf-8", "replace")
    if not text.isdigit():
        return DataError(
            f"{shown!r} is not an id", path=name, line=line, hint="pieces are decoded without --ids"
        )
    return DataError(
        f"id {shown} is not in the vocabulary", path=name, line=line,
        hint=f"the model's ids go from 0 to {model.size - 1}",
    )  # fmt: skip


def _not_a_piece(character: str, name: str, line: int) -> DataError:
    return DataError(
        f"{character!r} is not part of byte-level pieces",
        path=name,
        line=line,
        hint="ids are decoded with --ids",
    )


def _token_arrays(model: BpeModel) -> tuple[Any, Any, Any]:
    """Return the bytes of all tokens in a row, their sizes and their ids: as `token_table` has them."""
    import numpy as np

    tokens, count = model.vocabulary, len(model.vocabulary)
    if model.kind == "bytes" and all(to_bytes_or_text(token) == token.encode() for token in model.specials):
        codes = np.frombuffer("".join(tokens).encode("utf-16-le", "surrogatepass"), "<u2")
        found = _byte_of()[np.minimum(codes, 511)]
        if (found >= 0).all():
            sizes, numbers = (
                np.fromiter(part, np.int64, count) for part in (map(len, tokens), tokens.values())
            )
            return found.astype(np.uint8), sizes, numbers
    table = token_table(model)
    sizes = np.fromiter(map(len, table.values()), np.int64, len(table))
    return np.frombuffer(b"".join(table.values()), np.uint8), sizes, np.fromiter(table, np.int64, len(table))


def _byte_of() -> Any:
    """Return the byte of each code point below 512 in GPT-2's alphabet, -1 for none."""
    import numpy as np

    byte_of = np.full(512, -1, np.int16)
    byte_of[[ord(character) for character in byte_characters()]] = np.arange(256)
    return byte_of


class _FastIds:
    """Decode text of ids with a kernel."""

    def __init__(self, model: BpeModel) -> None:
        import numpy as np

        from mlkit.bpe.kernels_decode import ROOM

        self.model = model
        data, sizes, numbers = _token_arrays(model)
        self.tokens = np.concatenate([data, np.zeros(ROOM, np.uint8)])
        self.begins = np.zeros(model.size, np.int64)
        self.begins[numbers] = np.cumsum(sizes) - sizes
        self.lengths = np.full(model.size, -1, np.int32)
        self.lengths[numbers] = sizes
        self.longest = max(2, int(sizes.max()))
        self.heads = self.tokens[self.begins[:, None] + np.arange(ROOM)]

    def decode(self, piece: Piece) -> memoryview:
        import numpy as np

        from mlkit.bpe import kernels_decode as kernels

        size = len(piece.text)
        text = np.frombuffer(piece.text + b"\n" * 8, np.uint8)
        # only what is written takes memory
        out = np.empty((size // 2 + 1) * self.longest + kernels.ROOM, np.uint8)
        first, last = self.model.kind == "metaspace", self.model.kind == "chars"
        used = int(
            kernels.decode_ids(
                text, size, self.heads, self.tokens, self.begins, self.lengths, first, last, out
            )
        )
        if used < 0:
            place = -1 - used
            line = piece.line + piece.text[:place].count(b"\n")
            bad = re.split(rb"[ \t\r\n]", piece.text[place : place + 64], maxsplit=1)[0]
            raise not_an_id(bad, self.model, piece.name, line)
        return memoryview(out[:used])  # type: ignore[arg-type]


class _FastBytePieces:
    """Decode pieces in GPT-2's alphabet with a kernel."""

    def __init__(self, swap: bool) -> None:
        self.swap, self.byte_of = swap, _byte_of()

    def decode(self, piece: Piece) -> memoryview:
        import numpy as np

        from mlkit.bpe import kernels_decode as kernels

        content = piece.text.replace(SPACE.encode(), "Ġ".encode()) if self.swap else piece.text
        text = np.frombuffer(content, np.uint8)
        out = np.empty(len(text), np.uint8)
        used = int(kernels.decode_byte_pieces(text, self.byte_of, out))
        if used < 0:
            place = -1 - used
            character = content[place : place + 4].decode("utf-8", "ignore")[:1]
            raise _not_a_piece(character, piece.name, piece.line + content[:place].count(b"\n"))
        return memoryview(out[:used])  # type: ignore[arg-type]


__all__ = ["SUFFIX", "Decoder"]
