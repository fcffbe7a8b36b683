"""Completions in the real shells, man pages in the real formatter."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Run

SCRIPTS = REPOSITORY / "completions"


def need(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


@pytest.mark.shell
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["wa"], {"warm"}),
        (["completion", "--ou"], {"--output"}),
        (["completion", "f"], {"fish"}),
        (["vectors", "ana"], {"analogy"}),
        (["vectors", "nn", "--restrict"], {"--restrict-vocab"}),
    ],
)
def test_bash(words: list[str], expected: set[str]) -> None:
    line = " ".join(f"'{word}'" for word in words)
    script = (
        f"source {SCRIPTS}/mlkit.bash; COMP_WORDS=(mlkit {line}); COMP_CWORD={len(words)}; "
        '_mlkit; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run([need("bash"), "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected


@pytest.mark.shell
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mlkit wa", {"warm"}),
        ("mlkit completion --ou", {"--output"}),
        ("mlkit completion f", {"fish"}),
        ("mlkit vectors ana", {"analogy"}),
        ("mlkit vectors nn --restrict", {"--restrict-vocab"}),
    ],
)
def test_fish(line: str, expected: set[str], tmp_path: Path) -> None:
    script = f"source {SCRIPTS}/mlkit.fish; complete -C '{line}'"
    done = subprocess.run(
        [need("fish"), "--no-config", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert {row.split("\t")[0] for row in done.stdout.splitlines()} == expected


@pytest.mark.shell
@pytest.mark.parametrize(
    ("typed", "completed"),
    [("mlkit war", "mlkit warm "), ("mlkit completion --ou", "--output "), ("mlkit completion fi", "fish ")],
)
def test_zsh_at_the_first_tab(typed: str, completed: str) -> None:
    pexpect = pytest.importorskip("pexpect")
    shell = pexpect.spawn(
        need("zsh"), ["-f"], encoding="utf-8", timeout=20, env={"TERM": "dumb", "PATH": "/usr/bin:/bin"}
    )
    try:
        shell.sendline(
            f"PS1='>' ; fpath=({SCRIPTS} $fpath); autoload -U compinit; compinit -u -D; echo REA''DY"
        )
        shell.expect("READY")
        shell.send(typed + "\t")
        shell.expect_exact(completed)
    finally:
        shell.close(force=True)


def test_zsh_file_is_found_by_compinit() -> None:
    assert (SCRIPTS / "_mlkit").read_text().splitlines()[0] == "#compdef mlkit"


@pytest.mark.shell
def test_man_pages_are_wellformed() -> None:
    pages = sorted((SCRIPTS / "man").glob("*.1"))
    assert pages
    done = subprocess.run(
        [need("mandoc"), "-Tlint", "-Wwarning", *map(str, pages)], capture_output=True, text=True
    )
    faults = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert faults == []


def test_files_are_written_to_a_folder(mlkit: Run, tmp_path: Path) -> None:
    mlkit("completion", "all", "-o", "out")
    assert (tmp_path / "out" / "_mlkit").exists()
    assert (tmp_path / "out" / "man" / "mlkit-warm.1").exists()
    done = mlkit("completion", "man", check=False)
    assert done.returncode == 2
    assert b"-o DIR" in done.stderr
