"""``--lr auto`` of every trainer: the rate that was given, that of the checkpoint, or a range test before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlkit.cli.options import AUTO, Rate
from mlkit.cli.output import out

if TYPE_CHECKING:
    from mlkit.progress import Progress, Report
    from mlkit.range_test import FindRate, Sweep
    from mlkit.signals import StopSignals

Probe = Callable[["Sweep", "Progress"], float]
_probe: list[Probe] = []  # what `mlkit lr-find` does with the sweep of the trainer that it calls


class Choice:
    """The rate of a training: `rate` is None where the trainer's own counts, or until one has been found.

    A run that is resumed takes its checkpoint's rate (`setting` names it there): it must not search again.
    """

    def __init__(
        self, given: Rate, checkpoint: str | None = None, resume: bool = False, setting: str = "lr"
    ) -> None:
        self.setting, self.auto = setting, given == AUTO
        self.rate: float | None = None if self.auto else given
        self.resumed = resume and checkpoint is not None and Path(checkpoint).exists()
        if self.auto and self.resumed:
            from mlkit.checkpoint import checkpoint_settings

            self.rate = float(checkpoint_settings(str(checkpoint))[setting])
            out.words(f"learning rate {self.rate:.3g}, that of the checkpoint")

    @property
    def settings(self) -> dict[str, Any]:
        """Return the rate as an argument of the trainer's settings, or nothing where it is not known."""
        return {} if self.rate is None else {self.setting: self.rate}

    def finder(self, progress: Progress | None = None, stop: StopSignals | None = None) -> FindRate | None:
        """Return the trainer's `find_rate`: None where there is nothing to find. A stop signal ends the test."""
        return partial(self._find, progress, stop) if self.auto and not self.resumed else None

    def _find(self, progress: Progress | None, stop: StopSignals | None, sweep: Sweep) -> float:
        from mlkit.lr_find import choose

        def report(state: Report) -> None:
            if stop is not None and stop.requested:
                stop.raise_stopped("stopped in the range test; nothing to save yet")
            if progress is not None:
                progress(state)

        if _probe:
            return _probe[0](sweep, report)
        self.rate = choose(sweep, say=out.words, warn=out.warn, progress=report)
        return self.rate


@contextmanager
def probing(probe: Probe) -> Iterator[None]:
    """Give the sweep of any trainer that is called inside the block to `probe` instead of choosing a rate."""
    _probe.append(probe)
    try:
        yield
    finally:
        _probe.clear()
