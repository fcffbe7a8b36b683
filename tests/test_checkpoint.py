"""Checkpoints: state comes back, other jobs are refused, stop signals are noted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mlkit.checkpoint import Checkpoints, load_checkpoint, save_checkpoint
from mlkit.errors import CheckpointError, ModelError, Stopped
from mlkit.formats.schema import Schema
from mlkit.signals import StopSignals
from tests.conftest import Run, command_environment


def test_state_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_checkpoint(path, "train", {"dim": 3}, {"epoch": 2}, {"w": np.arange(3.0)})
    state, arrays = load_checkpoint(path, "train", {"dim": 3}, Schema())
    assert state == {"epoch": 2}
    assert arrays["w"].tolist() == [0.0, 1.0, 2.0]


def test_another_job_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_checkpoint(path, "train", {"dim": 3, "lr": 0.1}, {}, {})
    with pytest.raises(CheckpointError, match="dim = 3, this run has 4"):
        load_checkpoint(path, "train", {"dim": 4, "lr": 0.1}, Schema())
    with pytest.raises(CheckpointError, match="of 'train', not of 'count'"):
        load_checkpoint(path, "count", {"dim": 3, "lr": 0.1}, Schema())
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ModelError):
        load_checkpoint(path, "train", {"dim": 3, "lr": 0.1}, Schema())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_noted_and_handlers_restored(number: int) -> None:
    before = signal.getsignal(number)
    with StopSignals() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(number) == before


def test_the_keyboard_is_noted_once_where_there_is_a_checkpoint() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a test runner may have its own
    try:
        keyboard_is_noted_once()
    finally:
        signal.signal(signal.SIGINT, before)


def keyboard_is_noted_once() -> None:
    with StopSignals(keyboard=True) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        assert str(stop) == "^C"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    with StopSignals() as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_command_saves_and_goes_on_to_the_same_bytes(
    mlkit: Run, tmp_path: Path, number: int
) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{k % 17},{k % 3}\n" for k in range(3000)))
    arguments = ["boost", "train", "t.csv", "--target", "b", "--rounds", "400", "--threads", "1", "-o"]
    mlkit(*arguments, "whole.model")
    command = [sys.executable, "-m", "mlkit", *arguments, "m.model", "--checkpoint", "c"]
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, env=command_environment())
    end = time.monotonic() + 60
    state = Path(f"/proc/{child.pid}/status")
    caught = 1 << (
        signal.SIGUSR1 - 1
    )  # the handlers stand once SIGUSR1 is caught by the job; then a moment more
    while time.monotonic() < end and not int(state.read_text().split("SigCgt:")[1].split()[0], 16) & caught:
        time.sleep(0.01)
    time.sleep(0.8)
    child.send_signal(number)
    said = child.communicate(timeout=60)[1].decode()
    if child.returncode == 0:
        pytest.skip("this machine was done before the signal came")
    assert child.returncode == 128 + number
    assert ("saved c: continue with --resume" in said) == (tmp_path / "c").exists()
    if (tmp_path / "c").exists():
        mlkit(*arguments, "m.model", "--checkpoint", "c", "--resume")
        assert (tmp_path / "m.model").read_bytes() == (tmp_path / "whole.model").read_bytes()


def test_when_to_save(tmp_path: Path) -> None:
    stop = StopSignals()
    assert not Checkpoints(None, 0, stop).due()
    never = Checkpoints(tmp_path / "c", 1e9, stop)
    assert not never.due()
    assert Checkpoints(tmp_path / "c", 0, stop).due()
    stop.number = signal.SIGTERM
    assert never.due()
    with pytest.raises(Stopped, match=r"saved .*: continue with --resume") as caught:
        never.save("train", {}, {}, {})
    assert caught.value.signal_number == signal.SIGTERM
    assert (tmp_path / "c").exists()
