"""Decoding: the kernel against the obvious way, tables of tokens, threads."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.bpe import decode as decode_module
from mlkit.bpe import kernels_decode as kernels
from mlkit.bpe.alphabet import from_bytes
from mlkit.bpe.decode import Decoder, _FastIds, token_table
from mlkit.bpe.encode_options import Options
from mlkit.bpe.model import BpeModel
from mlkit.bpe.text_blocks import Piece
from mlkit.errors import DataError
from tests.naive.bpe import decoded_ids

TOKENS = [
    b"a",
    b" ",
    b" b",
    b"",
    None,
    b"c ",
    b" seventeen bytes!",
    b"sixteen bytes!!!",
    b"\xc3\xa9" * 20,
    None,
    b"\n",
]
numbers = st.one_of(
    st.integers(0, len(TOKENS) - 1).filter(lambda n: TOKENS[n] is not None).map(str),
    st.sampled_from(["4", "9", "11", "00", "007", "0000000007", "99999999", "1234567890", "123456789012", "x"]),
)  # fmt: skip
plain_numbers = st.sampled_from(["0", "1", "2", "3", "5", "6", "7", "8", "10"])
between = st.sampled_from([" ", " ", " ", "\n", "\n", "  ", "\t", "\r\n", "\n\n", ""])


def decode_by_kernel(text: bytes, first: bool, last: bool) -> bytes | int:
    flat = b"".join(token or b"" for token in TOKENS) + bytes(kernels.ROOM)
    sizes = [len(token or b"") for token in TOKENS]
    begins = np.array([0, *accumulate(sizes)][:-1], np.int64)
    tokens = np.frombuffer(flat, np.uint8)
    heads = tokens[begins[:, None] + np.arange(kernels.ROOM)]
    lengths = np.array([-1 if token is None else len(token) for token in TOKENS], np.int32)
    out = np.empty((len(text) // 2 + 1) * 40 + kernels.ROOM, np.uint8)
    padded = np.frombuffer(text + b"\n" * 8, np.uint8)
    used = kernels.decode_ids(padded, len(text), heads, tokens, begins, lengths, first, last, out)
    return -1 - int(used) if used < 0 else out[:used].tobytes()


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.lists(st.tuples(plain_numbers, between.filter(bool)), max_size=12),
        st.lists(st.tuples(numbers, between), max_size=8),
    ),
    st.booleans(),
    st.booleans(),
)
def test_kernel(parts: list[tuple[str, str]], first: bool, last: bool) -> None:
    text = "".join(number + space for number, space in parts).encode()
    table = {number: token for number, token in enumerate(TOKENS) if token is not None}
    expected = decoded_ids(text, table, strip_first=first, strip_last=last)
    assert decode_by_kernel(text, first, last) == expected


@pytest.mark.parametrize("special", [{}, {"<eos>": 300}, {"Ġ": 300}, {"Ω x": 300}])
def test_tables_of_bytes(special: dict[str, int]) -> None:
    """Tokens in GPT-2's alphabet, ids in any order and with gaps; special tokens are text."""
    vocabulary = {from_bytes(bytes([byte])): 255 - byte for byte in range(256)} | {from_bytes(b" the\n"): 270}
    model = BpeModel("bytes", [], vocabulary | special, specials=special)
    table = token_table(model)
    assert [table[255 - byte] for byte in range(256) if chr(byte) != " " or "Ġ" not in special] == [
        bytes([byte]) for byte in range(256) if chr(byte) != " " or "Ġ" not in special
    ]
    assert table[270] == b" the\n"
    assert {table[number] for number in special.values()} == {token.encode() for token in special}
    fast = _FastIds(model)
    for number in range(model.size):
        begin, length = int(fast.begins[number]), int(fast.lengths[number])
        assert (length < 0) == (number not in table)
        if length >= 0:
            assert fast.tokens[begin : begin + length].tobytes() == table[number]
            assert fast.heads[number].tobytes()[:length] == table[number][:16]


def test_threads_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "SMALL", 10)
    monkeypatch.setattr(decode_module, "_CHUNK", 64)
    vocabulary = {from_bytes(bytes([byte])): byte for byte in range(256)}
    model = BpeModel("bytes", [], vocabulary)
    path = tmp_path / "ids"
    path.write_text("104 105 32 195 169\n\n10\n" * 40 + "33")

    def decoded(threads: int) -> Any:
        decoder = Decoder(model, Options("ids"), threads=threads)
        return b"".join(map(bytes, decoder.decode_files([path])))

    assert decoded(1) == decoded(3) == "hi é\n\n\n\n".encode() * 40 + b"!"
    path.write_text("104\n" * 100 + "105 256\n" + "104\n" * 100)
    for threads in (1, 3):
        with pytest.raises(DataError, match="id 256 is not in the vocabulary") as caught:
            decoded(threads)
        assert caught.value.line == 101


def test_a_line_at_a_time() -> None:
    model = BpeModel("chars", [], {"<unk>": 0, "a": 1, "b</w>": 2}, {"<unk>": 0}, "<unk>", "</w>")
    decoder = Decoder(model, Options("ids"))
    assert decoder.decode_line("1 2 0 2") == "ab <unk> b"
    fast = _FastIds(model).decode(Piece("x", 0, 1, 0, b"1 2 0 2\n\n2"))
    assert bytes(fast) == b"ab <unk> b\n\nb"
