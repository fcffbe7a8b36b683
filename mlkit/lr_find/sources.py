"""Where the points of a range test come from: a stream or file of ``lr loss`` lines, or any command."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby

from mlkit.errors import DataError, UsageError
from mlkit.formats.streams import Errors, PathLike, display_name, is_standard, read_lines
from mlkit.lr_find.curve import BETA, DIVERGE, Curve, record
from mlkit.lr_find.report import COLUMNS
from mlkit.range_test import Point

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf(?:inity)?)", re.I)


def points_from_lines(lines: Iterable[str], name: str) -> Iterator[Point]:
    """Yield (rate, loss) from lines of two numbers with a tab, blanks or a comma between them.

    A header, blank lines and ``#`` comments are passed over, more columns ignored. Raises `DataError` with the line's
    number.
    """
    return ((rate, loss) for rate, loss, _ in _rows(enumerate(lines, 1), name))


def curves_from_file(
    path: PathLike,
    errors: Errors = "strict",
    *,
    beta: float = BETA,
    diverge: float = DIVERGE,
    steps: int | None = None,
) -> list[Curve]:
    """Return the curves of a file, or of stdin for "-": one, or every repeat of a curve that `mlkit lr-find` saved.

    steps: how many points were planned, by which the rules trim; by default what a saved curve says, or as many as the
    file has lines (those behind the end of the test too). A stream is read as far as the test goes.
    """
    name = display_name(path)
    lines: Iterator[tuple[int, str]] = enumerate(read_lines(path, errors), 1)
    there: int | None = None
    if not is_standard(path):
        every = list(lines)
        there = sum(map(_is_point, every))
        lines = iter(every)
    first = next(lines, (1, ""))
    columns = first[1].split()
    if columns != list(COLUMNS):
        points = ((rate, loss) for rate, loss, _ in _rows(chain([first], lines), name))
        return [record(points, beta=beta, diverge=diverge, wanted=steps or there)]
    curves = []
    for (_, planned), rows in groupby(_rows(lines, name), lambda row: tuple(row[2][3:5])):
        points = ((rate, loss) for rate, loss, _ in rows)
        curves.append(record(points, beta=beta, diverge=diverge, wanted=steps or int(planned)))
    return curves or [record([])]


def _is_point(numbered: tuple[int, str]) -> bool:
    """Say whether a numbered line stands for a point, not for a header, a comment or nothing."""
    number, line = numbered
    fields = line.replace(",", " ").split()
    return (
        bool(fields)
        and not fields[0].startswith("#")
        and (number > 1 or NUMBER.fullmatch(fields[0]) is not None)
    )


def _rows(lines: Iterable[tuple[int, str]], name: str) -> Iterator[tuple[float, float, list[str]]]:
    """Yield (rate, loss, all fields) of numbered lines."""
    for number, line in lines:
        fields = line.replace(",", " ").split()
        if not fields or fields[0].startswith("#"):
            continue
        try:
            rate, loss = float(fields[0]), float(fields[1])
        except (ValueError, IndexError):
            if number == 1:
                continue  # a header
            raise DataError(
                f"expected 'rate<TAB>loss', found {line[:60]!r}", path=name, line=number
            ) from None
        if not 0 < rate < float("inf"):
            raise DataError(f"a learning rate is a positive number, not {fields[0]}", path=name, line=number)
        yield rate, loss, fields


def points_from_command(
    template: str,
    rates: Iterable[float],
    pattern: str | None = None,
    remark: Callable[[str], None] = lambda text: None,
) -> Iterator[Point]:
    """Run a shell command once per rate, ``{lr}`` replaced by it, and yield (rate, loss).

    The loss is the last number that the command prints on stdout, or the last match of `pattern` (its first group
    where it has one). A command that has worked before and fails at a higher rate ends the test as a loss that is no
    number does (trainers stop so), and `remark` is told. Raises `UsageError` for a template without ``{lr}`` or a wrong
    pattern, `DataError` when the command fails from the start or prints no loss.
    """
    if "{lr}" not in template:
        raise UsageError("--command has no {lr}: that is where the rate goes")
    try:
        expression = NUMBER if pattern is None else re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--pattern {pattern!r}: {error}") from None
    worked = False
    for rate in rates:
        command = template.replace("{lr}", f"{rate:.10g}")
        done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True, errors="replace")
        if done.returncode != 0:
            fault = f"the command failed with exit code {done.returncode}: {command}"
            if not worked or done.returncode < 0:
                raise DataError(fault)
            remark(f"{fault}; the test ends here")
            yield rate, math.nan
            return
        yield rate, _loss_of(done.stdout, expression, command)
        worked = True


def _loss_of(text: str, expression: re.Pattern[str], command: str) -> float:
    last = None
    for match in expression.finditer(text):
        last = match[1] if expression.groups else match[0]
    try:
        return float(last or "")
    except ValueError:
        what = "no number" if last is None else f"{last!r}, which is no number,"
        raise DataError(f"the command printed {what} for a loss: {command}") from None
