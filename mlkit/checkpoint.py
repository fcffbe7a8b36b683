"""Save and resume the state of long jobs.

A checkpoint is a model file of kind ``checkpoint``: the job's settings, where it stands, and its arrays. `resume`
refuses a checkpoint of other settings and names the first that differs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlkit.errors import CheckpointError, ModelError
from mlkit.formats.model_file import Tensors, load_model, save_model
from mlkit.formats.schema import Schema
from mlkit.formats.streams import PathLike
from mlkit.signals import StopSignals


def save_checkpoint(
    path: PathLike,
    command: str,
    settings: Mapping[str, Any],
    state: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Write the state of a job atomically: `settings` identify the job, `state` says where it stands."""
    header = {"command": command, "settings": dict(settings), "state": dict(state)}
    save_model(path, "checkpoint", header, arrays)


def load_checkpoint(
    path: PathLike, command: str, settings: Mapping[str, Any], schema: Schema
) -> tuple[dict[str, Any], Tensors]:
    """Return (state, arrays) of a checkpoint of this very job, as `schema` declares both.

    Raises `CheckpointError` when the command or a setting differs, `ModelError` when the file is damaged.
    """
    header, arrays = load_model(path, "checkpoint")
    if header.get("command") != command:
        raise CheckpointError(f"a checkpoint of {header.get('command')!r}, not of {command!r}", path=path)
    saved = header.get("settings", {})
    if not (isinstance(saved, dict) and isinstance(header.get("state"), dict)):
        raise ModelError("damaged checkpoint (no settings or state)", path=path)
    for name in sorted({*saved, *settings}):
        if saved.get(name) != settings.get(name):
            raise CheckpointError(
                f"the checkpoint was made with {name} = {saved.get(name)!r}, this run has {settings.get(name)!r}",
                path=path, hint="resume with the same settings and input, or start anew without --resume",
            )  # fmt: skip
    schema.check(header["state"], arrays, path)
    return header["state"], arrays


def checkpoint_settings(path: PathLike) -> dict[str, Any]:
    """Return the settings of the job that a checkpoint belongs to. Raises `ModelError` for any other file."""
    header, _ = load_model(path, "checkpoint")
    settings = header.get("settings", {})
    if not isinstance(settings, dict):
        raise ModelError("damaged checkpoint (no settings)", path=path)
    return dict(settings)


class Checkpoints:
    """When to save: every `every` seconds (or at each call when 0), and when a stop signal arrived.

    `path` None switches saving off; a stop signal then ends the job without a checkpoint.
    """

    def __init__(self, path: PathLike | None, every: float, stop: StopSignals) -> None:
        self.path = None if path is None else Path(path)
        self.every = every
        self.stop = stop
        self._last = time.monotonic()

    def due(self) -> bool:
        """Say whether the job should save now."""
        if self.stop.requested:
            return True
        return self.path is not None and time.monotonic() - self._last >= self.every

    def save(
        self,
        command: str,
        settings: Mapping[str, Any],
        state: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
    ) -> None:
        """Save, and leave by `Stopped` if a stop signal asked for it."""
        if self.path is not None:
            save_checkpoint(self.path, command, settings, state, arrays)
        self._last = time.monotonic()
        if self.stop.requested:
            saved = (
                f"saved {self.path}: continue with --resume"
                if self.path
                else "no --checkpoint: nothing saved"
            )
            self.stop.raise_stopped(f"stopped by {self.stop}; {saved}")
