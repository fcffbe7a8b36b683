"""The wheel as a user installs it: completions and man pages below the prefix, found by the real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlkit import manual
from tests.conftest import REPOSITORY, command_environment


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the prefix of an installed wheel (without its dependencies)."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # setuptools leaves a folder beside what it builds
    shutil.copytree(
        REPOSITORY, source, symlinks=True,
        ignore=shutil.ignore_patterns(".git", "build", "tests", "*.egg-info", "__pycache__", ".*_cache", ".venv"),
    )  # fmt: skip
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    # --ignore-installed: pip would else take away the installation that the tests run on
    done = subprocess.run(
        [*pip, "install", "--ignore-installed", "--no-deps", "--prefix", str(folder / "prefix"), str(source)],
        capture_output=True, text=True, env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
    )  # fmt: skip
    if done.returncode and "setuptools" in done.stderr and "No matching distribution" in done.stderr:
        pytest.skip("setuptools cannot be had to build a wheel")
    assert done.returncode == 0, done.stderr
    return folder / "prefix"


def shell(prefix: Path, program: str, *arguments: str) -> str:
    """Run a program that looks for its files below the prefix; nothing may stand on stderr."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    environment = {
        **command_environment(), "XDG_DATA_DIRS": f"{prefix}/share:/usr/share", "MANPATH": f"{prefix}/share/man",
        "HOME": str(prefix), "TERM": "dumb",
    }  # fmt: skip
    done = subprocess.run([found, *arguments], capture_output=True, text=True, env=environment, cwd=prefix)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_files_stand_where_they_are_looked_for(prefix: Path) -> None:
    share = prefix / "share"
    assert "complete" in (share / "bash-completion/completions/mlkit").read_text()
    assert (share / "zsh/site-functions/_mlkit").read_text().startswith("#compdef mlkit")
    assert (share / "fish/vendor_completions.d/mlkit.fish").exists()
    assert (share / "man/man1/mlkit-bleu.1").exists()
    assert {path.name for path in (share / "man/man7").iterdir()} == {
        f"mlkit-{topic}.7" for topic in manual.topics()
    }


def test_the_pages_are_in_the_package(prefix: Path) -> None:
    (package,) = prefix.rglob("site-packages/mlkit")
    assert {path.stem for path in (package / "manual").glob("*.md")} == set(manual.topics())
    (metadata,) = package.parent.glob("*.dist-info")
    assert metadata.name.startswith("mlkit_text-")
    assert not list(package.parent.glob("mlkit-*.dist-info"))


@pytest.mark.shell
def test_bash_finds_its_completion(prefix: Path) -> None:
    library = Path("/usr/share/bash-completion/bash_completion")
    if not library.exists():
        pytest.skip("bash-completion is not installed")
    loader = "if declare -F _comp_load >/dev/null; then _comp_load mlkit; else _completion_loader mlkit; fi"
    code = f". {library}; {loader} || true; complete -p mlkit"
    assert "mlkit" in shell(prefix, "bash", "--norc", "-c", code)


@pytest.mark.shell
def test_zsh_finds_its_completion(prefix: Path) -> None:
    code = f"fpath=({prefix}/share/zsh/site-functions $fpath); autoload -U compinit; compinit -u -D"
    code += "; echo $_comps[mlkit]"
    assert shell(prefix, "zsh", "-f", "-c", code).strip() == "_mlkit"


@pytest.mark.shell
def test_fish_finds_its_completion(prefix: Path) -> None:
    assert "help" in {
        line.split("\t")[0] for line in shell(prefix, "fish", "-c", "complete -C 'mlkit h'").splitlines()
    }


@pytest.mark.shell
def test_man_finds_the_pages(prefix: Path) -> None:
    for page in ("mlkit", "mlkit-bleu", "mlkit-vectors"):
        assert Path(shell(prefix, "man", "-w", page).strip()).name in (f"{page}.1", f"{page}.7")
    assert "Queries and evaluation" in shell(prefix, "man", "-P", "cat", "7", "mlkit-vectors")
