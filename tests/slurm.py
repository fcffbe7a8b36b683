"""A real Slurm on this machine, for tests: munge, a controller and one node, everything below one folder.

`running_slurm(folder)` starts the three daemons in the foreground as children of this process and gives the environment
(SLURM_CONF and PATH) in which sbatch, squeue, scontrol and scancel use them; they end with the block. No service of the
system is touched: own key, own socket, own ports, no cgroups. It raises `NoSlurm` with the reason where that cannot be.
"""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

NODE_CPUS = 4  # of the node, whatever the machine has: tests need tasks that run side by side
NODE_MEMORY = 8192  # MiB
PATIENCE = 30.0  # seconds that a daemon may take until it answers
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo", "scontrol", "scancel")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# a requeued job waits for cred_expire seconds (120 unless told, 5 at least)
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
KillWait=2
InactiveLimit=0
ReturnToService=2
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP DefMemPerCPU=256
"""


class NoSlurm(Exception):
    """Slurm cannot run here; the message says why."""


@contextmanager
def running_slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Run Slurm with one node below `folder` (absolute, short) and give the environment of its commands."""
    paths = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    programs = {name: shutil.which(name, path=paths) for name in PROGRAMS}
    missing = [name for name, path in programs.items() if path is None]
    if missing:
        raise NoSlurm(f"{', '.join(missing)} not installed (Debian: apt-get install slurm-wlm munge)")
    if len(os.fspath(folder)) > 80:
        raise NoSlurm(f"{folder}: too long a path for a socket")
    _configure(folder, str(programs["slurmctld"]))
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": paths}
    with ExitStack() as stack:

        def start(name: str, *options: str, answers: Callable[[], bool]) -> None:
            log = folder / f"{name}.log"
            daemon = stack.enter_context(_daemon([str(programs[name]), *options], log, environment))
            _wait(name, daemon, log, answers)

        munge = folder / "munge.socket"
        files = [
            f"--{kind}={folder}/munge.{kind}" for kind in ("socket", "pid-file", "log-file", "seed-file")
        ]
        start(
            "munged", "--foreground", "--force", "--num-threads=2", f"--key-file={folder}/munge.key", *files,
            answers=munge.exists,
        )  # fmt: skip
        start("slurmctld", "-D", answers=lambda: bool(slurm(environment, "scontrol", "ping")))
        stack.callback(_cancel_jobs, environment)
        start("slurmd", "-D", answers=lambda: "idle" in slurm(environment, "sinfo", "-h", "-o", "%t"))
        yield environment


def slurm(environment: dict[str, str], *command: str) -> str:
    """Run a command of Slurm and return its output; nothing when it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return done.stdout.strip() if done.returncode == 0 else ""


def _configure(folder: Path, slurmctld: str) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    controller_port, node_port = _free_ports(2)
    settings = CONFIGURATION.format(
        host=platform.node().split(".")[0], user=getpass.getuser(), folder=folder, cpus=NODE_CPUS,
        memory=NODE_MEMORY, controller_port=controller_port, node_port=node_port,
    )  # fmt: skip
    (folder / "slurm.conf").write_text(settings)
    # nothing here uses cgroups, but slurmd loads a plugin for them; 22.05 knows no "disabled", and v1 asks for nothing
    version = subprocess.run([slurmctld, "-V"], capture_output=True, text=True).stdout.split()[-1]
    plugin = "cgroup/v1" if version.startswith(("20.", "21.", "22.")) else "disabled"
    (folder / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def _daemon(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the background until the block ends; it dies with this process, however that ends."""
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    with open(log, "wb") as output:
        daemon = subprocess.Popen(
            [*prefix, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    try:
        yield daemon
    finally:
        daemon.terminate()
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _wait(name: str, daemon: subprocess.Popen[bytes], log: Path, answers: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            how = "does not answer" if daemon.returncode is None else f"ended with {daemon.returncode}"
            last = log.read_text(errors="replace").strip().splitlines()[-3:]
            raise NoSlurm(f"{name} {how}: {' | '.join(last)}")
        time.sleep(0.1)


def _cancel_jobs(environment: dict[str, str]) -> None:
    """End the jobs that are left: their processes are not children of the daemons that we end."""
    slurm(environment, "scancel", "--full", f"--user={getpass.getuser()}")
    deadline = time.monotonic() + 10
    while slurm(environment, "squeue", "-h", "-o", "%A") and time.monotonic() < deadline:
        time.sleep(0.2)
