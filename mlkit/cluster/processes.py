"""A pool of processes on this machine: the standard library's, started anew when a worker dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from mlkit.cluster.engine import POLL, RETRIES, Engine, Tasks
from mlkit.cluster.tasks import Outcome, run_task
from mlkit.errors import MlkitError

PATIENCE = 5.0  # seconds that the pool has to notice by itself that a worker died


class ProcessEngine(Engine):
    """Workers are spawned processes; they end with this one, however it ends."""

    mapped = True

    def __init__(self, workers: int, folder: str) -> None:
        super().__init__(workers, folder)
        self._pool: ProcessPoolExecutor | None = None

    def outcomes(
        self, tasks: Tasks, notes: list[str], look: Callable[[], None]
    ) -> Iterator[tuple[int, Outcome]]:
        """Yield outcomes; a broken pool is replaced, and what it had not finished is run again."""
        left = dict(enumerate(tasks.items))
        deaths = 0
        while left:
            pool = self._pool or self._start()
            try:
                # a worker that died after its last task is noticed here
                futures = {
                    pool.submit(run_task, tasks.function, item, notes[number]): number
                    for number, item in left.items()
                }
                waiting = set(futures)
                alive = AllAlive(pool)
                while waiting:
                    done, waiting = wait(waiting, POLL, FIRST_COMPLETED)
                    for future in done:
                        outcome = future.result()
                        del left[futures[future]]
                        deaths = 0
                        yield futures[future], outcome
                    alive.check()
                    look()
            except BrokenProcessPool:
                deaths += 1
                self._stop()
                if deaths > RETRIES:
                    first = tasks.names[min(left)]
                    raise MlkitError(
                        f"workers died {deaths} times in a row, the last time at {first}",
                        hint="if they ran out of memory, use --memory or fewer --processes",
                    ) from None

    def _start(self) -> ProcessPoolExecutor:
        # spawned: a forked process would inherit threads, locks and the memory of this one
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(
            self.workers, mp_context=context, initializer=_begin, initargs=(os.getpid(),)
        )
        return self._pool

    def _stop(self) -> None:
        if self._pool is not None:
            for process in multiprocessing.active_children():
                process.kill()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def close(self, *, failed: bool = False) -> None:
        """Let the workers go; whether the job has failed or not, they have nothing left to do.

        They are killed: a pool that ends in peace waits forever for workers one of which died just then, with the lock
        in its hands that the others wait for.
        """
        self._stop()


class AllAlive:
    """Notices a lost worker that the pool itself did not notice.

    A pool that breaks while tasks are handed to it can lose the thread that watches its workers; nobody would answer.
    """

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool, self._since = pool, 0.0

    def check(self) -> None:
        """Raise `BrokenProcessPool` if a worker has been dead for seconds."""
        workers = list((getattr(self._pool, "_processes", None) or {}).values())
        if all(worker.is_alive() for worker in workers):
            self._since = 0.0
            return
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since > PATIENCE:
            raise BrokenProcessPool("a worker is gone, and nothing was said of it")


def _begin(parent: int) -> None:
    """Prepare a worker: ^C is for the parent to handle, and without the parent there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
