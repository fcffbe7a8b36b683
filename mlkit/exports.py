"""What a room offers, loaded when it is first named: its ``__init__`` costs nothing and draws no circle of imports."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def on_demand(
    package: str, names: Mapping[str, str]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__all__``, ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    names: the public names by module of the package, "module" or, where it has another name there, "module:name".
    """

    def load(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, own = names[name].partition(":")
        return getattr(importlib.import_module(f"{package}.{module}"), own or name)

    return sorted(names), load, lambda: sorted(names)
