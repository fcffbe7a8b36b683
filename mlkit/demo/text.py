"""Text without a download: the documentation of the Python installation itself.

pydoc's topics, and the docstrings of the standard library and of installed dependencies, read by parsing their
sources; nothing is imported or run.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

from mlkit.progress import Progress, Report, silent

PACKAGES = ("numpy", "numba", "llvmlite", "rich", "typer", "tokenizers", "yaml", "pip", "setuptools")
# nobody reads the docstrings of tests, and the tables of codecs have none
_SKIPPED = {"test", "tests", "idle_test", "site-packages", "dist-packages", "lib2to3", "encodings", "_vendor"}
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s|\n\s*\n")


def documentation(progress: Progress = silent) -> list[str]:
    """Return the documentation as sentences: lower-case words separated by single spaces, in a fixed order."""
    sources = list(python_sources())
    sentences: list[str] = []
    for done, path in enumerate(sources):
        for text in docstrings(path):
            sentences.extend(sentences_of(text))
        if done % 50 == 0:
            progress(Report("reading documentation", done, len(sources), "files"))
    return sentences


def python_sources() -> Iterator[Path]:
    """Yield the source files of the standard library and of the packages that are installed, sorted."""
    roots = [Path(sysconfig.get_path("stdlib"))]
    for package in PACKAGES:
        found = importlib.util.find_spec(package)
        if found is not None and found.submodule_search_locations:
            roots.append(Path(next(iter(found.submodule_search_locations))))
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            if _SKIPPED.isdisjoint(path.relative_to(root).parts):
                yield path


def docstrings(path: Path) -> Iterator[str]:
    """Yield the docstrings of a source file; of pydoc's topics, every text. A file that does not parse has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    if path.parent.name == "pydoc_data":
        yield from (
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node, clean=False)
            if text:
                yield text


def sentences_of(text: str) -> Iterator[str]:
    """Yield the sentences of three words or more; lines of examples (``>>>``) are left out."""
    prose = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith((">>>", "...")))
    for part in _SENTENCE_END.split(prose.lower()):
        words = _WORD.findall(part)
        if len(words) >= 3:
            yield " ".join(words)
