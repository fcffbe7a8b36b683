"""Where compiled kernels are kept, and whether they are: the command's choice, and numba's variables.

Libraries that import mlkit get plain numba with its own cache; the command line asks for the user's cache directory.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlkit.version import __version__

_wanted = False
_announce: Callable[[str], None] | None = None
_announced = False


def jit_disabled() -> bool:
    """Say whether NUMBA_DISABLE_JIT asks for plain Python kernels."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def use_command_cache(announce: Callable[[str], None] | None = None) -> None:
    """Keep compiled kernels in the user's cache directory; the command line calls this, libraries do not.

    `announce` is called once, before the first compilation that the cache cannot spare us.
    """
    global _wanted, _announce
    _wanted = True
    _announce = announce


def cache_wanted() -> bool:
    """Say whether the command's own cache is in use."""
    return _wanted


def cache_directory() -> Path:
    """Return the kernel cache of this kind of CPU and this version of mlkit.

    Nodes of a cluster share a home but not a CPU: the processor's flags are part of the name.
    """
    import hashlib
    import platform

    base = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    digest = hashlib.sha1(flags.encode()).hexdigest()[:12]
    return base / "mlkit" / "numba" / f"{platform.machine()}-{digest}-{__version__}"


def import_numba() -> Any:
    """Import numba, with the command's cache directory set before it reads its configuration."""
    if _wanted and "NUMBA_CACHE_DIR" not in os.environ:
        os.environ["NUMBA_CACHE_DIR"] = str(cache_directory())
    import numba

    return numba


@functools.cache
def object_folder() -> Path:
    """Return the folder of the kernels' object code."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or cache_directory()) / "objects"


@functools.cache
def source_text(path: Path) -> str:
    """Return a source file's text, read once."""
    return path.read_text()


def announce_compilation(dispatcher: Any) -> None:
    """Say once that kernels are compiled, if numba's cache does not hold this one."""
    global _announced
    if _announce is None or _announced:
        return
    index = getattr(getattr(dispatcher._cache, "_cache_file", None), "_index_path", None)
    if index is not None and not Path(index).exists():
        _announced = True
        _announce("compiling kernels for this machine, once ('mlkit warm' does it ahead of time)")
