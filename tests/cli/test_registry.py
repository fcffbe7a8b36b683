"""The command tree: every command loads, is described alike everywhere, and has an example."""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlkit import manual
from mlkit.cli import completions, other_tools, registry
from mlkit.cli.registry import COMMANDS, Deferred, loaded_tree
from tests.conftest import REPOSITORY, Run, command_environment

TREE = loaded_tree()
FRESH = completions.files("all")
LEAVES = {path: command for path, command in TREE.items() if not getattr(command, "commands", None)}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_registry_says_what_the_module_says(name: str) -> None:
    command = Deferred(name, COMMANDS[name]).load()
    first = (command.help or "").strip().splitlines()[0]
    assert first == COMMANDS[name].help
    assert first.endswith(".")


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_an_example_and_every_option_help(path: tuple[str, ...]) -> None:
    command = LEAVES[path]
    assert "Example" in command.help
    assert "mlkit " + " ".join(path[:1]) in command.help
    missing = [
        parameter.name
        for parameter in command.params
        if not (parameter.help or getattr(parameter, "hidden", False))
    ]
    assert missing == []


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_the_first_sentence_fits_a_listing(path: tuple[str, ...]) -> None:
    assert not LEAVES[path].get_short_help_str(80).endswith("...")


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_options_do_not_collide(path: tuple[str, ...]) -> None:
    names = [
        name for parameter in LEAVES[path].params for name in (*parameter.opts, *parameter.secondary_opts)
    ]
    assert sorted(names) == sorted(set(names))


def test_help_shows_commands_in_panels(mlkit: Run) -> None:
    text = mlkit("--help").stdout.decode()
    panels = {entry.panel for entry in COMMANDS.values()}
    assert all(f"{panel}:" in text for panel in panels)
    assert all(re.search(rf"^  {name} ", text, re.M) for name in COMMANDS)
    assert mlkit("-h").stdout.decode() == text


def test_the_readme_names_every_command() -> None:
    """Or it leads to the page that is about it."""
    text = (REPOSITORY / "README.md").read_text()
    lacking = [name for name in COMMANDS if f"mlkit {name}" not in text]
    assert [name for name in lacking if f"manual/{manual.topic_of(name)}.md" not in text] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["warn"], "mlkit: No such command 'warn'. Did you mean 'warm'?"),
        (["warm", "--quit"], "mlkit warm: No such option: --quit"),
        (["completion"], "mlkit completion: Missing argument"),
        (["completion", "csh"], "mlkit completion: Invalid value"),
    ],
)
def test_misspelt_calls_get_one_line_and_a_suggestion(mlkit: Run, arguments: list[str], message: str) -> None:
    done = mlkit(*arguments, check=False)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.decode().startswith(message)
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "command"),
    [(["lmplz"], "ngram train"), (["word2vec"], "train-w2v"), (["bpe", "apply"], "bpe encode")],
)
def test_names_of_other_tools_lead_to_ours(mlkit: Run, arguments: list[str], command: str) -> None:
    done = mlkit(*arguments, check=False)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[1].strip() == f"see 'mlkit {command}'"


def test_commands_that_other_names_lead_to_exist() -> None:
    tree = loaded_tree()
    commands = [command for command in other_tools.OURS if not command.startswith("--")]
    assert [command for command in commands if tuple(command.split()) not in tree] == []
    names = [name for names in other_tools.OURS.values() for name in names.split()]
    assert len(names) == len(set(names))
    assert not set(names) & set(COMMANDS)


def test_no_command_at_all_shows_help_on_stderr(mlkit: Run) -> None:
    done = mlkit(check=False)
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"Usage: mlkit" in done.stderr


@pytest.mark.parametrize("name", sorted(FRESH))
def test_committed_completions_are_current(name: str) -> None:
    committed = REPOSITORY / "completions" / name
    fresh = FRESH[name]
    assert committed.exists(), "run 'mlkit completion all -o completions'"
    difference = "\n".join(
        difflib.unified_diff(committed.read_text().splitlines(), fresh.splitlines(), lineterm="", n=0)
    )
    assert not difference, "run 'mlkit completion all -o completions'"


def test_no_stale_page_is_committed() -> None:
    folder = REPOSITORY / "completions"
    present = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    assert present == set(FRESH)


def test_typers_inner_classes_are_what_we_built_on() -> None:
    assert registry.UsageFault.__name__ == "UsageError"
    assert registry.ClickFault.__name__ == "ClickException"


def test_python_minus_m_is_the_same_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlkit", "--version"], capture_output=True, text=True, cwd=tmp_path,
        env=command_environment(),
    )  # fmt: skip
    assert re.fullmatch(r"mlkit \d+\.\d+\.\d+\n", done.stdout)
