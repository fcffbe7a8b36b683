"""The progress bar: rate, loss and time left, on a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

if TYPE_CHECKING:
    from mlkit.progress import Progress as Callback
    from mlkit.progress import Report


LEAST_TIME = 0.5  # seconds before a rate says something


class Part(ProgressColumn):
    """The part done, or the amount where the whole is not known (stdin, compressed text)."""

    def render(self, task: Task) -> Text:
        """Return ``12.3 %`` or ``345 MB``."""
        if task.total is None:
            return Text(f"{short(task.completed)}{task.fields['unit']}")
        return Text(f"{task.percentage:>5.1f} %")


class Rate(ProgressColumn):
    """Units per second, such as ``1.6 M words/s``."""

    def render(self, task: Task) -> Text:
        """Return the rate since the stage began."""
        (begun, before), (now, done) = task.fields["since"], task.fields["latest"]
        unit = task.fields["unit"]
        if not unit or now - begun < LEAST_TIME or done <= before:
            return Text("")
        return Text(f"{short((done - before) / (now - begun))}{unit}/s", style="green")


def short(number: float) -> str:
    """Return a number to three digits with a prefix for a unit: 1234567 -> ``1.23 M``, 12 -> ``12 ``."""
    for limit, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {prefix}"
    return f"{number:.3g} "


@contextmanager
def bar(title: str) -> Iterator[Callback]:
    """Draw a bar per stage on stderr while the block runs; ``epoch 1``, ``epoch 2`` ... share one."""
    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        Part(),
        Rate(),
        TextColumn("{task.fields[figures]}", style="cyan"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}

    def report(event: Report) -> None:
        name = event.stage or title
        name = name[:1].upper() + name[1:]
        kind = name.rstrip("0123456789")
        latest = (time.monotonic(), event.done)
        if kind not in tasks:
            unit = "B" if event.unit == "bytes" else event.unit
            tasks[kind] = progress.add_task(
                name, total=event.total, unit=unit, since=latest, latest=latest, figures=""
            )
        figures = []
        if event.loss is not None:
            figures.append(f"loss {event.loss:.4f}")
        if event.valid_loss is not None:
            figures.append(f"held-out {event.valid_loss:.4f}")
        if event.learning_rate is not None:
            figures.append(f"rate {event.learning_rate:.2g}")
        progress.update(
            tasks[kind], description=name, completed=event.done, total=event.total, latest=latest,
            figures="  ".join(figures),
        )  # fmt: skip

    with progress:
        yield report
