"""``mlkit help``: the list, a page, a suggestion; laid out on a terminal, Markdown elsewhere; pages as man pages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlkit import manual
from tests.conftest import REPOSITORY, Run, command_environment


def test_the_list_has_every_topic(mlkit: Run) -> None:
    text = mlkit("help").stdout.decode()
    assert all(
        re.search(rf"^  {topic} +{re.escape(title)}$", text, re.M) for topic, title in manual.topics().items()
    )


def test_elsewhere_a_page_is_markdown(mlkit: Run) -> None:
    text = mlkit("help", "vectors").stdout.decode()
    assert text.startswith("# ")
    assert "```sh\nmlkit" in text
    assert "\x1b" not in text
    assert "](" not in text
    assert "<!--" not in mlkit("help", "workers").stdout.decode()


@pytest.mark.parametrize(
    ("words", "topic"), [(["cooccur"], "glove"), (["from", "gensim"], "from-gensim"), (["mlkit", "bpe"], "bpe"),
                         (["bpe", "encode"], "bpe"), (["train-w2v"], "word2vec")],
)  # fmt: skip
def test_a_command_leads_to_its_page(mlkit: Run, words: list[str], topic: str) -> None:
    assert mlkit("help", *words).stdout.decode().rstrip("\n") == manual.plain(manual.page(topic)).rstrip("\n")


@pytest.mark.parametrize(("word", "message"), [("vectros", "Did you mean 'vectors'?"), ("kenlm", "'from-kenlm'"),
                                               ("../errors", "no page"), ("", "no page")])  # fmt: skip
def test_a_misspelt_topic_gets_a_suggestion(mlkit: Run, word: str, message: str) -> None:
    done = mlkit("help", word, check=False)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("columns", [60, 80])
def test_on_a_terminal_a_page_fits_and_goes_to_the_pager(tmp_path: Path, columns: int) -> None:
    pexpect = pytest.importorskip("pexpect")
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\ncat > {tmp_path}/shown\necho PAGED\n")
    pager.chmod(0o755)
    environment = {
        **command_environment(),
        "MLKIT_PAGER": str(pager),
        "TERM": "xterm",
        "PYTHONWARNINGS": "ignore",
    }
    environment.pop("COLUMNS")
    environment.pop("NO_COLOR")
    shown = pexpect.spawn(
        sys.executable, ["-m", "mlkit", "help", "vectors"], env=environment, timeout=60, dimensions=(40, columns),
        cwd=str(REPOSITORY),
    )  # fmt: skip
    shown.expect_exact("PAGED")
    shown.expect(pexpect.EOF)
    text = (tmp_path / "shown").read_text()
    assert "\x1b[" in text
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert lines[0].startswith("Queries and evaluation")
    assert all(len(line) <= columns for line in lines if not line.startswith("    "))
    assert "    mlkit vectors nn vectors.txt value list -k 3" in lines


def test_help_of_a_command_names_its_page(mlkit: Run) -> None:
    assert "'mlkit help glove'" in mlkit("cooccur", "-h").stdout.decode()
    assert "'mlkit help bpe'" in mlkit("bpe", "-h").stdout.decode()


def test_pages_load_nothing_heavy() -> None:
    code = "import sys\nfrom mlkit.cli import run\nrun(['help', 'vectors'])\n"
    code += "print([m for m in ('numpy', 'numba', 'rich', 'yaml') if m in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=command_environment(), check=True
    )
    assert done.stderr.strip() == "[]"


def test_markdown_becomes_roff() -> None:
    page = "# A page: `mlkit x`\n\n.Text with `--an-option` and **bold**, see [that](bpe.md).\nMore.\n\n"
    page += "```sh\n.echo a\\b\n```\n\n## Part\n\n* one\n  and more\n* two\n\n"
    page += "| option | |\n|---|---|\n| `a\\|b` | c |\n"
    lines = manual.man_page("x", page, "1").split("\n")
    assert lines[2] == "mlkit\\-x \\- A page: mlkit x"
    assert (
        "\\&.Text with \\fB\\-\\-an\\-option\\fR and \\fBbold\\fR, see that (\\fBmlkit help bpe\\fR). More."
        in lines
    )
    assert "\\&.echo a\\eb" in lines
    assert [line for line in lines if line.startswith(".SH")] == [
        ".SH NAME", ".SH DESCRIPTION", '.SH "Part"', ".SH SEE ALSO",
    ]  # fmt: skip
    assert lines[lines.index('.IP "\\(bu" 4') + 1] == "one and more"
    assert lines[lines.index("\\fBa|b\\fR") + 1] == "c"


@pytest.mark.shell
def test_man_has_nothing_to_say_about_the_pages() -> None:
    program = shutil.which("mandoc")
    if program is None:
        pytest.skip("mandoc is not installed")
    pages = sorted((REPOSITORY / "completions" / "man").glob("*.7"))
    assert [path.name for path in pages] == sorted(f"mlkit-{topic}.7" for topic in manual.topics())
    done = subprocess.run(
        [program, "-T", "lint", "-W", "warning", *map(os.fspath, pages)], capture_output=True, text=True
    )
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []
