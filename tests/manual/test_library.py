"""The rooms from Python: each is reachable from ``import mlkit``, exports what it names, and its examples run."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import mlkit
from mlkit import manual
from tests.conftest import command_environment

# no example fits these: kernels need a module of their own, workers need processes
WITHOUT_EXAMPLE = {"jit", "cluster"}


def test_every_room_is_reachable() -> None:
    package = Path(mlkit.__file__).parent
    found = {path.parent.name for path in package.glob("*/__init__.py")} - {"cli"}
    assert found == set(mlkit.ROOMS)
    assert all(getattr(mlkit, room).__name__ == f"mlkit.{room}" for room in mlkit.ROOMS)


@pytest.mark.parametrize("room", mlkit.ROOMS)
def test_a_room_exports_what_it_names(room: str) -> None:
    module = importlib.import_module(f"mlkit.{room}")
    for name in getattr(module, "__all__", ()):
        found = getattr(module, name)
        # a submodule of the same name would take the place of what is exported
        assert type(found).__name__ != "module", name
    with pytest.raises(AttributeError):
        module.nothing_of_this_name  # noqa: B018


@pytest.mark.parametrize("room", sorted(set(mlkit.ROOMS) - WITHOUT_EXAMPLE))
def test_the_examples_of_a_room_run(room: str, samples: Path, tmp_path: Path) -> None:
    for path in samples.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    module = importlib.import_module(f"mlkit.{room}")
    assert doctest.DocTestFinder(recurse=False).find(module)[0].examples, (
        "an example with >>> in the docstring"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import doctest, mlkit.{room} as m; print(doctest.testmod(m).failed)"],
        capture_output=True, text=True, env=command_environment(), cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "0\n", done.stdout + done.stderr


def test_the_page_names_every_room() -> None:
    assert [room for room in mlkit.ROOMS if f"mlkit.{room}" not in manual.page("library")] == []


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, mlkit, mlkit.ngram, mlkit.fasttext, mlkit.vectors\nprint('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
