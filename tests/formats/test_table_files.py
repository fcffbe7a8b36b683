"""Tables: what is read, what is refused, and where the fault is said to be."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlkit.errors import DataError, MlkitError, UsageError
from mlkit.formats.table_files import (
    TableFormat,
    format_rows,
    join_rows,
    read_blocks,
    read_table,
    write_table,
)


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_numbers_categories_and_gaps(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "t.csv", "a, b,c\n1, x,\nNA,?,2e3\n null ,y,-.5\n"))
    assert table.names == ["a", "b", "c"]
    np.testing.assert_array_equal(table.numbers("a"), [1, np.nan, np.nan])
    np.testing.assert_array_equal(table.numbers("c"), [np.nan, 2000, -0.5])
    assert [table.is_numeric(name) for name in table.names] == [True, False, True]
    assert table.counts("b") == [("x", 1), ("y", 1)]
    assert table.codes("b", ["y", "x"]).tolist() == [1, -1, 0]


def test_own_words_for_missing(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "t.csv", "a\n1\n-\n"), TableFormat(missing=("-",)))
    assert np.isnan(table.numbers("a")[1])


@pytest.mark.parametrize("content", ["a\tb\n1\t2\n", "a;b\n1;2\n", "a|b\n1|2\n", '"a,x";b\n1;2\n'])
def test_delimiters_are_found_out(tmp_path: Path, content: str) -> None:
    assert len(read_table(written(tmp_path / "t.csv", content)).names) == 2


def test_bom_crlf_blank_lines_and_no_newline_at_the_end(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "t.csv", b"\xef\xbb\xbfa,b\r\n1,2\r\n\r\n3,4"))
    assert table.names == ["a", "b"]
    assert table.numbers("b").tolist() == [2, 4]
    assert [table.line(0), table.line(1)] == [2, 4]


def test_header_is_found_out_or_said(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "1,2\n3,4\n")
    assert read_table(path).names == ["c1", "c2"]
    assert read_table(path, TableFormat(header=True)).names == ["1", "2"]
    assert read_table(written(tmp_path / "u.csv", "x,y\nz,w\n"), TableFormat(header=False)).rows == 2


def test_quotes(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", 'a,b\n"x, ""y""\nz",1\n"u",2\nbad,q\n')
    table = read_table(path)
    assert table.values("a")[0] == 'x, "y"\nz'
    with pytest.raises(DataError, match=r"t\.csv:5: column 'b': 'q' is not a number"):
        table.numbers("b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n3\n", r":3: 1 field, expected 2"),
        (b"a,b\n1,2\n3,4,5\n", r":3: 3 fields, expected 2"),
        (b'a,b\n"x\ny",2\n3,4,5\n', r":4: 3 fields, expected 2"),
        (b"a,b,a\n1,2,3\n", r":1: columns 1 and 3 are both named 'a'"),
        (b"a,b\n", "no rows"),
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"a,b\n1,\xff\n", ":2: invalid UTF-8 at byte 3"),
        (b'a,b\n1,"2\n', ":2: a quote is not closed"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = written(tmp_path / "t.csv", content)
    with pytest.raises(DataError, match=message):
        read_table(path)
    with pytest.raises(DataError, match=message):
        list(read_blocks(path, block=4))


def test_invalid_utf8_can_be_replaced(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", b"a,b\n1,\xff\n")
    assert read_table(path, TableFormat(errors="replace")).values("b") == ["\ufffd"]


@pytest.mark.parametrize("block", [8, None])
def test_rows_of_invalid_utf8_can_be_skipped(tmp_path: Path, block: int | None) -> None:
    content = b'a,b\n1,x\n2,\xff\n\n3,"y\nz"\n4,\xc3\n5,w\n'
    path = written(tmp_path / "t.csv", content)
    tables = list(read_blocks(path, TableFormat(errors="skip"), block))
    assert [value for table in tables for value in table.values("b")] == ["x", "y\nz", "w"]
    assert [table.line(k) for table in tables for k in range(table.rows)] == [2, 5, 8]
    with pytest.raises(DataError, match="the table holds no rows"):
        read_table(written(path, b"a,b\n1,\xff\n"), TableFormat(errors="skip"))


def test_infinity_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.csv:3: column 'a': an infinite number"):
        read_table(written(tmp_path / "t.csv", "a,b\n1,2\n-inf,3\n")).numbers("a")


def test_a_table_in_gzip_is_the_same(tmp_path: Path) -> None:
    written(tmp_path / "t.csv.gz", gzip.compress(b"a,b\n1,2\n"))
    assert read_table(tmp_path / "t.csv.gz").numbers("b").tolist() == [2]


def test_a_delimiter_is_one_character() -> None:
    with pytest.raises(UsageError):
        TableFormat(delimiter="ab")


def test_libsvm_of_either_base(tmp_path: Path) -> None:
    for base in (0, 1):
        lines = f"1 {base}:0.5 {base + 2}:2 # note\n-1 qid:3 {base + 1}:1\n"
        table = read_table(written(tmp_path / "t.txt", lines))
        assert table.names == ["label", *(f"f{base + k}" for k in range(3))]
        assert table.numbers(f"f{base + 1}").tolist() == [0, 1]
        assert table.numbers("f77").tolist() == [0, 0]  # what is not written is 0
    with pytest.raises(DataError, match=":2: not a LibSVM row"):
        read_table(written(tmp_path / "t.svm", "1 1:2\n1 x\n"))


def test_parquet(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "t.csv", "a,b\n1,x\n,y\n"))
    write_table(tmp_path / "t.parquet", table)
    again = read_table(tmp_path / "t.parquet")
    assert again.values("b") == ["x", "y"]
    np.testing.assert_array_equal(again.numbers("a"), [1, np.nan])
    with pytest.raises(DataError, match="damaged Parquet"):
        read_table(written(tmp_path / "x.parquet", (tmp_path / "t.parquet").read_bytes()[:60]))


def test_writing_gives_back_what_was_read(tmp_path: Path) -> None:
    content = 'a,b,c\n1.50,"x, y",NA\n007,"q ""z""",\n'
    write_table(tmp_path / "u.csv", read_table(written(tmp_path / "t.csv", content)))
    assert (tmp_path / "u.csv").read_text() == content


@pytest.mark.parametrize("block", [40, 1 << 20])
def test_compact_columns_are_the_plain_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    lines = ["w,n,x,late,t,mixed", *(f"{' ab'[k % 3]} ,{k},{k / 7},,{k % 2}.0,{k}" for k in range(30))]
    lines += [f"c,,{1e300},{k},?,NA" for k in range(5)]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr("mlkit.formats.table_files._COMPACT_BLOCK", block)
    plain = read_table(tmp_path / "a.csv")
    compact = read_table(tmp_path / "a.csv", as_text=["t"])
    assert compact.names == plain.names
    for name in plain.names:
        assert compact.is_numeric(name) == plain.is_numeric(name)
        if plain.is_numeric(name):
            np.testing.assert_array_equal(compact.numbers(name), plain.numbers(name))
        else:
            assert compact.counts(name) == plain.counts(name)
            assert compact.text(name).to_list() == plain.text(name).to_list()
            assert compact.take(np.arange(3)).counts(name) == plain.take(np.arange(3)).counts(name)
    assert compact.values("t") == plain.values("t")
    assert [compact.line(k) for k in (0, 34)] == [2, 36]
    with pytest.raises(DataError, match=r"a.csv:3: column 'w': 'a' is not a number"):
        compact.numbers("w")


def test_a_word_after_the_first_block_of_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("x,y\n" + "1,2\n" * 30 + "word,3\n")
    monkeypatch.setattr("mlkit.formats.table_files._COMPACT_BLOCK", 20)
    table = read_table(tmp_path / "a.csv", as_text=[])
    assert not table.is_numeric("x")
    assert table.counts("x") == [("1", 30), ("word", 1)]


def test_joining_and_taking_rows(tmp_path: Path) -> None:
    first = read_table(written(tmp_path / "t.csv", "a,b\n1,x\n2,y\n"))
    second = read_table(written(tmp_path / "u.csv", "b,a\nz,3\n"))
    both = join_rows(first, second, ["a", "b"])
    assert both.values("b") == ["x", "y", "z"]
    part = both.take(np.array([2, 0]))
    assert part.values("a") == ["3", "1"]
    assert first.take(np.array([False, True])).line(0) == 3
    with pytest.raises(DataError, match="missing columns 'p', 'q'"):
        first.require(["a", "p", "q"])


def test_rows_are_written_shortest() -> None:
    assert format_rows({"p": np.array([0.1, 2.0]), "q": ["a,b", "c"]}) == b'p,q\n0.1,"a,b"\n2.0,c\n'
    assert format_rows({"p": [1]}, header=False) == b"1\n"


FIELD = st.text(alphabet=st.sampled_from(list('ab ,"\n\r1.é')), max_size=6)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(FIELD, FIELD, st.just("z")), min_size=1, max_size=8), block=st.integers(1, 60))
def test_what_pythons_csv_writes_is_read_in_blocks_of_any_size(
    tmp_path: Path, rows: list[tuple[str, str, str]], block: int
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["x", "y", "z"])
    writer.writerows(rows)
    path = written(tmp_path / "t.csv", text.getvalue())
    for blocks in ([read_table(path)], list(read_blocks(path, block=block))):
        found = [row for part in blocks for row in zip(part.values("x"), part.values("y"), strict=True)]
        assert found == [row[:2] for row in rows]


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60))
def test_random_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    path = written(tmp_path / "t.csv", data)
    try:
        table = read_table(path)
        for name in table.names:
            if table.is_numeric(name):
                table.numbers(name)
            table.counts(name)
    except MlkitError:
        pass


@pytest.mark.parametrize(
    "content",
    ["0\n1 2:1 # a: note\n0 3:2\n1 2:1 3:4\n", "\n# made by hand\n0\n1 2:1\n0 3:2\n1 2:1 3:4"],
)
def test_libsvm_is_recognised_and_streamed(tmp_path: Path, content: str) -> None:
    path = written(tmp_path / "t.txt", content)
    whole = read_table(path, as_text=["label"])
    assert whole.names == ["label", "f2", "f3"]
    assert whole.values("label") == ["0", "1", "0", "1"]
    blocks = list(read_blocks(path, TableFormat("libsvm"), block=5))
    assert len(blocks) > 1
    for name in whole.names:
        found = [value for block in blocks for value in block.numbers(name).tolist()]
        assert found == whole.numbers(name).tolist(), name
    assert [block.line(k) for block in blocks for k in range(block.rows)] == [whole.line(k) for k in range(4)]
    assert blocks[0].codes("f3", ["2", "0"]).tolist()[0] == 1, "what is not written is category 0"


def test_libsvm_of_high_indices_needs_room_for_those_that_are_there(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "t.svm", "1 1:2 2000000000:3\n0 1:2\n"))
    assert table.names == ["label", "f1", "f2000000000"]


def test_lines_before_the_header_are_passed_over(tmp_path: Path) -> None:
    for block in (None, 12):
        (table, *_) = read_blocks(written(tmp_path / "t.csv", "\n\r\na,b\n1,2\n"), block=block)
        assert (table.names, table.values("b"), table.line(0)) == (["a", "b"], ["2"], 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\r1,2\r", ":1: a carriage return alone does not end a line"),
        ('a,b\nx,1\n5" pipe,6" pipe\n', ":3: a quote inside a field"),
        ('a,b\n"x\ny",1\n1, "u, v"\n', ":4: a quote inside a field"),
        ('a,b\n"x" y,1\n', ":2: a quote inside a field"),
    ],
)
def test_what_is_not_rfc_4180_is_said_in_words(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as found:
        read_table(written(tmp_path / "t.csv", content))
    assert found.value.hint


def test_columns_without_a_name_get_one_that_is_free(tmp_path: Path) -> None:
    assert read_table(written(tmp_path / "t.csv", "c2,,y\n1,2,u\n")).names == ["c2", "c2_", "y"]


def test_a_category_that_is_a_number_is_found_however_it_is_written(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "t.csv", "a\n1.0\n01\n1e0\n2\nx\nNA\n1_0\n"))
    assert table.codes("a", ["2", "1", "10"]).tolist() == [1, 1, 1, 0, -1, -1, -1]
    assert table.codes("a", ["1", "1.0", "x"]).tolist() == [1, 0, 0, -1, 2, -1, -1]


def test_missing_columns_come_with_what_may_be_wrong(tmp_path: Path) -> None:
    for content, words in (
        ("2019,y\n1,2\n", "--header"),
        ("a b\n1 2\n", "--delimiter"),
        ("a,b\n1,2\n", "a, b"),
    ):
        with pytest.raises(DataError) as found:
            read_table(written(tmp_path / "t.csv", content)).require(["z"])
        assert words in str(found.value.hint)


def test_parts_know_what_the_whole_table_is(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "t.csv", "a,b\n1,2\nword,3\n4,5\n"))
    part = table.take(np.array([0, 2]))
    assert part.is_numeric("a")
    table.settle(table.names)
    assert [part.is_numeric(name) for name in "ab"] == [False, True]
    assert part.columns_apart(["a"])["a"].counts("a") == [("1", 1), ("4", 1)]
