"""Workers of dask.distributed: of this machine, of a running scheduler, or started by Slurm through dask-jobqueue."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from mlkit.cluster.engine import POLL, RETRIES, Engine, Tasks
from mlkit.cluster.tasks import Outcome, run_task
from mlkit.errors import DataError, MissingExtra, MlkitError, UsageError

PATIENCE = 30.0  # seconds to reach a scheduler


class DaskEngine(Engine):
    """Tasks as futures of a Dask client; the scheduler runs the tasks of a lost worker again."""

    def __init__(self, client: Any, cluster: Any, workers: int, folder: str, *, local: bool) -> None:
        import distributed

        super().__init__(workers, folder)
        self.local = local
        self._wait: Any = distributed.wait
        self._client, self._cluster = client, cluster

    def outcomes(
        self, tasks: Tasks, notes: list[str], look: Callable[[], None]
    ) -> Iterator[tuple[int, Outcome]]:
        """Yield outcomes as they arrive."""
        from distributed import TimeoutError as DaskTimeout

        futures = self._client.map(
            run_task, [tasks.function] * len(tasks.items), tasks.items, notes, pure=False, retries=RETRIES
        )
        waiting = dict(enumerate(futures))
        while waiting:
            try:
                self._wait(list(waiting.values()), timeout=POLL, return_when="FIRST_COMPLETED")
            except (DaskTimeout, TimeoutError):
                look()
                self._check()
                continue
            except CancelledError:
                raise connection_lost() from None
            for number, future in list(waiting.items()):
                if future.done():
                    del waiting[number]
                    yield number, self._outcome(future, tasks.names[number])
            look()

    def _outcome(self, future: Any, name: str) -> Outcome:
        from distributed import KilledWorker

        try:
            outcome: Outcome = future.result()
        except KilledWorker:
            raise MlkitError(
                f"workers died again and again ({name})",
                hint="if they ran out of memory, use --memory or workers with more of it",
            ) from None
        except ModuleNotFoundError as error:
            raise MlkitError(
                f"the workers cannot import mlkit ({error})", hint="install the same mlkit on all machines"
            ) from None
        except CancelledError:
            raise connection_lost() from None
        except Exception as error:  # of Dask itself: an unreadable message
            raise MlkitError(f"the cluster failed: {error} ({name})") from None
        return outcome

    def _check(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise connection_lost()

    def close(self, *, failed: bool = False) -> None:
        """Cancel what runs and let the workers go."""
        for thing in (self._client, self._cluster):
            if thing is not None:
                try:
                    thing.close(timeout=2 if failed else 20)
                except Exception:
                    pass  # a cluster that is gone need not be closed


def connection_lost() -> MlkitError:
    """Return what a client has to say whose scheduler is gone."""
    return MlkitError("the connection to the scheduler is lost", hint="run the job again")


def dask_engine(kind: str, cluster: str, folder: str) -> DaskEngine:
    """Return the engine for ``local:N``, ``tcp://HOST:PORT`` or ``slurm:FILE.yaml``."""
    # workers are processes of their own: they learn by the environment not to log
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")
    # the profiler of a worker looks at its stack every ten milliseconds, for a dashboard that is not there
    os.environ.setdefault("DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED", "False")
    try:
        import dask
        import distributed
    except ModuleNotFoundError:
        raise MissingExtra("--cluster", "Dask", "dask[distributed]", "dask-jobqueue") from None
    for name in ("distributed", "distributed.client"):  # the client's has a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # without it, the scheduler leaves a folder in /tmp
    dask.config.set(_settings() | {"temporary-directory": folder})
    if kind == "local":
        return _local(distributed, cluster, folder)
    if kind == "slurm":
        return _slurm(distributed, cluster, folder)
    try:
        client = distributed.Client(cluster, timeout=PATIENCE)
    except (OSError, ValueError, TimeoutError):
        raise MlkitError(f"no Dask scheduler answers at {cluster}") from None
    workers = len(client.scheduler_info(n_workers=-1)["workers"])
    return DaskEngine(client, None, max(workers, 1), folder, local=False)


def _settings() -> dict[str, Any]:
    """Return what workers of ours do otherwise than Dask's.

    Dask would have them give every freed page back at once, which costs a quarter of the time; and look at their event
    loops fifty times, at their disks twice a second, for a dashboard that is not there.
    """
    one = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return {
        "distributed.nanny.pre-spawn-environ": one, "distributed.comm.timeouts.connect": f"{PATIENCE:.0f}s",
        "distributed.admin.tick.limit": "1h", "distributed.admin.tick.interval": "1h",
        "distributed.admin.tick.cycle": "1h", "distributed.admin.system-monitor.interval": "10s",
        "distributed.admin.system-monitor.disk": False, "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.client.scheduler-info-interval": "10s", "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }  # fmt: skip


def _local(distributed: Any, cluster: str, folder: str) -> DaskEngine:
    from mlkit.threads import available_cores

    text = cluster.partition(":")[2] or str(available_cores())
    if not text.isdigit() or int(text) < 1:
        raise UsageError(f"--cluster local:N takes a number of workers, not {text!r}")
    settings = {
        "n_workers": int(text), "threads_per_worker": 1, "processes": True, "memory_limit": 0,
        "dashboard_address": None, "silence_logs": logging.CRITICAL, "local_directory": folder,
        "preload": "mlkit.cluster.preload",
        # any free port: several jobs share a machine
        "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"},
    }  # fmt: skip
    for attempt in range(RETRIES + 1):
        try:
            made = distributed.LocalCluster(**settings)
            break
        except RuntimeError as error:  # a worker died while it was starting
            if attempt == RETRIES:
                raise MlkitError(f"Dask's workers do not start: {error}") from None
    # a worker that dies while it is being replaced is replaced, too
    made.adapt(minimum=int(text), maximum=int(text))
    client = distributed.Client(made)
    return DaskEngine(client, made, int(text), folder, local=True)


def _slurm(distributed: Any, cluster: str, folder: str) -> DaskEngine:
    path = cluster.partition(":")[2]
    settings, workers = slurm_settings(path)
    try:
        from dask_jobqueue import SLURMCluster
    except ModuleNotFoundError:
        raise MissingExtra("--cluster slurm:", "dask-jobqueue") from None
    try:
        made = SLURMCluster(**settings)
    except (TypeError, ValueError) as error:
        raise DataError(str(error).splitlines()[0], path=path) from None
    made.adapt(minimum=workers, maximum=workers)  # a job that is lost is submitted again
    client = distributed.Client(made)
    return DaskEngine(client, made, workers, folder, local=False)


def slurm_settings(path: str) -> tuple[dict[str, Any], int]:
    """Read the settings of dask-jobqueue's SLURMCluster from YAML, and our own key `workers`.

    Raises `DataError` for a file that is no mapping, has no `workers`, or lacks `cores` or `memory`.
    """
    import yaml

    try:
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise DataError("is not YAML", path=path, line=None if mark is None else mark.line + 1) from None
    if not isinstance(settings, dict):
        raise DataError("is not a mapping of settings", path=path, hint="such as 'cores: 4'")
    workers = settings.pop("workers", None)
    if not isinstance(workers, int) or workers < 1:
        raise DataError("must say how many 'workers' to start", path=path, hint="such as 'workers: 8'")
    missing = [name for name in ("cores", "memory") if name not in settings]
    if missing:
        raise DataError(f"must say the {' and '.join(missing)} of a worker's job", path=path)
    return settings, workers
