"""Completions in the real shells: TAB for every command, after every kind of option, and not a byte on stderr."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from mlkit.cli.command_tree import Node, shell_nodes
from tests.conftest import REPOSITORY, Run

SCRIPTS = REPOSITORY / "completions"
NODES = shell_nodes()


def need(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a file.txt").touch()
    (tmp_path / "sub").mkdir()
    return tmp_path


def expected_answers(node: Node) -> list[tuple[list[str], set[str]]]:
    """Return what TAB must offer, at least, after these words: the last one is being typed."""
    typed = ["mlkit", *node.path]
    names = {name for name, _ in node.children} | set(node.words)
    asked: list[tuple[list[str], set[str]]] = [([*typed, ""], names)]
    if node.files:
        asked.append(([*typed, "a"], {"a file.txt"}))
    for kind in ("file", "folder", "choice", "other"):
        flag = next((flag for flag in node.flags if flag.value == kind), None)
        if flag is None:
            continue
        name = max(flag.names, key=len)
        asked.append(([*typed, name[:-1]], {name}))
        found = {
            "file": {"a file.txt", "sub"},
            "folder": {"sub"},
            "choice": set(flag.choices),
            "other": set(),
        }
        asked.append(([*typed, name, ""], found[kind]))
        if kind == "choice":
            asked.append(([*typed, f"{name}="], set(flag.choices)))
    return asked


QUESTIONS = [(words, answer) for node in NODES for words, answer in expected_answers(node)]


@pytest.mark.shell
def test_bash(folder: Path) -> None:
    asks = []
    for words, _ in QUESTIONS:
        # readline parts words at "="
        parts = [*words[:-1], words[-1][:-1], "="] if words[-1].endswith("=") else words
        line = " ".join(f"'{part}'" for part in parts)
        asks.append(f"COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _mlkit; answer")
    script = (
        f"source {SCRIPTS}/mlkit.bash\nanswer() {{ local IFS='|'; echo \"${{COMPREPLY[*]}}\"; }}\n"
        + "\n".join(asks)
    )
    done = subprocess.run([need("bash"), "--norc"], input=script, capture_output=True, text=True, cwd=folder)
    assert done.stderr == ""
    answers = done.stdout.splitlines()
    assert len(answers) == len(QUESTIONS)
    faults = [
        (words, expected, answer)
        for (words, expected), answer in zip(QUESTIONS, answers, strict=True)
        if not expected <= set(answer.split("|"))
        or (words[-1] == "" and any(word.startswith("-") for word in answer.split("|")))
    ]
    assert faults == []


@pytest.mark.shell
def test_fish(folder: Path) -> None:
    lines = []
    for words, _ in QUESTIONS:
        line = " ".join(words).replace("'", "\\'")
        lines.append(f"echo QUESTION; complete -C '{line}'")
    script = f"source {SCRIPTS}/mlkit.fish\n" + "\n".join(lines)
    done = subprocess.run(
        [need("fish"), "--no-config"], input=script, capture_output=True, text=True, cwd=folder
    )
    assert done.stderr == ""
    answers = done.stdout.split("QUESTION\n")[1:]
    assert len(answers) == len(QUESTIONS)
    faults = []
    for (words, expected), answer in zip(QUESTIONS, answers, strict=True):
        offered = {
            row.split("\t")[0].rpartition("=")[2].replace("\\ ", " ").rstrip("/")
            for row in answer.splitlines()
        }
        if not expected <= offered:
            faults.append((words, expected - offered, sorted(offered)[:5]))
    assert faults == []


@pytest.mark.shell
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("mlkit war", "mlkit warm "),
        ("mlkit completion --ou", "--output"),
        ("mlkit completion fi", "fish "),
        ("mlkit train-w2v -o a", "a\\ file.txt "),
        ("mlkit ngram train --smoothing=lap", "--smoothing=laplace "),
        ("mlkit vocab --min-c", "ount="),
        ("mlkit lr-find train-w2v --di", "--di"),
    ],
)
def test_zsh_at_the_first_tab(typed: str, completed: str, folder: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    shell = pexpect.spawn(
        need("zsh"), ["-f"], encoding="utf-8", timeout=20, cwd=str(folder),
        env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    try:
        shell.sendline(
            f"PS1='>' ; fpath=({SCRIPTS} $fpath); autoload -U compinit; compinit -u -D; echo REA''DY"
        )
        shell.expect("READY")
        shell.send(typed + "\t")
        shell.expect_exact(completed)
    finally:
        shell.close(force=True)


@pytest.mark.shell
def test_zsh_has_no_fault_of_syntax() -> None:
    done = subprocess.run([need("zsh"), "-n", str(SCRIPTS / "_mlkit")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_zsh_file_is_found_by_compinit() -> None:
    assert (SCRIPTS / "_mlkit").read_text().splitlines()[0] == "#compdef mlkit"


@pytest.mark.shell
def test_man_pages_are_wellformed() -> None:
    pages = sorted((SCRIPTS / "man").glob("*.[17]"))
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
