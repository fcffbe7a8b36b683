"""Kernels: signatures, read-only inputs, the cache and what happens without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlkit import jit
from mlkit.jit import kernel
from tests.conftest import REPOSITORY, command_environment
from tests.sum_kernel import sum_of_squares

NO_JIT = jit.jit_disabled()


@kernel("void(const f4[:,:], f4[:])")
def row_sums(matrix, sums):
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            sums[i] += matrix[i, j]


def test_kernels_take_read_only_and_mapped_arrays(tmp_path: Path) -> None:
    values = np.arange(4.0)
    values.tofile(tmp_path / "v")
    mapped = np.memmap(tmp_path / "v", np.float64, "r")
    values.setflags(write=False)
    assert sum_of_squares(values, 4) == sum_of_squares(mapped, 4) == 14.0
    sums = np.zeros(2, np.float32)
    row_sums(np.ones((2, 3), np.float32), sums)
    assert sums.tolist() == [3.0, 3.0]


@pytest.mark.skipif(NO_JIT, reason="without JIT nothing checks types")
def test_another_type_is_an_error_not_a_second_compilation() -> None:
    with pytest.raises(TypeError):
        sum_of_squares(np.arange(4), 4)


@pytest.mark.skipif(NO_JIT, reason="signatures are numba's")
def test_signature_language() -> None:
    import numba

    signature = jit.parse_signature("i8(const u1[:], f4[:,:,:], b1)")
    assert signature.return_type == numba.int64
    assert signature.args[0].mutable is False
    assert signature.args[1].ndim == 3
    assert signature.args[1].layout == "C"
    with pytest.raises(ValueError, match="parenthesis"):
        jit.parse_signature("i8(u1")


def test_cache_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jit.cache_directory().parent == tmp_path / "mlkit" / "numba"


def run_script(environment: dict[str, str | None]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.sum_kernel"], env=command_environment(environment), cwd=REPOSITORY,
        capture_output=True, text=True, check=True,
    )  # fmt: skip


def test_cold_is_announced_and_warm_is_silent(tmp_path: Path) -> None:
    cache: dict[str, str | None] = {"XDG_CACHE_HOME": str(tmp_path), "NUMBA_CACHE_DIR": None}
    assert run_script(cache).stderr.startswith("compiling kernels")
    warm = run_script(cache)
    assert (warm.stdout, warm.stderr) == ("14.0 True\n", "")


@pytest.mark.parametrize("suffixes", [(".nbi", ".nbc"), (".kernel",), (".nbi", ".nbc", ".kernel")])
def test_a_damaged_cache_is_worked_around(tmp_path: Path, suffixes: tuple[str, ...]) -> None:
    cache: dict[str, str | None] = {"XDG_CACHE_HOME": str(tmp_path), "NUMBA_CACHE_DIR": None}
    run_script(cache)
    damaged = [path for path in tmp_path.rglob("*") if path.suffix in suffixes]
    assert damaged
    for path in damaged:
        path.write_bytes(b"\x80\x04garbage")
    assert run_script(cache).stdout.startswith("14.0")


@pytest.mark.skipif(not Path("/dev/shm").is_dir() or os.geteuid() != 0, reason="needs root for a small tmpfs")
def test_a_full_cache_disk_is_no_error(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(mount)], capture_output=True)
    if made.returncode:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.decode().strip()}")
    try:
        output = run_script({"XDG_CACHE_HOME": str(mount), "NUMBA_CACHE_DIR": None}).stdout
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    assert output.endswith("14.0 False\n")
