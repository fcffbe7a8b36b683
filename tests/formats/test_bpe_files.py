from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.bpe.load import load_model
from mlkit.bpe.model import BpeModel
from mlkit.bpe.save import save_model
from mlkit.errors import DataError, MlkitError, ModelError, UsageError
from mlkit.formats import merges
from mlkit.formats.merges import read_merges, write_fastbpe, write_merges
from mlkit.formats.word_counts import merge_word_counts, read_word_counts, write_word_counts

PAIRS = [("l", "o"), ("lo", "w</w>"), ("e", "r</w>")]


def test_merges_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "codes"
    for version in ("0.2", None):
        write_merges(path, PAIRS, version)
        found = read_merges(path)
        assert (found.version, found.pairs, found.counts) == (version, PAIRS, None)
    write_fastbpe(path, PAIRS, [9, 8, 7])
    found = read_merges(path)
    assert (found.version, found.pairs, found.counts) == (None, PAIRS, [9, 8, 7])


_PARTS = [
    "a",
    "b",
    " ",
    " ",
    "\n",
    "é",
    "#version: 0.2\n",
    "\r",
    "\ufeff",
    "c d\n",
    "c d\n",
    "e f 3\n",
    "\x85",
    "\u3000",
]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(_PARTS), max_size=9).map(lambda parts: "".join(parts).encode()), st.booleans()
)
def test_merges_at_once_and_line_by_line(content: bytes, damaged: bool) -> None:
    """The quick way for plain files of merges finds what the way for all files finds, or leaves it to that."""

    def found() -> object:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content + b"\xff" * damaged)
            file.flush()
            try:
                return read_merges(file.name)
            except ModelError as error:
                return error.message, error.line

    quick = found()
    with mock.patch.object(merges, "_plain_merges", return_value=None):
        assert found() == quick


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"#version: 0.2\n", "no merges"),
        (b"a b c d\n", "1: not a merge"),
        (b"#version: 0.2\na b\nabc\n", "3: not a merge"),
        (b"#version: 0.9\na b\n", "version '0.9'"),
        (b"\xff\xfe\n", "invalid UTF-8"),
        (b"{", "not a whole JSON file"),
        (b'{"model": {"type": "Unigram", "vocab": []}}', "Unigram, not BPE"),
        (b'{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}}', "merge 1: 'b' is not in"),
        (b'{"model": {"type": "BPE", "vocab": {"a": "x"}, "merges": []}}', "no valid id"),
        (b'{"model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}}', "share an id"),
        (b'{"a": 0}', "no merges.txt beside it"),
        (b"YQ== 0\nYg== 0\n", "rank 0 twice"),
        (b"YQ== 0\nYg== 2\n", "without a gap"),
        (b"YQ== 0\nYg== 1\n", "not all 256 bytes"),
    ],
)
def test_damaged_models(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_files_never_crash(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = [
        b"#version: 0.2\nl o\nlo w</w>\n",
        b"l o 5\nlo w</w> 3\n",
        b"".join(b"%b %d\n" % (base64.b64encode(bytes([k])), k) for k in range(256)),
        json.dumps(
            {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}}
        ).encode(),
        b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02\n\x08\n\x01a\x15\0\0\0\0\x12\x02\x18\x02",
    ]
    content = bytearray(data.draw(st.one_of(st.sampled_from(whole), st.binary(max_size=60))))
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path_factory.mktemp("fuzz") / data.draw(st.sampled_from(["x", "x.model"]))
    path.write_bytes(bytes(content[:cut]))
    try:
        assert isinstance(load_model(path), BpeModel)
    except MlkitError:
        pass


def test_sentencepiece_truncated_and_unigram(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "formats" / "sentencepiece"
    assert load_model(folder / "enwiki10mb_unigram8k.model").merges == []
    content = folder.joinpath("enwiki10mb_bpe8k.model").read_bytes()
    path = tmp_path / "cut.model"
    path.write_bytes(content[:100_001])
    with pytest.raises(ModelError, match="not a whole sentencepiece model"):
        load_model(path)
    with pytest.raises(UsageError, match="normalizer"):
        save_model(load_model(folder / "enwiki10mb_bpe8k.model"), tmp_path / "tokenizer.json")


def test_clip_is_refused_with_a_hint(shared: Path) -> None:
    with pytest.raises(ModelError, match="CLIP") as caught:
        load_model(shared / "data" / "formats" / "clip" / "bpe_simple_vocab_16e6.txt.gz")
    assert caught.value.hint


def test_gpt2_files_round_trip(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "formats" / "hf"
    model = load_model(folder / "bytelevel8k.tokenizer.json")
    save_model(model, tmp_path / "merges.txt")
    assert (tmp_path / "merges.txt").read_bytes() == folder.joinpath("bytelevel8k-merges.txt").read_bytes()
    assert json.loads((tmp_path / "vocab.json").read_text()) == json.loads(
        folder.joinpath("bytelevel8k-vocab.json").read_text()
    )
    again = load_model(tmp_path)
    assert (again.merges, again.vocabulary, again.specials) == (
        model.merges,
        model.vocabulary,
        model.specials,
    )
    with pytest.raises(UsageError, match="not bytes"):
        save_model(model, tmp_path / "codes", "subword-nmt")


def test_word_counts_round_trip_and_add_up(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    write_word_counts(first, "chars", [(b"a", 3), (b"b\tc", 1 << 40)])
    write_word_counts(second, "chars", [(b"a", 2), (b"z", 1)])
    assert list(read_word_counts(first)) == [(b"a", 3), (b"b\tc", 1 << 40)]
    kind, rows = merge_word_counts([first, second])
    assert (kind, list(rows)) == ("chars", [(b"a", 5), (b"b\tc", 1 << 40), (b"z", 1)])
    write_word_counts(second, "bytes", [])
    with pytest.raises(UsageError, match="different kinds"):
        merge_word_counts([first, second])
    second.write_bytes(b"b 1\na 2\n")
    assert list(read_word_counts(second)) == [(b"b", 1), (b"a", 2)]
    with pytest.raises(DataError, match="not sorted"):
        list(merge_word_counts([second])[1])
    second.write_bytes(b"b x\n")
    with pytest.raises(DataError, match="1: not a word"):
        list(read_word_counts(second))
