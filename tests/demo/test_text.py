"""The demonstration's text: docstrings by parsing, nothing imported."""

from __future__ import annotations

from pathlib import Path

from mlkit.demo.text import docstrings, python_sources, sentences_of


def test_docstrings_of_modules_classes_and_functions(tmp_path: Path) -> None:
    source = tmp_path / "m.py"
    source.write_text(
        '"""One."""\nclass A:\n    """Two."""\n    def f(self):\n        """Three."""\nraise SystemExit\n'
    )
    assert sorted(docstrings(source)) == ["One.", "Three.", "Two."]


def test_a_file_that_does_not_parse_has_none(tmp_path: Path) -> None:
    source = tmp_path / "m.py"
    source.write_bytes(b"def (\x00\xff")
    assert list(docstrings(source)) == []
    assert list(docstrings(tmp_path / "missing.py")) == []


def test_sentences_are_lower_case_words_without_examples() -> None:
    text = "Return the Sum.  It isn't slow!\n\n>>> add(1, 2)\n3\n\nShort one"
    assert list(sentences_of(text)) == ["return the sum", "it isn't slow"]


def test_the_standard_library_is_there() -> None:
    names = [path.name for path in python_sources()]
    assert "argparse.py" in names
    assert "topics.py" in names
    assert not any("test" in path.parent.parts for path in python_sources())
