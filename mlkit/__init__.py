"""mlkit: classical NLP and machine learning as one composable command.

Everything the command line does can be imported: ``mlkit.vectors``, ``mlkit.metrics``, ... are loaded
when they are first named (PEP 562), so ``import mlkit`` itself loads nothing heavy.
"""

from __future__ import annotations

from types import ModuleType

from mlkit.version import __version__

ROOMS = (
    "alignment",
    "batch",
    "bpe",
    "cluster",
    "clustering",
    "corpus",
    "demo",
    "distributions",
    "fasttext",
    "formats",
    "glove",
    "jit",
    "linear",
    "lr_find",
    "manual",
    "metrics",
    "nets",
    "ngram",
    "plots",
    "stacking",
    "tables",
    "trees",
    "vectors",
    "word2vec",
)

__all__ = ["ROOMS", "__version__"]


def __getattr__(name: str) -> ModuleType:
    if name in ROOMS:
        import importlib

        return importlib.import_module(f"mlkit.{name}")
    raise AttributeError(f"module 'mlkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *ROOMS])
