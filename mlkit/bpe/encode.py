"""Encode text with a model: in plain Python when there is little of it, with kernels and threads when there is more."""

from __future__ import annotations

import itertools
import queue
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mlkit.bpe import text_blocks as texts
from mlkit.bpe.encode_options import Options
from mlkit.bpe.encode_plain import PlainEncoder
from mlkit.bpe.model import BpeModel
from mlkit.bpe.text_blocks import Piece
from mlkit.formats.streams import Errors, PathLike
from mlkit.progress import Progress, Report, silent

if TYPE_CHECKING:
    from mlkit.bpe.encode_compiled import KernelEncoder

# below this many bytes loading kernels costs more than it saves
SMALL = 150_000
_CHUNK = 1 << 20


class Encoder:
    """Encode text with a model: lines to lines, the same bytes for any number of threads.

    `plain` keeps to plain Python however much text there is. Raises `UsageError` for options that the model does
    not allow.
    """

    def __init__(
        self, model: BpeModel, options: Options | None = None, *, threads: int = 1, plain: bool = False
    ) -> None:
        self.model, self.options = model, options or Options()
        self.options.check(model)
        self.threads, self.plain_only = threads, plain
        if model.foreign:
            self.plain: Any = ForeignEncoder(model, self.options)
        elif model.whole_lines:
            from mlkit.bpe.whole_line import WholeLineEncoder

            self.plain = WholeLineEncoder(model, self.options)
        else:
            self.plain = PlainEncoder(model, self.options)
        self._prepare = _preparation(model)

    def encode_line(self, line: str) -> list[str]:
        """Return the pieces (or the ids, as text) of one line."""
        piece = self._prepare(Piece("line", 0, 1, 0, line.encode()))
        return [part for part in bytes(self.plain.encode(piece)).decode().split(" ") if part]

    def encode_files(
        self, sources: Sequence[PathLike], *, errors: Errors = "strict", progress: Progress = silent
    ) -> Iterator[bytes | memoryview]:
        """Yield the encoded text of files ("-" is stdin) in pieces.

        Raises `DataError` for invalid UTF-8, and for a character without an id.
        """
        lossless = self.model.lossless
        document = self.options.binary and self.model.by_bytes
        stream = texts.pieces(
            sources, errors=errors, lossless=lossless, document=document,
            chunk_bytes=_CHUNK,
        )  # fmt: skip
        yield from self.encode_pieces(stream, progress)

    def encode_pieces(
        self, stream: Iterable[Piece], progress: Progress = silent
    ) -> Iterator[bytes | memoryview]:
        """Yield what every piece of text becomes, in order."""
        iterator = map(self._prepare, stream)
        taken, small = texts.split_small(iterator, SMALL)
        if (small and _has_spaces(taken)) or self.plain_only or self.model.foreign or self.model.whole_lines:
            for piece in itertools.chain(taken, iterator):
                yield self.plain.encode(piece)
            return
        from mlkit.threads import map_chunks

        done = 0
        pool = _Pool(self.model, self.options)
        for size, encoded in map_chunks(pool.encode, itertools.chain(taken, iterator), self.threads):
            yield encoded
            done += size
            progress(Report("encoding", done, unit="bytes"))


def _has_spaces(taken: Sequence[Piece]) -> bool:
    """Say whether the words are of ordinary length: very long ones take plain Python long."""
    return all(256 * piece.text.count(b" ") + (1 << 16) > len(piece.text) for piece in taken)


class _Pool:
    """Encoders for threads: each has a cache of its own, which never changes what comes out."""

    def __init__(self, model: BpeModel, options: Options) -> None:
        from mlkit.bpe.encode_compiled import KernelEncoder, Tables

        self._tables = Tables(model, options)
        self._make = KernelEncoder
        self._free: queue.SimpleQueue[KernelEncoder] = queue.SimpleQueue()

    def encode(self, piece: Piece) -> tuple[int, bytes | memoryview]:
        try:
            encoder = self._free.get_nowait()
        except queue.Empty:
            encoder = self._make(self._tables)
        try:
            return len(piece.text), encoder.encode(piece)
        finally:
            self._free.put(encoder)


class ForeignEncoder:
    """Run a tokenizer.json whose pipeline is more than BPE in the `tokenizers` library."""

    def __init__(self, model: BpeModel, options: Options) -> None:
        self.tokenizer = load_foreign(model)
        self.options = options
        self._document = options.binary and model.by_bytes

    def encode(self, piece: Piece) -> bytes:
        """Encode a piece of text, line by line."""
        text = piece.text.decode("utf-8")
        lines = [text] if self._document else text.split("\n")
        encoded = self.tokenizer.encode_batch(lines, add_special_tokens=False)
        if self.options.output == "pieces":
            return "\n".join(" ".join(found.tokens) for found in encoded).encode()
        if not self.options.binary:
            return "\n".join(" ".join(map(str, found.ids)) for found in encoded).encode()
        width = 2 if self.options.output == "uint16" else 4
        return b"".join(number.to_bytes(width, "little") for found in encoded for number in found.ids)


def load_foreign(model: BpeModel) -> Any:
    """Return a tokenizer of the `tokenizers` library. Raises `ModelError`."""
    from tokenizers import Tokenizer

    from mlkit.errors import ModelError

    try:
        tokenizer = Tokenizer.from_str(model.foreign)
    except Exception as error:  # the library raises plain Exception
        raise ModelError(f"the tokenizers library does not load it: {error}") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _preparation(model: BpeModel) -> Any:
    """Return what is done to a piece of text before it is cut into words: sentencepiece's normalizer, or nothing."""
    if model.sentencepiece is None:
        return lambda piece: piece
    from mlkit.bpe.normalize import Normalizer

    return Normalizer(model.sentencepiece)


class LineEncoder:
    """Encode single lines in plain Python."""

    def __init__(self, model: BpeModel) -> None:
        self._encoder = Encoder(model, plain=True)

    def encode(self, line: str) -> list[str]:
        """Return the pieces of a line."""
        return self._encoder.encode_line(line)
