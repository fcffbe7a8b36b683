"""What this process occupies: a bound of memory is for the whole process, whoever brought what is in it."""

from __future__ import annotations

import mmap
import resource
import sys


def resident() -> int:
    """Return the bytes of memory that this process has now (where the system does not say: had at most)."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
