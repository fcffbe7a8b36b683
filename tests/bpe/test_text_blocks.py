"""Pieces of text: the kernel that checks UTF-8 against Python, and the errors of large inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.bpe import text_blocks as texts
from mlkit.bpe.kernels_text import valid_utf8
from mlkit.errors import DataError
from tests.naive.bpe import is_utf8

valid = st.text(max_size=12).map(lambda text: text.encode("utf-8", "replace"))
# first and second bytes at all the borders
borders = st.lists(
    st.sampled_from([
        0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEE, 0xEF, 0xF0,
        0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
    ]), max_size=12,
).map(bytes)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(valid, borders, st.just(b"ascii text")), max_size=4).map(b"".join))
def test_valid_utf8(text: bytes) -> None:
    assert valid_utf8(np.frombuffer(text, np.uint8)) == is_utf8(text)


def test_every_pair_of_bytes() -> None:
    for first in range(0x80, 0x100):
        for second in (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF):
            for rest in (b"", b"\x80", b"\xbf\xbf", b"\x80a", b"\xc0\x80"):
                text = bytes([first, second]) + rest
                assert valid_utf8(np.frombuffer(text, np.uint8)) == is_utf8(text), text


def test_faults_behind_the_first_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "CHECKED_BY_PYTHON", 10)
    path = tmp_path / "text"
    path.write_bytes("é line\n".encode() * 5 + b"b\xe9d\nlast")

    def read(errors: texts.Errors) -> bytes:
        return b"".join(piece.text for piece in texts.pieces([path], errors=errors, chunk_bytes=9))

    with pytest.raises(DataError, match="invalid UTF-8 at byte 2") as caught:
        read("strict")
    assert caught.value.line == 6
    assert read("replace") == "é line\n".encode() * 5 + "b\ufffdd\nlast".encode()
    assert read("skip") == "é line\n".encode() * 5 + b"last"
