"""All kernels of mlkit, found by their files' names: for `mlkit warm` and the tests."""

from __future__ import annotations

from pathlib import Path

from mlkit.jit.decorator import Kernel


def kernel_modules() -> list[str]:
    """Return the names of all kernel modules of mlkit, sorted."""
    root = Path(__file__).parent.parent
    paths = sorted(path for path in root.rglob("kernels*.py"))
    return [".".join(("mlkit", *path.relative_to(root).with_suffix("").parts)) for path in paths]


def all_kernels() -> list[Kernel]:
    """Import every kernel module and return its kernels (for `mlkit warm` and the tests)."""
    import importlib

    found: dict[int, Kernel] = {}
    for name in kernel_modules():
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, Kernel) and value.__module__ == name:
                found[id(value)] = value
    return list(found.values())
