"""Vector files: every format round-trips, agrees with gensim, and survives damage."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlkit.errors import DataError, MlkitError, ModelError, UsageError
from mlkit.formats import vectors as module
from mlkit.formats.kernels_vectors import MAX_NUMBER, format_rows, parse_lines
from mlkit.formats.vector_lines import format_lines
from mlkit.formats.vectors import FORMATS, format_of, load_vectors, read_vectors, save_vectors
from mlkit.jit import jit_disabled
from tests.naive import vectors as naive

SUFFIXES = {"text": ".txt", "binary": ".bin", "glove": ".glove", "safetensors": ".safetensors"}
FILES = {
    "EN.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt": "text",
    "crime-and-punishment.vec": "text",
    "lee_fasttext.vec": "text",
    "pang_lee_polarity_fasttext.vec": "text",
    "toy-model.vec": "text",
    "euclidean_vectors.bin": "binary",
    "test_glove.txt": "glove",
}

vector_words = st.lists(
    st.text(
        st.characters(exclude_characters=" \n", exclude_categories=("Cs",)), min_size=1, max_size=8
    ).filter(lambda word: not word.startswith("\ufeff")),
    min_size=1,
    max_size=6,
    unique=True,
)


def some_vectors(rows: int = 5, dimension: int = 4) -> tuple[list[str], np.ndarray]:
    generator = np.random.default_rng(7)
    return [f"w{row}" for row in range(rows)], generator.standard_normal((rows, dimension), dtype=np.float32)


@pytest.fixture(params=[False, True], ids=["python", "kernels"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Read and write text by plain Python, then by the kernels, whatever the size."""
    real_parse, real_format = module.parse_block, module.format_lines
    monkeypatch.setattr(module, "parse_block", lambda *given: real_parse(*given[:-1], request.param))
    monkeypatch.setattr(
        module,
        "format_lines",
        lambda words, matrix, compiled: real_format(words, matrix, compiled=request.param),
    )
    return bool(request.param)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=50, deadline=None)
@given(words=vector_words, data=st.data())
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, format: str, words: list[str], data: st.DataObject
) -> None:
    dimension = data.draw(st.integers(2, 5))
    flat = st.lists(
        st.floats(width=32, allow_nan=False), min_size=len(words) * dimension, max_size=len(words) * dimension
    )
    matrix = np.array(data.draw(flat), np.float32).reshape(len(words), dimension)
    path = tmp_path_factory.mktemp("vectors") / f"v{SUFFIXES[format]}"
    for newline in (True, False):
        save_vectors(path, words, matrix, newline=newline)
        found_words, found = load_vectors(path, format)
        assert found_words == words
        assert found.view(np.uint32).tolist() == matrix.view(np.uint32).tolist()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
@pytest.mark.usefixtures("compiled")
def test_formats_are_recognised_by_content(tmp_path: Path, format: str, compression: str) -> None:
    words, matrix = some_vectors()
    named = tmp_path / f"v{SUFFIXES[format]}{compression}"
    save_vectors(named, words, matrix)
    path = tmp_path / "without-a-suffix"
    named.rename(path)
    found = read_vectors(path)
    assert (found.words, found.format, found.header) == (words, format, format != "glove")
    assert (found.matrix == matrix).all()


@pytest.mark.parametrize("place", range(1, 12))
def test_a_line_end_inside_the_first_binary_vector(tmp_path: Path, place: int) -> None:
    """One of some hundred files has that byte among printable ones: it looks like a line of text."""
    matrix = np.random.default_rng(place).normal(size=(3, 8)).astype(np.float32)
    matrix.view(np.uint8)[0, :place] = ord("7")
    matrix.view(np.uint8)[0, place] = ord("\n")
    path = tmp_path / "v"
    save_vectors(path, ["the", "of", "and"], matrix, "binary")
    found = read_vectors(path)
    assert found.format == "binary"
    assert (found.matrix == matrix).all()


@pytest.mark.parametrize("name", FILES)
def test_reads_and_writes_as_gensim(shared: Path, tmp_path: Path, name: str, compiled: bool) -> None:
    keyed = pytest.importorskip("gensim.models").KeyedVectors
    path, kind = shared / "data/formats/gensim" / name, FILES[name]
    if compiled and jit_disabled() and path.stat().st_size > 1 << 18:
        pytest.skip("too slow without the compiler")
    peer = keyed.load_word2vec_format(
        str(path), binary=kind == "binary", no_header=kind == "glove", unicode_errors="replace"
    )
    ours = read_vectors(path, errors="replace")
    assert ours.format == kind
    assert ours.words == peer.index_to_key
    assert (ours.matrix == peer.vectors).all()
    for suffix, binary in ((".txt", False), (".bin", True)):
        theirs, mine = tmp_path / f"theirs{suffix}", tmp_path / f"mine{suffix}"
        peer.save_word2vec_format(str(theirs), binary=binary)
        save_vectors(mine, ours.words, ours.matrix, newline=False)
        assert mine.read_bytes() == theirs.read_bytes()
    save_vectors(tmp_path / "c.bin", ours.words, ours.matrix)
    again = keyed.load_word2vec_format(str(tmp_path / "c.bin"), binary=True)
    assert again.index_to_key == ours.words
    assert (again.vectors == ours.matrix).all()


def hard_floats() -> np.ndarray:
    powers = np.array([2.0**k for k in range(-149, 128)], np.float32)
    tens = np.array([float(f"1e{k}") for k in range(-44, 39)], np.float32)
    random = np.random.default_rng(3).integers(0, 1 << 32, 3000, dtype=np.uint32).view(np.float32)
    near = [np.nextafter(values, np.float32(to)) for values in (powers, tens) for to in (0, 3e38)]
    extra = np.array([0.0, -0.0, np.inf, -np.inf, 9999999.0, 1e15, 1e16, 123456790.0, 0.00012345], np.float32)
    values = np.concatenate([powers, tens, *near, random[~np.isnan(random)], extra])
    return np.concatenate([values, -values])


@pytest.mark.parametrize("size", [None, 60], ids=["all", "few"])
def test_numbers_are_the_shortest_that_read_back(size: int | None) -> None:
    values = hard_floats()[: 60 if jit_disabled() else size].reshape(-1, 1)
    words = [b"w"] * len(values)
    lines = bytes(format_lines(words, values, compiled=True))
    assert lines == bytes(format_lines(words, values, compiled=False))
    with np.errstate(over="ignore"):
        expected = [naive.format_line("w", row) for row in values]
    assert lines.decode().splitlines() == expected
    assert max(map(len, expected)) - 1 <= MAX_NUMBER
    text = np.frombuffer(lines, np.uint8)
    found, bounds = np.empty(values.shape, np.float32), np.empty((len(values), 2), np.int64)
    row = position = 0
    stopped = np.zeros(1, np.int64)
    while position < len(text):
        row = parse_lines(text, position, found, row, bounds, stopped)
        if stopped[0] < len(text):
            # the kernel leaves what it is not certain of to Python: only infinities and the largest here
            end = lines.index(b"\n", stopped[0])
            assert b"inf" in lines[stopped[0] : end] or b"3.4028" in lines[stopped[0] : end]
            found[row] = float(lines[stopped[0] : end].split()[1])
            bounds[row], row, stopped[0] = 0, row + 1, end + 1
        position = int(stopped[0])
    assert found.view(np.uint32).tolist() == values.view(np.uint32).tolist()


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.from_regex(r"[-+]?[0-9]{1,25}(\.[0-9]{0,25})?([eE][-+]?[0-9]{1,3})?", fullmatch=True),
        st.from_regex(r"[-+]?\.[0-9]{1,25}", fullmatch=True),
    )
)
def test_kernel_reads_numbers_as_python_does_or_leaves_them(number: str) -> None:
    text = np.frombuffer(f"word {number}\n".encode(), np.uint8)
    found, bounds, stopped = np.empty((1, 1), np.float32), np.empty((1, 2), np.int64), np.zeros(1, np.int64)
    if parse_lines(text, 0, found, 0, bounds, stopped):
        with np.errstate(over="ignore"):
            assert found.view(np.uint32)[0, 0] == np.float32(float(number)).view(np.uint32)
        assert bounds.tolist() == [[0, 4]]
    else:
        assert stopped[0] == 0


def test_kernel_prints_words_of_any_length() -> None:
    _, matrix = some_vectors(3, 2)
    encoded = [b"", "é".encode(), b"long" * 100]
    ends = np.cumsum([len(word) for word in encoded])
    out = np.empty(1000, np.uint8)
    size = format_rows(matrix.view(np.uint32), np.frombuffer(b"".join(encoded), np.uint8), ends, out)
    expected = [naive.format_line(word.decode(), row) for word, row in zip(encoded, matrix, strict=True)]
    assert bytes(out[:size]).decode().splitlines() == expected


@pytest.mark.parametrize("block", [64, 1 << 20])
@pytest.mark.usefixtures("compiled")
def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    words, matrix = some_vectors(300, 7)
    for suffix in (*SUFFIXES.values(), ".txt.gz", ".bin.gz"):
        save_vectors(tmp_path / f"v{suffix}", words, matrix)
        found = load_vectors(tmp_path / f"v{suffix}")
        assert found[0] == words
        assert (found[1] == matrix).all()
        limited = load_vectors(tmp_path / f"v{suffix}", limit=41)
        assert limited[0] == words[:41]
        assert (limited[1] == matrix[:41]).all()


@pytest.mark.usefixtures("compiled")
def test_text_of_other_writers(tmp_path: Path) -> None:
    """Spaces at line ends, CR, a BOM, blank lines, words with spaces, many digits, no last line end."""
    path = tmp_path / "v.vec"
    text = (
        "\ufeff4 3 \r\nthe 0.1 2 -3e-2 \r\n\nat name@domain.com  1.671300083398818970e-02 0.5 1\n"
        "é +1 .5 5.\n" + ". . . nan inf -inf"
    )
    path.write_bytes(text.encode())
    words, matrix = load_vectors(path)
    assert words == ["the", "at name@domain.com", "é", ". . ."]
    expected = [[0.1, 2, -0.03], [0.01671300083398819, 0.5, 1], [1, 0.5, 5], [np.nan, np.inf, -np.inf]]
    np.testing.assert_array_equal(matrix, np.array(expected, np.float32))


def test_first_of_repeated_words_counts(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("4 1\na 1\nb 2\na 3\nc 4\n")
    found = read_vectors(path)
    assert (found.words, found.matrix.ravel().tolist(), found.dropped) == (["a", "b", "c"], [1, 2, 4], 1)


def test_one_dimension_without_header(tmp_path: Path) -> None:
    path = tmp_path / "v.glove"
    path.write_text("7 3\n8 4\n")
    assert read_vectors(path, "glove").words == ["7", "8"]


def test_words_that_are_not_utf8(tmp_path: Path) -> None:
    for name, content in (("v.txt", b"2 1\na 1\n\xff 2\n"), ("v.bin", b"2 1\na \0\0\x80?\n\xff \0\0\0@\n")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DataError, match="UTF-8"):
            load_vectors(path)
        assert load_vectors(path, errors="replace")[0] == ["a", "\ufffd"]
        words, matrix = load_vectors(path, errors="skip")
        assert (words, matrix.tolist()) == (["a"], [[1.0]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("\n", "empty"),
        ("2 3\na 1 2 3\n", "truncated: the first line promises 2 vectors, the file holds 1"),
        ("1 2\na 1 2\nb 1 2\n", "promises 1 vectors, the file holds 2"),
        ("2 3\na 1 2 3\nb 1 2\n", ":3: expected a word and 3 numbers, found 2"),
        ("2 3\na 1 2 3\nb 1 2 3 4\n", ":3: expected 3 numbers, found 4"),
        ("2 3\na 1 2 3\nb 1 x 3\n", ":3: 'x' is not a number"),
        ("a 1 2\n 3 4\n", ":2: "),
        ("3 0\n", "damaged"),
        ("1 99999999999\n", "damaged"),
    ],
)
@pytest.mark.usefixtures("compiled")
def test_faulty_text_names_the_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "v.txt"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        load_vectors(path)


def test_a_fasttext_model_gets_a_hint(shared: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_vectors(shared / "data/formats/gensim/toy-model.bin")
    assert ".vec" in str(caught.value.hint)


@pytest.mark.parametrize("format", FORMATS)
def test_truncated_files(tmp_path: Path, format: str) -> None:
    words, matrix = some_vectors(6, 5)
    path = tmp_path / f"v{SUFFIXES[format]}"
    save_vectors(path, words, matrix)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        try:
            found, numbers = load_vectors(path)
        except MlkitError:
            continue
        # headerless text cut in its last number cannot be told from a whole one; the last newline may be missing
        assert format == "glove" or (found, len(numbers)) == (words, 6)


@pytest.mark.parametrize("format", [None, *FORMATS])
@settings(max_examples=60, deadline=None)
@given(
    start=st.sampled_from([b"", b"3 2\n", b"1 1\n", b"99999999 300\n", b"a 1 2\n"]),
    rest=st.binary(max_size=200),
)
def test_random_bytes(
    tmp_path_factory: pytest.TempPathFactory, format: str | None, start: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.mktemp("random") / "v"
    path.write_bytes(start + rest)
    try:
        words, matrix = load_vectors(path, format, errors="replace")
    except MlkitError:
        return
    assert len(words) == len(matrix)


@pytest.mark.parametrize("word", ["", "two words", "line\nend"])
def test_words_that_no_file_can_hold(tmp_path: Path, word: str) -> None:
    with pytest.raises(DataError, match="word 2"):
        save_vectors(tmp_path / "v.txt", ["a", word], np.zeros((2, 2), np.float32))
    assert not list(tmp_path.iterdir())


def test_format_by_suffix() -> None:
    names = {"v.txt": "text", "v.vec.gz": "text", "v.bin": "binary", "v.BIN.xz": "binary", "v": "text"}
    names |= {"v.glove": "glove", "v.glove.txt": "glove", "v.glove.txt.zst": "glove", "glove.txt": "text"}
    names |= {"v.safetensors": "safetensors", "-": "text"}
    assert {name: format_of(name) for name in names} == names


def test_wrong_calls(tmp_path: Path) -> None:
    words, matrix = some_vectors()
    with pytest.raises(UsageError, match="no vector format"):
        save_vectors(tmp_path / "v.txt", words, matrix, "word2vec")
    with pytest.raises(UsageError, match="no vector format"):
        load_vectors(tmp_path / "v.txt", "word2vec")
    with pytest.raises(UsageError, match="at least 1"):
        load_vectors(tmp_path / "v.txt", limit=0)
    with pytest.raises(ValueError, match="words for a matrix"):
        save_vectors(tmp_path / "v.txt", words[1:], matrix)
    with pytest.raises(OSError, match="No such file"):
        load_vectors(tmp_path / "missing")


def test_safetensors_are_mapped(tmp_path: Path) -> None:
    words, matrix = some_vectors()
    save_vectors(tmp_path / "v.safetensors", words, matrix)
    found = load_vectors(tmp_path / "v.safetensors")[1]
    assert not found.flags.writeable
    assert not found.flags.owndata


def test_small_files_do_not_import_numba(tmp_path: Path) -> None:
    import subprocess

    words, matrix = some_vectors()
    save_vectors(tmp_path / "v.txt", words, matrix)
    code = (
        "import sys; from mlkit.formats.vectors import *; v = load_vectors('v.txt'); save_vectors('w.txt', *v);"
        "print('numba' in sys.modules, open('v.txt').read() == open('w.txt').read())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"True"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a 1 2\nb 3 4\n")))
    words, matrix = load_vectors("-")
    assert (words, matrix.tolist()) == (["a", "b"], [[1, 2], [3, 4]])
