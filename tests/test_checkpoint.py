"""Checkpoints: state comes back, other jobs are refused, stop signals are noted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from mlkit.checkpoint import Checkpoints, StopSignals, load_checkpoint, save_checkpoint
from mlkit.errors import CheckpointError, ModelError, Stopped


def test_state_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_checkpoint(path, "train", {"dim": 3}, {"epoch": 2}, {"w": np.arange(3.0)})
    state, arrays = load_checkpoint(path, "train", {"dim": 3})
    assert state == {"epoch": 2}
    assert arrays["w"].tolist() == [0.0, 1.0, 2.0]


def test_another_job_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "state"
    save_checkpoint(path, "train", {"dim": 3, "lr": 0.1}, {}, {})
    with pytest.raises(CheckpointError, match="dim = 3, this run has 4"):
        load_checkpoint(path, "train", {"dim": 4, "lr": 0.1})
    with pytest.raises(CheckpointError, match="of 'train', not of 'count'"):
        load_checkpoint(path, "count", {"dim": 3, "lr": 0.1})
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ModelError):
        load_checkpoint(path, "train", {"dim": 3, "lr": 0.1})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_noted_and_handlers_restored(number: int) -> None:
    before = signal.getsignal(number)
    with StopSignals() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(number) == before


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
