"""The manual's Makefile builds the whole pipeline, in parallel, with the results of single runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlkit import manual
from tests.conftest import Run, command_environment
from tests.manual.conftest import samples  # noqa: F401  (a fixture)

PAGE = manual.page("make")


@pytest.fixture
def make(tmp_path: Path, samples: Path) -> Run:  # noqa: F811
    """Return a function that runs make in a folder with the manual's Makefile and a corpus."""
    program = shutil.which("make")
    if program is None:
        pytest.skip("make is not installed")
    found = re.search(r"^```make\n(.*?)^```$", PAGE, re.M | re.S)
    assert found
    (tmp_path / "Makefile").write_text(found[1])
    for name in ("corpus.txt", "test.txt"):
        (tmp_path / name).write_bytes((samples / name).read_bytes())
    (tmp_path / "pairs.txt").write_text("value\tvalues\t9\nlist\ttuple\t7\nlist\tdate\t1\n")
    launcher = tmp_path / ".bin" / "mlkit"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlkit "$@"\n')
    launcher.chmod(0o755)
    environment = command_environment()
    environment["PATH"] = f"{launcher.parent}:{environment['PATH']}"

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.mark.shell
def test_the_makefile_of_the_readme(make: Run, mlkit: Run, tmp_path: Path) -> None:
    make("-j2")
    assert (tmp_path / "perplexity.tsv").stat().st_size
    assert "pairs.txt" in (tmp_path / "similarity.tsv").read_text()
    for target, command in {
        "words.tsv": ["bpe", "count", "corpus.txt"],
        "all.counts": ["ngram", "count", "corpus.pieces", "--order", "3"],
        "vocab.txt": ["vocab", "corpus.txt", "--min-count", "3"],
        "cooc.bin": ["cooccur", "corpus.txt", "--window", "5", "--min-count", "3"],
    }.items():
        mlkit(*command, "-o", "one")
        assert (tmp_path / target).read_bytes() == (tmp_path / "one").read_bytes(), target

    assert make("-q").returncode == 0  # nothing is left to do
    (tmp_path / "pairs.txt").touch()
    assert make().stdout.splitlines() == [
        "mlkit vectors eval vectors.txt --similarity pairs.txt > similarity.tsv"
    ]


@pytest.mark.shell
def test_a_failing_shard_stops_make_and_leaves_no_target(make: Run, tmp_path: Path) -> None:
    with open(tmp_path / "corpus.txt", "ab") as corpus:
        corpus.write(b"\xff\n")
    done = make("-j2", "vocab.txt", check=False)
    assert done.returncode == 2
    assert "mlkit vocab: corpus.txt" in done.stderr
    assert "invalid UTF-8" in done.stderr
    assert not (tmp_path / "vocab.txt").exists()
    assert not (tmp_path / "vocab-4.tsv").exists()
