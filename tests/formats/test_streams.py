"""Streams: compression by content, text lines, outputs that appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import (
    expand_sources,
    open_input,
    open_output,
    open_text,
    output_path,
    plain_suffix,
    read_bytes,
    read_lines,
    refuse_same_file,
    write_text,
)

SUFFIXES = ("", ".gz", ".xz", ".bz2", ".zst")


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(content=st.binary(max_size=2000))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes) -> None:
    path = tmp_path_factory.mktemp("streams") / f"data{suffix}"
    with open_output(path) as stream:
        stream.write(content)
    if suffix or not content.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd")):
        assert read_bytes(path) == content


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_content_gives_same_bytes(tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    for path in (first, second):
        write_text(path, ["a line"] * 1000)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_truncated_compressed_input_is_a_data_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    write_text(path, [str(number) for number in range(20_000)])
    whole = path.read_bytes()
    for cut in (12, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="damaged"):
            read_bytes(path)


def test_concatenated_compressed_files_are_read_whole(tmp_path: Path) -> None:
    for suffix in SUFFIXES[1:]:
        path = tmp_path / f"data{suffix}"
        write_text(path, ["one"])
        path.write_bytes(path.read_bytes() * 2)
        assert read_bytes(path) == b"one\none\n", suffix


def test_only_newline_ends_a_line(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufeffa\u2028b\x0bc\rd\r\n\n\x00\tlast".encode())
    assert list(read_lines(path)) == ["a\u2028b\x0bc\rd", "", "\x00\tlast"]


def test_invalid_utf8_names_file_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"fine\nab\xffcd\nfine\n")
    with pytest.raises(DataError) as caught:
        list(read_lines(path))
    assert str(caught.value) == f"{path}:2: invalid UTF-8 at byte 3"
    assert list(read_lines(path, "replace")) == ["fine", "ab\ufffdcd", "fine"]
    assert list(read_lines(path, "skip")) == ["fine", "fine"]


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "data.gz"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), open_output(path) as stream:
        stream.write(b"half")
        raise RuntimeError("stop")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["data.gz"]


def test_the_temporary_has_a_name_where_the_file_system_knows_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    path = tmp_path / "data"
    with open_output(path) as stream:
        stream.write(b"new")
        assert len(os.listdir(tmp_path)) == 1
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["data"]


def test_mode_follows_umask_and_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "data"
    previous = os.umask(0o027)
    try:
        write_text(path, ["x"])
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(0o600)
    write_text(path, ["y"])
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write_text(link, ["new"])
    assert link.is_symlink()
    assert target.read_text() == "new\n"


def test_output_path_replaces_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "data"
    with output_path(target) as temporary:
        temporary.write_text("x")
        assert not target.exists()
    assert target.read_text() == "x"
    assert os.listdir(tmp_path) == ["data"]


def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    write_text(fifo, ["through"])
    reader.join(10)
    assert got == [b"through\n"]


def test_kill_in_mid_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("old")
    code = (
        "import os, signal, sys\nfrom mlkit.formats.streams import open_output\n"
        "with open_output(sys.argv[1]) as stream:\n"
        "    stream.write(b'x' * 5_000_000)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9
    assert path.read_text() == "old"
    leftovers = [name for name in os.listdir(tmp_path) if name != "data"]
    assert not leftovers or not hasattr(os, "O_TMPFILE")


def test_dev_full_is_an_error_that_names_it() -> None:
    with pytest.raises(OSError, match="No space left") as caught, open_output("/dev/full") as stream:
        stream.write(b"x" * 10)
    assert caught.value.filename == "/dev/full"


def test_refuse_same_file(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_text("x")
    refuse_same_file("-", [data])
    refuse_same_file(tmp_path / "new", [data, "-"])
    with pytest.raises(UsageError, match="also an input"):
        refuse_same_file(tmp_path / "." / "data", [data])
    with pytest.raises(UsageError, match="directory"):
        refuse_same_file(tmp_path, [data])
    with pytest.raises(UsageError, match="does not exist"):
        refuse_same_file(tmp_path / "no" / "data", [data])


def test_folders_are_their_sorted_files(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).write_text("x")
    assert expand_sources([tmp_path, "-"]) == [str(tmp_path / "a"), str(tmp_path / "b"), "-"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no files"):
        expand_sources([tmp_path / "empty"])
    with pytest.raises(IsADirectoryError):
        open_input(tmp_path)


def test_plain_suffix() -> None:
    assert [plain_suffix(name) for name in ("x.txt.gz", "x.bin", "x.gz", "x")] == [".txt", ".bin", "", ""]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_bom_at_the_start_of_a_text_is_dropped(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    with open_output(path) as stream:
        stream.write(b"\xef\xbb\xbfa \xef\xbb\xbf\n")
    with open_text(path) as stream:
        assert stream.read() == b"a \xef\xbb\xbf\n"


def test_zst_carries_a_checksum(tmp_path: Path) -> None:
    """A damaged stream without one can pass as other text."""
    import zstandard

    with open_output(tmp_path / "a.zst") as stream:
        stream.write(b"text\n" * 100)
    assert zstandard.get_frame_parameters((tmp_path / "a.zst").read_bytes()).has_checksum
