"""Start workers: the engine that the options ask for, and the folder that the workers share."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlkit.cluster.engine import Engine
from mlkit.errors import UsageError


@contextmanager
def open_engine(
    *, cluster: str | None = None, processes: int | None = None, tmp_dir: str | None = None, output: str = "-"
) -> Iterator[Engine]:
    """Start workers: `processes` of this machine, or those that `cluster` names.

    cluster: ``local:N`` (Dask on this machine), ``tcp://HOST:PORT`` (a running scheduler) or ``slurm:FILE.yaml``
    (settings of dask-jobqueue's SLURMCluster, and the number of `workers`). Files that workers exchange stand in
    `tmp_dir`; workers of other machines must see it, so without it they use a folder beside `output`.

    Raises `UsageError` for a cluster that cannot be understood, `MissingExtra` without Dask.
    """
    if cluster is not None and processes is not None:
        raise UsageError("--cluster and --processes exclude each other")
    # hide resource_tracker's warning about a killed job's shared memory
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    kind = "processes" if cluster is None else cluster.partition(":")[0]
    if kind not in ("processes", "local", "tcp", "tls", "slurm"):
        raise UsageError(f"--cluster is local:N, tcp://HOST:PORT or slurm:FILE.yaml, not {cluster!r}")
    beside = Path(output).absolute().parent if output != "-" else Path.cwd()
    place = tmp_dir if tmp_dir is not None or kind in ("processes", "local") else str(beside)
    with (
        tempfile.TemporaryDirectory(prefix=".mlkit-", dir=place, ignore_cleanup_errors=True) as folder,
        _removed_after_us(folder),
    ):
        engine = _engine(kind, cluster or "", processes or 1, str(Path(folder).absolute()))
        try:
            yield engine
        except BaseException:
            engine.close(failed=True)
            raise
        engine.close()


@contextmanager
def _removed_after_us(folder: str) -> Iterator[None]:
    """See to it that `folder` goes also when this process is killed: a shell waits for that moment.

    It ends two seconds later than this process, when the workers are gone, and if the block ends, at once.
    """
    command = ["sh", "-c", 'read -r line; sleep 2; rm -rf -- "$0"', str(Path(folder).absolute())]
    try:
        watcher = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd="/", start_new_session=True,
        )  # fmt: skip
    except OSError:  # no shell: a killed job leaves its folder
        yield
        return
    try:
        yield
    finally:
        watcher.kill()
        watcher.communicate()


def _engine(kind: str, cluster: str, processes: int, folder: str) -> Engine:
    if kind == "processes":
        from mlkit.cluster.processes import ProcessEngine

        return ProcessEngine(processes, folder)
    from mlkit.cluster.dask_engine import dask_engine

    return dask_engine(kind, cluster, folder)
