"""The house's doors: who may import whom, what stays light, what must not be there."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlkit.cli.registry import COMMANDS
from tests.conftest import REPOSITORY, command_environment

PACKAGE = REPOSITORY / "mlkit"
SOURCES = sorted(PACKAGE.rglob("*.py"))
KERNELS = [path for path in SOURCES if path.stem.startswith("kernels")]
FOUNDATION = {
    "errors", "version", "exports", "threads", "signals", "checkpoint", "progress", "memory", "arrays", "range_test",
    "jit",
}  # fmt: skip
# rooms that build on another room, as the field does; by its public modules
ROOM_DOORS = {
    "demo": set(),
    "corpus": set(),
    "linear": {"tables"},
    "trees": {"tables", "linear", "plots", "cluster"},
    "stacking": {"tables", "trees", "linear", "nets"},
    "nets": {"tables", "fasttext"},
    "lr_find": {"plots"},
    "vectors": {"plots"},
    "alignment": {"vectors"},
    "word2vec": {"corpus", "vectors", "cluster"},
    "glove": {"corpus", "cluster"},
    "fasttext": {"corpus", "vectors", "word2vec", "cluster", "tables"},
    "ngram": {"corpus", "cluster"},
    "bpe": {"cluster"},
    "clustering": {"tables", "plots"},
    "distributions": {"tables", "trees", "ngram"},
}
HEAVY = ("numpy", "numba", "llvmlite", "tokenizers", "polars", "yaml", "rich", "scipy", "matplotlib")


def imports_of(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Yield (module, line, at the top of the module) for each import; TYPE_CHECKING blocks do not count."""
    tree = ast.parse(path.read_text())
    hidden = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    top = set(tree.body)
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, node in top
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno, node in top


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_use_the_doors(path: Path) -> None:
    inside = path.relative_to(PACKAGE).with_suffix("").parts
    room = inside[0]
    faults = []
    for module, line, _ in imports_of(path):
        if not module.startswith("mlkit.") and module != "mlkit":
            continue
        other = room_of(module)
        if path.stem.startswith("kernels"):
            allowed = other == "jit"
        elif len(inside) == 1:  # the foundation, at the package's top
            allowed = other in FOUNDATION | {"formats", "cli", "__version__"}
            allowed = allowed and (other != "cli" or room == "__main__")
        elif room == "cli":
            allowed = True
        elif room == "formats":
            allowed = other in FOUNDATION | {"formats"}
        else:
            allowed = other in FOUNDATION | {"formats", room} | ROOM_DOORS.get(room, set())
        if not allowed:
            faults.append(f"{path.relative_to(REPOSITORY)}:{line} imports {module}")
    assert not faults


def circle_among(edges: dict[str, set[str]]) -> list[str]:
    """Return the files of one circle of imports, or nothing."""
    state: dict[str, int] = {}

    def visit(name: str, trail: list[str]) -> list[str]:
        state[name] = 1
        for other in sorted(edges.get(name, ())):
            if state.get(other) == 1:
                return [*trail[trail.index(other) :], other]
            if other not in state and (circle := visit(other, [*trail, other])):
                return circle
        state[name] = 2
        return []

    for name in sorted(edges):
        if name not in state and (circle := visit(name, [name])):
            return circle
    return []


def test_no_circle_of_files() -> None:
    """Imports inside functions count: a file that needs another at run time stands above it."""
    names = {".".join(("mlkit", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in SOURCES}
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    edges: dict[str, set[str]] = {}
    for name, path in names.items():
        targets = set()
        for module, _, _ in imports_of(path):
            found = module if module in names else module.rpartition(".")[0]
            if found in names and found != name:
                targets.add(found)
        edges[name] = targets
    assert circle_among(edges) == []


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_kernels_import_numpy_math_and_the_compiler_only(path: Path) -> None:
    others = {
        module.split(".")[0]
        for module, _, _ in imports_of(path)
        if not module.startswith(("mlkit.jit", "mlkit.jit.vectors", "mlkit.jit.memory"))
    }
    assert others <= {"numpy", "math", "__future__"}
    text = path.read_text()
    assert "# mypy: ignore-errors" in text, "kernels are typed by their signatures: say so to mypy"
    for banned in ("prange", "parallel=True", "fastmath=True"):
        assert banned not in text


def test_only_the_compiler_files_name_numba() -> None:
    named = {
        path.relative_to(PACKAGE).parts[0]
        for path in SOURCES
        for module, _, _ in imports_of(path)
        if module.split(".")[0] in ("numba", "llvmlite")
    }
    assert named <= {"jit"}


def test_command_modules_are_light_at_the_top() -> None:
    faults = [
        f"{path.name}:{line} {module}"
        for path in sorted((PACKAGE / "cli").rglob("*.py"))
        for module, line, top in imports_of(path)
        if top and path.stem != "progress_bar" and module.split(".")[0] in HEAVY
    ]
    assert not faults


def test_nothing_is_pickled_and_rooms_do_not_print() -> None:
    faults = []
    for path in SOURCES:
        for module, line, _ in imports_of(path):
            if module.split(".")[0] in ("pickle", "joblib", "shelve", "marshal"):
                faults.append(f"{path.name}:{line} {module}")
        if path.relative_to(PACKAGE).parts[0] != "cli":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
                    faults.append(f"{path.name}:{node.lineno} prints")
    assert not faults


def test_options_can_be_followed() -> None:
    """A command passes its options on by name: no snapshot of its locals that grep and the type checker cannot see."""
    sources = sorted((PACKAGE / "cli").rglob("*.py"))
    assert [str(path) for path in sources if "locals()" in path.read_text()] == []


def test_files_are_small() -> None:
    large = {str(path.relative_to(PACKAGE)): path.read_text().count("\n") for path in SOURCES}
    assert {name: lines for name, lines in large.items() if lines > 600} == {}


def test_the_top_level_stays() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True)
    if tracked.returncode or not tracked.stdout:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in tracked.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} == {
        "pyproject.toml", "mlkit", "tests", "completions", "README.md",
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *[[name, "--help"] for name in COMMANDS]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import json, sys\nfrom mlkit.cli import run\ncode = run(sys.argv[1:])\n"
        f"print('LOADED', json.dumps([m for m in {HEAVY!r} if m in sys.modules]))\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=command_environment()
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.rsplit("LOADED ", 1)[1]) == []
