"""The code blocks of the README and of the manual's pages run as they stand, on the demonstration's sample files."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlkit import manual
from mlkit.cli.registry import COMMANDS, loaded_tree
from tests.conftest import REPOSITORY, Run, command_environment

README = (REPOSITORY / "README.md").read_text() if (REPOSITORY / "README.md").exists() else ""
PAGES = {"README": README, **{topic: manual.page(topic) for topic in manual.topics()}}
SET_UP = re.compile(r"^<!-- (demo|test) -->\n```sh\n.*?^```$", re.M | re.S)
LINES_AT_ONCE = 8  # of commands in one test: with xdist the pages spread over its workers


def chunks() -> Iterator[tuple[str, str, list[str]]]:
    """Yield (page, heading of the first block, blocks): some blocks of a page that run one after another."""
    for topic, text in PAGES.items():
        chosen: list[str] = []
        first = ""
        for heading, code in manual.blocks(SET_UP.sub("", text)):
            first = first or heading
            chosen.append(code)
            if sum(block.count("\n") for block in chosen) >= LINES_AT_ONCE:
                yield topic, first, chosen
                chosen, first = [], ""
        if chosen:
            yield topic, first, chosen


CHUNKS = list(chunks())


def run_block(code: str, folder: Path, samples: Path) -> None:
    """Run a block in a folder that holds the samples and nothing else: nothing may go wrong."""
    folder.mkdir()
    for path in samples.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    launcher = folder / ".bin" / "mlkit"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlkit "$@"\n')
    launcher.chmod(0o755)
    environment = command_environment()
    environment["PATH"] = f"{launcher.parent}:{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )  # fmt: skip
    closed = done.returncode == 141 and "| head" in code  # the reader had enough
    assert done.returncode == 0 or closed, f"{code}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("topic", "heading", "codes"),
    CHUNKS,
    ids=[
        f"{topic}-{number}-{re.sub('[^a-zA-Z0-9]+', '-', heading).strip('-')}"
        for number, (topic, heading, _) in enumerate(CHUNKS)
    ],
)
def test_blocks_run(topic: str, heading: str, codes: list[str], samples: Path, tmp_path: Path) -> None:
    for number, code in enumerate(codes):
        run_block(code, tmp_path / str(number), samples)


def test_set_up_commands_are_marked_for_ci() -> None:
    assert SET_UP.findall(README) == ["demo", "test"]


def test_the_readme_is_short() -> None:
    assert README.count("\n") <= 250


@pytest.mark.parametrize("topic", PAGES)
def test_links_lead_somewhere(topic: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", PAGES[topic], flags=re.M | re.S)
    folder = REPOSITORY if topic == "README" else REPOSITORY / "mlkit" / "manual"
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        name, _, anchor = target.partition("#")
        if target.startswith("http"):
            continue
        assert name == "" or (folder / name).exists(), target
        if anchor:
            text = prose if name == "" else (folder / name).read_text()
            headings = re.findall(r"^#+ (.+)$", text, re.M)
            assert anchor in {
                re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
            }


@pytest.mark.parametrize("topic", manual.topics())
def test_a_page_begins_with_its_title(topic: str) -> None:
    text = manual.page(topic)
    assert re.match(r"# \S.*\n\n\S", text), "the first line is '# Title', then an empty line, then text"
    assert text.count("\n```") % 2 == 0


def visible_commands() -> Iterator[tuple[str, Any]]:
    """Yield each command that help shows with its path: ``bpe encode``."""
    hidden: set[tuple[str, ...]] = set()
    for path, command in loaded_tree().items():
        if command.hidden or path[:-1] in hidden:
            hidden.add(path)
        elif path:
            yield " ".join(path), command


def test_every_command_and_option_is_named_on_some_page() -> None:
    text = "\n".join(PAGES.values())
    named = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", text))
    commands, options = [], set()
    for path, command in visible_commands():
        first, *others = path.split()
        page = manual.page(manual.topic_of(first) or "") if manual.topic_of(first) else README
        if f"mlkit {first}" not in text or not set(others) <= set(re.findall(r"[\w-]+", page)):
            commands.append(path)
        for parameter in command.params:
            names = {*parameter.opts, *parameter.secondary_opts}
            if parameter.param_type_name == "option" and not parameter.hidden and not names & named:
                options.add(f"{path} {max(names, key=len)}")
    assert (commands, sorted(options)) == ([], []), "name them on a page of mlkit/manual"


def test_every_command_has_a_page() -> None:
    assert {name: manual.topic_of(name) for name in COMMANDS if manual.topic_of(name) is None} == {}
    assert manual.topic_of("cooccur") == "glove"
    assert manual.topic_of("bag") == "trees"
    assert manual.topic_of("nothing-such") is None


def test_files_only_makes_the_samples(mlkit: Run, samples: Path, tmp_path: Path) -> None:
    mlkit("demo", "--files-only", "-o", "here", "-q")
    made = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert made == {path.name: path.read_bytes() for path in samples.iterdir()}
    again = mlkit("demo", "--files-only", "-o", "here", check=False)
    assert again.returncode == 2
    assert b"exists" in again.stderr
