"""Groups of options: spread over the command line, given back as dataclasses."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from mlkit.cli.option_groups import changed, spread


@dataclass(frozen=True)
class Size:
    """A group."""

    width: Annotated[int, typer.Option("--width")] = 3
    min_height: Annotated[int | None, typer.Option("--min-height")] = None


seen: list[object] = []


@spread
def draw(name: str, size: Size, seed: int = 1) -> None:
    """Draw."""
    seen.append((name, size, seed))


def test_fields_stand_at_the_place_of_their_group() -> None:
    parameters = inspect.signature(draw).parameters
    assert list(parameters) == ["name", "width", "min_height", "seed"]
    assert parameters["width"].default == 3
    assert parameters["name"].default is inspect.Parameter.empty
    assert draw.__doc__ == "Draw."


def test_the_command_gets_the_group() -> None:
    draw(name="a", width=4, min_height=None, seed=2)
    assert seen.pop() == ("a", Size(4), 2)
    with pytest.raises(KeyError):
        draw(name="a")


def test_changed_names_flags() -> None:
    assert changed(Size()) == []
    assert changed(Size(min_height=2)) == ["--min-height"]
