"""What Dask runs at the start of a worker process of this machine: ^C is for the client to handle."""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Ignore SIGINT: a terminal sends it to all processes, and the client ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
