"""How many threads, and a plain pool of them over kernels that release the GIL.

Chunks are fixed by the caller, results come back in the order of the chunks: what is computed does not depend on
the number of threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from mlkit.errors import UsageError

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def available_cores() -> int:
    """Return the number of CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def thread_count(requested: int | None = None, environment: dict[str, str] | None = None) -> int:
    """Choose the number of threads: `requested` > MLKIT_THREADS > SLURM_CPUS_PER_TASK > usable CPUs.

    Raises `UsageError` for a number below 1 or a variable that is not a number.
    """
    if requested is not None:
        if requested < 1:
            raise UsageError(f"--threads must be at least 1, not {requested}")
        return requested
    values = os.environ if environment is None else environment
    for name in ("MLKIT_THREADS", "SLURM_CPUS_PER_TASK"):
        text = values.get(name, "").strip()
        if text:
            if not text.isdigit() or int(text) < 1:
                raise UsageError(f"{name} must be a number of threads from 1 on, not {text!r}")
            return int(text)
    return available_cores()


def map_chunks(
    function: Callable[[Chunk], Result], chunks: Iterable[Chunk], threads: int
) -> Iterator[Result]:
    """Yield function(chunk) for every chunk, in order, with at most 2 * `threads` chunks in flight.

    The bound keeps memory flat when `chunks` is a generator over a large file.
    """
    if threads <= 1:
        yield from map(function, chunks)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for chunk in chunks:
                waiting.append(pool.submit(function, chunk))
                if len(waiting) >= 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def run_together(functions: Iterable[Callable[[], Result]]) -> list[Result]:
    """Run a few long functions at the same time, one thread each; return their results in order."""
    jobs = list(functions)
    if len(jobs) == 1:
        return [jobs[0]()]
    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def blas_threads(threads: int) -> AbstractContextManager[Any]:
    """Limit numpy's BLAS to `threads` threads inside a with block."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(threads)
    return limits
