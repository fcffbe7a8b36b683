"""Streams: "-", compression, text lines, and outputs that appear whole or not at all.

Input is recognised by its first bytes (gzip, xz, bzip2, zstd), output by its suffix. An output file is written
under a temporary name in the same directory, flushed and renamed, so the target is the old file or the whole new
one, also after kill -9 or on a full disk. Where the file system allows it the temporary has no name at all until
it is complete (O_TMPFILE), so that not even kill -9 leaves something behind.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, Literal, cast

from mlkit.errors import DataError, UsageError

Errors = Literal["strict", "replace", "skip"]
PathLike = str | os.PathLike[str]

CHUNK = 1 << 20
_MAGIC = {
    b"\x1f\x8b": "gz",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zst",
}
_SUFFIXES = {".gz": "gz", ".xz": "xz", ".bz2": "bz2", ".zst": "zst"}
_BOM = b"\xef\xbb\xbf"


def is_standard(path: PathLike) -> bool:
    """Say whether `path` means stdin or stdout."""
    return os.fspath(path) == "-"


def display_name(path: PathLike) -> str:
    """Return the name of an input as error messages show it."""
    return "<stdin>" if is_standard(path) else os.fspath(path)


def plain_suffix(path: PathLike) -> str:
    """Return the suffix that tells the format, without that of the compression: ``x.txt.gz`` -> ``.txt``."""
    name = Path(os.fspath(path))
    return (name.with_suffix("") if name.suffix in _SUFFIXES else name).suffix


# Input


def open_input(path: PathLike) -> BinaryIO:
    """Open a file, or stdin for "-", for reading bytes; compressed data is recognised by its first bytes.

    Raises OSError as open() does. A damaged compressed stream raises `DataError` when it is read.
    """
    if is_standard(path):
        raw: BinaryIO = _standard_input()
    else:
        if Path(path).is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory, a file is expected", os.fspath(path))
        raw = open(path, "rb", buffering=CHUNK)
    kind = compression_of(cast(io.BufferedReader, raw).peek(8)[:8])
    if kind is None:
        return raw
    return cast(BinaryIO, io.BufferedReader(_Decompressed(raw, kind, display_name(path)), CHUNK))


def open_text(path: PathLike) -> BinaryIO:
    """Open a text for reading bytes, as `open_input` does, and drop a BOM at its start."""
    stream = open_input(path)
    if cast(io.BufferedReader, stream).peek(3)[:3] == _BOM:
        stream.read(len(_BOM))
    return stream


def compression_of(head: bytes) -> str | None:
    """Name the compression that a stream beginning with `head` has: gz, xz, bz2, zst or None."""
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def _standard_input() -> BinaryIO:
    buffer = getattr(sys.stdin, "buffer", sys.stdin)
    if hasattr(buffer, "peek"):
        return cast(BinaryIO, buffer)
    return cast(BinaryIO, io.BufferedReader(buffer))


class _Decompressed(io.RawIOBase):
    """Read a compressed stream; faults of the data name the file."""

    def __init__(self, raw: BinaryIO, kind: str, name: str) -> None:
        self._raw, self._kind, self._name = raw, kind, name
        self._stream: IO[bytes] | _ZstdFrames
        if kind == "zst":
            self._stream = _ZstdFrames(raw)
        else:
            from xopen import xopen

            self._stream = cast(IO[bytes], xopen(raw, "rb", threads=0, format=kind))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            data = self._stream.read(len(buffer))
        except (OSError, EOFError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in (None, 0):
                raise
            raise DataError(f"damaged {self._kind} data ({error})", path=self._name) from error
        except Exception as error:  # lzma.LZMAError, zlib.error, zstandard.ZstdError share no base
            raise DataError(f"damaged {self._kind} data ({error})", path=self._name) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            with suppress(Exception):
                self._stream.close()
            if self._raw is not getattr(sys.stdin, "buffer", None):
                self._raw.close()
        super().close()


class _ZstdFrames:
    """Read zstd frames one after the other. zstandard's own reader takes a truncated stream for a whole one."""

    def __init__(self, raw: BinaryIO) -> None:
        import zstandard

        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = self._decompressor.decompressobj()
        self._begun = False
        self._ready = memoryview(b"")

    def read(self, count: int) -> memoryview:
        while not self._ready:
            compressed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame, self._begun = self._decompressor.decompressobj(), False
            compressed = compressed or self._raw.read(CHUNK)
            if not compressed:
                if self._begun:
                    raise EOFError("the stream ends inside a frame")
                return self._ready
            self._begun = True
            self._ready = memoryview(self._frame.decompress(compressed))
        part, self._ready = self._ready[:count], self._ready[count:]
        return part

    def close(self) -> None:
        self._ready = memoryview(b"")


def read_lines(path: PathLike, errors: Errors = "strict") -> Iterator[str]:
    """Yield the lines of a text file without their ends: \\n, with one \\r before it dropped.

    Nothing else ends a line: a lone \\r, form feed and U+2028 are data. A BOM at the start is dropped. Invalid
    UTF-8 raises `DataError` with file, line and byte (strict), becomes U+FFFD (replace), or the line is left out
    (skip).
    """
    with open_input(path) as stream:
        yield from decode_lines(stream, display_name(path), errors)


def decode_lines(stream: Iterable[bytes], name: str, errors: Errors = "strict") -> Iterator[str]:
    """Yield the lines of a byte stream as `read_lines` does; `name` is for error messages."""
    for number, line in enumerate(stream, 1):
        if number == 1 and line.startswith(_BOM):
            line = line[len(_BOM) :]
        if line.endswith(b"\n"):
            line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            if errors == "strict":
                raise invalid_utf8(name, number, error.start + 1) from None
            if errors == "replace":
                yield line.decode("utf-8", "replace")


def invalid_utf8(name: str, line: int, byte: int) -> DataError:
    """Return the error for invalid UTF-8 at `byte` (from 1) of `line` (from 1) in `name`."""
    return DataError(
        f"invalid UTF-8 at byte {byte}", path=name, line=line,
        hint="convert the file to UTF-8, or choose --errors replace or --errors skip",
    )  # fmt: skip


def read_bytes(path: PathLike) -> bytes:
    """Return the whole content of a (small) file, decompressed."""
    with open_input(path) as stream:
        return stream.read()


def expand_sources(sources: Sequence[PathLike]) -> list[str]:
    """Return the input files named by `sources`: files and "-" as they are, a folder as its sorted files."""
    found: list[str] = []
    for source in sources:
        path = Path(source)
        if is_standard(source) or not path.is_dir():
            found.append(os.fspath(source))
            continue
        inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        if not inside:
            raise DataError("the folder holds no files", path=source)
        found.extend(map(str, inside))
    return found


def spool_to_file(path: PathLike, directory: PathLike | None = None) -> BinaryIO:
    """Return a seekable file with the decompressed content of `path`; it has no name and vanishes when closed."""
    import tempfile

    spool = cast(BinaryIO, tempfile.TemporaryFile(dir=directory))
    with open_input(path) as stream:
        while data := stream.read(CHUNK):
            spool.write(data)
    spool.seek(0)
    return spool


# Output


@contextmanager
def open_output(path: PathLike) -> Iterator[BinaryIO]:
    """Write a file that appears whole when the block ends, and not at all when it fails.

    "-" is stdout. A suffix .gz, .xz, .bz2 or .zst compresses (without a time stamp). Pipes and devices are
    written directly. Errors of the disk name the target.
    """
    name = os.fspath(path)
    try:
        if is_standard(path):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        elif _is_special(name):
            with open(name, "wb") as direct, _compressor(direct, name) as stream:
                yield stream
        else:
            with _AtomicFile(Path(name)) as raw, _compressor(raw, name) as stream:
                yield stream
    except OSError as error:
        if error.filename is None and error.errno is not None and error.errno != errno.EPIPE:
            error.filename = "<stdout>" if is_standard(path) else name
        raise


@contextmanager
def output_path(path: PathLike) -> Iterator[Path]:
    """Give a temporary path for a library that writes files by name; it becomes `path` when the block ends."""
    target = Path(path).resolve()
    temporary = _temporary_name(target)
    try:
        yield temporary
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(_new_file_mode(target))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: PathLike, lines: Iterable[str]) -> None:
    """Write lines of text (a newline is added to each) to a file or stdout."""
    with open_output(path) as stream:
        for line in lines:
            stream.write(line.encode("utf-8") + b"\n")


def refuse_same_file(output: PathLike | None, inputs: Iterable[PathLike]) -> None:
    """Refuse an output that is also an input, a folder, or in a folder that does not exist.

    Called before any work starts. Raises `UsageError`.
    """
    if output is None or is_standard(output):
        return
    target = Path(output)
    if target.is_dir():
        raise UsageError(f"{target}: is a directory; give the name of a file")
    if not target.parent.is_dir():
        raise UsageError(f"{target}: the folder {str(target.parent)!r} does not exist")
    for source in inputs:
        path = Path(source)
        if not is_standard(source) and path.exists() and target.exists() and target.samefile(path):
            raise UsageError(f"{target}: the output is also an input; choose another name")
        if path.is_dir() and path.resolve() == target.parent.resolve():
            raise UsageError(f"{target}: the output lies in the input folder; choose another place")


@contextmanager
def _compressor(raw: BinaryIO, name: str) -> Iterator[BinaryIO]:
    kind = _SUFFIXES.get(Path(name).suffix)
    if kind is None:
        yield raw
    elif kind == "zst":
        import zstandard

        with zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(
            raw, closefd=False
        ) as stream:
            yield cast(BinaryIO, stream)
    elif kind == "gz":
        from isal import igzip

        # an own header: no file name, no time stamp
        with igzip.IGzipFile(  # type: ignore[no-untyped-call]
            filename="", mode="wb", fileobj=raw, compresslevel=2, mtime=0
        ) as stream:
            yield cast(BinaryIO, stream)
    else:
        from xopen import xopen

        with xopen(raw, "wb", threads=0, format=kind) as stream:
            yield stream


def _is_special(name: str) -> bool:
    try:
        mode = Path(name).stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def _new_file_mode(target: Path) -> int:
    """Return the mode a plain open() would give: that of the old file, or 0666 less the umask."""
    with suppress(OSError):
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _temporary_name(target: Path) -> Path:
    return target.with_name(f".{target.name[:100]}.{os.urandom(6).hex()}.tmp")


class _AtomicFile:
    """A file without a name (or with a temporary one) that takes the target's place on success."""

    def __init__(self, target: Path) -> None:
        # a link is followed: what it points to is replaced, the link stays
        self.target = target.resolve()
        self.named: Path | None = None
        try:
            descriptor = os.open(self.target.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except (OSError, AttributeError):
            self.named = _temporary_name(self.target)
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
            try:
                descriptor = os.open(self.named, flags, 0o600)
            except OSError as error:
                error.filename = str(target)
                raise
        self.file: BinaryIO = os.fdopen(descriptor, "w+b", buffering=CHUNK)

    def __enter__(self) -> BinaryIO:
        return self.file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            with suppress(OSError):
                self.file.close()
            if self.named is not None:
                self.named.unlink(missing_ok=True)

    def _finish(self) -> None:
        self.file.flush()
        descriptor = self.file.fileno()
        os.fchmod(descriptor, _new_file_mode(self.target))
        os.fsync(descriptor)
        if self.named is None:
            named = _temporary_name(self.target)
            # only with a directory descriptor does Python call linkat(), which can follow the link in /proc
            os.link(f"/proc/self/fd/{descriptor}", named, src_dir_fd=descriptor, follow_symlinks=True)
            self.named = named
        self.named.replace(self.target)
        self.named = None
        _sync_directory(self.target.parent)


def _sync_directory(directory: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
