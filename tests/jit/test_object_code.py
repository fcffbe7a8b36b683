"""Object code without numba: the same results, and the ordinary way where anything is unusual."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlkit import jit
from mlkit.jit import Argument, object_code
from tests.conftest import REPOSITORY, command_environment

pytestmark = pytest.mark.skipif(jit.jit_disabled(), reason="without JIT there is no object code")

CODE = """
import sys
import numpy as np
from mlkit import jit
jit.use_command_cache()
from tests.sum_kernel import sum_of_squares, fill
values = np.arange(5.0)
values.setflags(write=False)
out = np.zeros((2, 3), np.float32)
fill(out, 2.5, True)
print(sum_of_squares(values, 4), out.tolist(), "numba" in sys.modules)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that holds the object code of the kernels of tests.sum_kernel."""
    folder = tmp_path_factory.mktemp("cache")
    run(folder)
    return folder


def run(cache: Path, **changes: str | None) -> str:
    environment = command_environment({"XDG_CACHE_HOME": str(cache), "NUMBA_CACHE_DIR": None, **changes})
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True
    )  # fmt: skip
    return done.stdout


def objects(cache: Path) -> list[Path]:
    found = sorted(cache.rglob("*.kernel"))
    if not found:
        pytest.skip("this platform keeps no object code: kernels go through numba")
    return found


def test_the_second_process_does_not_import_numba(cache: Path) -> None:
    objects(cache)
    result = "14.0 [[2.5, 2.5, 2.5], [2.5, 2.5, 2.5]]"
    assert run(cache) == f"{result} False\n"
    assert run(cache, NUMBA_OPT="3") == f"{result} True\n", "who steers numba gets numba"


def test_object_code_is_made_again_from_numbas_cache(tmp_path: Path) -> None:
    run(tmp_path)
    for path in objects(tmp_path):
        path.unlink()
    assert run(tmp_path).endswith("True\n")
    assert run(tmp_path).endswith("False\n")


def load(cache: Path, name: str, signature: str) -> object:
    (path,) = [path for path in objects(cache) if f".{name}-" in path.name]
    result, arguments = jit.parse_arguments(signature)
    return object_code.load(path, arguments, result)


def test_arguments_are_checked_as_numba_checks_them(cache: Path) -> None:
    total = load(cache, "sum_of_squares", "f8(const f8[:], i8)")
    assert total(np.arange(4.0), np.int32(3)) == 5.0  # type: ignore[operator]
    for values in (np.arange(4), np.arange(4, dtype="f4"), np.ones((2, 2)), np.arange(8.0)[::2], [1.0]):
        with pytest.raises(TypeError):
            total(values, 2)  # type: ignore[operator]
    with pytest.raises(TypeError, match="2 arguments"):
        total(np.arange(4.0))  # type: ignore[operator]
    fill = load(cache, "fill", "void(f4[:,:], f4, b1)")
    locked = np.zeros((2, 2), np.float32)
    locked.setflags(write=False)
    with pytest.raises(TypeError, match="writable"):
        fill(locked, 1.0, True)  # type: ignore[operator]


def test_damaged_and_foreign_files_are_not_loaded(cache: Path, tmp_path: Path) -> None:
    whole = objects(cache)[0].read_bytes()
    damaged = tmp_path / "k"
    for content in (
        b"",
        b"{}\n",
        whole[:-10],
        whole[:50],
        whole.replace(b"\x7fELF", b"\x7fELG"),
        b"\xff" * 500,
    ):
        damaged.write_bytes(content)
        assert object_code.load(damaged, [Argument("f8", 0, False)], "f8") is None
    assert object_code.load(tmp_path / "missing", [], "void") is None


def test_an_unknown_symbol_is_never_given_to_the_linker(cache: Path, tmp_path: Path) -> None:
    header, _, code = objects(cache)[0].read_bytes().partition(b"\n")
    strange = tmp_path / "k"
    strange.write_bytes(
        header.replace(b'"symbols": [', b'"symbols": ["no_such_function_", ').replace(b", ]", b"]")
        + b"\n"
        + code
    )
    assert object_code.load(strange, [], "void") is None
    assert object_code.undefined_symbols(b"MZ...") is None
    assert "NRT_Free" not in (object_code.undefined_symbols(code) or [])


def test_a_full_disk_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    object_code.save(tmp_path / "file" / "k.kernel", "f", objects_elf())


def objects_elf() -> bytes:
    """Return the smallest ELF64 header with no sections."""
    return b"\x7fELF\x02\x01" + bytes(58)


def test_the_name_changes_with_what_the_code_depends_on() -> None:
    assert object_code.fingerprint(["a", "b"]) != object_code.fingerprint(["ab"])
    versions = object_code.compiler_versions()
    assert versions is not None
    assert len(versions) == 2
