"""One sink: data on stdout, words and progress on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from mlkit.progress import Progress, Report

PLAIN_INTERVAL = 10.0  # seconds between progress lines where there is no terminal


class Output:
    """What a command prints. `line`, `table` and `json` are data; `words`, `detail` and `warn` are not."""

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False
        self.debug = bool(os.environ.get("MLKIT_DEBUG"))
        # the options of the running command, which it sets
        self.settings: Mapping[str, Any] | Callable[[], Mapping[str, Any]] = {}

    def configure(self, *, quiet: bool, verbose: bool, debug: bool) -> None:
        """Set the loudness that the options of the running command ask for."""
        self.quiet, self.verbose = quiet, verbose and not quiet
        self.debug = debug or bool(os.environ.get("MLKIT_DEBUG"))

    # data

    @property
    def stdout(self) -> BinaryIO:
        """Return stdout for bytes."""
        return cast(BinaryIO, sys.stdout.buffer)

    def line(self, text: str) -> None:
        """Write one line of data to stdout."""
        self.stdout.write(text.encode("utf-8", "surrogateescape") + b"\n")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a table as TSV with a header line."""
        self.line("\t".join(header))
        for row in rows:
            self.line("\t".join(map(str, row)))

    def json(self, schema: str, result: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> None:
        """Write one JSON object on one line: `schema`, mlkit's version, the settings, then the result.

        Without `settings` they are the command's options, apart from those that say how it is run.
        """
        from mlkit.version import __version__

        if callable(self.settings):
            self.settings = self.settings()
        record: dict[str, Any] = {"schema": schema, "version": __version__}
        record["settings"] = dict(self.settings if settings is None else settings)
        record.update(result)
        self.line(json.dumps(record, ensure_ascii=False, default=_plain))

    # words

    def words(self, text: str) -> None:
        """Tell the user something on stderr (not with -q)."""
        if not self.quiet:
            self._say(text)

    def detail(self, text: str) -> None:
        """Tell the user more, with -v only."""
        if self.verbose:
            self._say(text)

    def warn(self, text: str) -> None:
        """Warn on stderr (not with -q)."""
        if not self.quiet:
            self._say(f"warning: {text}")

    def error(self, text: str, hint: str | None = None) -> None:
        """Report the fault that ends the command: one line, and a line with what to do if there is a hint."""
        self._say(text)
        if hint:
            self._say(f"  {hint}")

    def _say(self, text: str) -> None:
        try:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # nobody listens

    # progress

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """Give a callback for a room's progress: a bar on a terminal, a plain line now and then elsewhere."""
        from mlkit.progress import silent

        if self.quiet:
            yield silent
        elif is_terminal(sys.stderr):
            from mlkit.cli.progress_bar import bar

            with bar(title) as report:
                yield report
        else:
            yield _PlainProgress(self, title)


class _PlainProgress:
    """One line every few seconds: for logs of batch jobs."""

    def __init__(self, sink: Output, title: str) -> None:
        self._sink, self._title = sink, title
        self._last = time.monotonic()

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if now - self._last >= PLAIN_INTERVAL:
            self._last = now
            # "Training: boosting, 25.0 %", and "Stacking: 25.0 %", not "Stacking: stacking"
            told = report.stage.casefold() == self._title.casefold()
            stage = "" if told else report.stage[:1].lower() + report.stage[1:]
            report = replace(report, stage=stage)
            self._sink.words(f"{self._title}: {describe(report)}")


def describe(report: Report) -> str:
    """Return a progress report in words: stage, part done, figures."""
    parts = [report.stage]
    if report.total:
        parts.append(f"{100 * report.done / report.total:.1f} %")
    else:
        parts.append(f"{report.done:,.0f}")
    if report.loss is not None:
        parts.append(f"loss {report.loss:.4f}")
    if report.valid_loss is not None:
        parts.append(f"held-out {report.valid_loss:.4f}")
    if report.learning_rate is not None:
        parts.append(f"rate {report.learning_rate:.2g}")
    return ", ".join(part for part in parts if part)


def is_terminal(stream: Any) -> bool:
    """Say whether to draw on this stream: a terminal that is not dumb."""
    try:
        return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


def _plain(value: Any) -> Any:
    """Turn numpy's scalars and arrays into what JSON holds."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


out = Output()
