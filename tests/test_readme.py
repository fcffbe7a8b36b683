"""README's code blocks run as they stand; its set-up commands are what CI uses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlkit.demo.text import docstrings, sentences_of
from tests.conftest import REPOSITORY, command_environment

README = (REPOSITORY / "README.md").read_text() if (REPOSITORY / "README.md").exists() else ""
BLOCK = re.compile(r"^(?P<mark><!-- (?:demo|test) -->\n)?```sh\n(?P<code>.*?)^```$", re.M | re.S)


def blocks() -> list[tuple[str, str]]:
    """Return (heading, code) of every block that is to run: all but the two set-up commands."""
    found = []
    for match in BLOCK.finditer(README):
        headings = re.findall(r"^##? (.+)$", README[: match.start()], re.M)
        if not match["mark"]:
            found.append((headings[-1] if headings else "top", match["code"]))
    return found


BLOCKS = blocks()
NAMES = [f"{number}-{heading.strip('`').replace(' ', '-')}" for number, (heading, _) in enumerate(BLOCKS)]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the small files that README's examples name."""
    folder = tmp_path_factory.mktemp("readme")
    library = Path(subprocess.__file__).parent
    modules = (
        "argparse",
        "subprocess",
        "logging/__init__",
        "statistics",
        "typing",
        "datetime",
        "pathlib",
        "random",
    )
    sentences = [
        sentence
        for module in modules
        if (library / f"{module}.py").exists()
        for text in docstrings(library / f"{module}.py")
        for sentence in sentences_of(text)
    ]
    (folder / "corpus.txt").write_text("\n".join(sentences[100:]) + "\n")
    (folder / "test.txt").write_text("\n".join(sentences[:100]) + "\n")
    references = sentences[:60]
    hypotheses = [
        " ".join(word for position, word in enumerate(text.split()) if position % 7 != 3)
        for text in references
    ]
    (folder / "ref.txt").write_text("\n".join(references) + "\n")
    (folder / "hyp.txt").write_text("\n".join(hypotheses) + "\n")
    rows = ["age,city,hours,income"]
    for number in range(400):
        age, hours = 18 + number * 7 % 50, 10 + number * 13 % 45
        city = ("Bern", "Oslo", "Rome")[number * 5 % 3]
        rows.append(f"{age},{city},{hours},{'high' if age + hours + 9 * (city == 'Oslo') > 78 else 'low'}")
    (folder / "train.csv").write_text("\n".join([rows[0], *rows[101:]]) + "\n")
    (folder / "test.csv").write_text("\n".join(rows[:101]) + "\n")
    return folder


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("heading", "code"), BLOCKS, ids=NAMES)
def test_block_runs(heading: str, code: str, texts: Path, tmp_path: Path) -> None:
    for path in texts.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    launcher = tmp_path / ".bin" / "mlkit"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlkit "$@"\n')
    launcher.chmod(0o755)
    environment = command_environment()
    environment["PATH"] = f"{launcher.parent}:{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, f"{code}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def test_set_up_commands_are_marked_for_ci() -> None:
    marks = [match["mark"].strip() for match in BLOCK.finditer(README) if match["mark"]]
    assert marks == ["<!-- demo -->", "<!-- test -->"]


def test_links_lead_somewhere() -> None:
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.M | re.S)
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", prose, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", prose):
        if target.startswith("#"):
            assert target[1:] in headings
        elif not target.startswith("http"):
            assert (REPOSITORY / target).exists()
