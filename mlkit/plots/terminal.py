"""A figure as lines of text: braille dots for curves, a mark and its name for points, blocks for bars."""

from __future__ import annotations

from mlkit.plots.figure import Axis, Figure, Series, axes_of, drawable, mark_rows, tick_label

# bit of the dot at (column 0..1, row 0..3) of a braille cell
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLOCKS = " ▏▎▍▌▋▊▉█"


def to_text(figure: Figure, width: int = 80, height: int = 20) -> str:
    """Return the figure as text of at most `width` columns and about `height` lines."""
    if figure.series and all(series.kind == "bar" for series in figure.series):
        return _bars(figure, width)
    x_axis, y_axis = axes_of(figure)
    labels = {round((1 - y_axis.position(tick)) * (height - 1)): tick_label(tick) for tick in y_axis.ticks}
    margin = max(map(len, labels.values()), default=0) + 1
    canvas = _Canvas(max(width - margin - 2, 10), height)
    for position, label, row in mark_rows(figure, x_axis, 1 / canvas.width):
        canvas.mark(round(position * (canvas.width - 1)), label, row)
    for series in figure.series:
        canvas.draw(series, x_axis, y_axis)
    lines = [figure.title.center(width).rstrip()] if figure.title else []
    for row, text in enumerate(canvas.lines()):
        lines.append(f"{labels.get(row, ''):>{margin}}┤{text}".rstrip())
    lines.append(" " * margin + "└" + "─" * canvas.width)
    lines.append(_tick_line(x_axis, margin, canvas.width))
    axis_names = ", ".join(
        f"{axis}: {name}" for axis, name in (("x", figure.x_label), ("y", figure.y_label)) if name
    )
    if axis_names:
        lines.append(" " * (margin + 1) + axis_names)
    return "\n".join(lines)


class _Canvas:
    """A grid of character cells of 2 x 4 dots, with text on top."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._dots = [[0] * width for _ in range(height)]
        self._text: list[list[str | None]] = [[None] * width for _ in range(height)]

    def draw(self, series: Series, x_axis: Axis, y_axis: Axis) -> None:
        previous: tuple[int, int] | None = None
        for index, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
            if not (drawable(x, x_axis.log) and drawable(y)):
                previous = None
                continue
            column = round(x_axis.position(x) * (2 * self.width - 1))
            row = round((1 - y_axis.near(y)) * (4 * self.height - 1))
            if series.kind == "scatter":
                label = series.labels[index] if index < len(series.labels) else ""
                self._write(row // 4, column // 2, "•" + label)
            else:
                self._line(previous or (column, row), (column, row))
                previous = (column, row)

    def mark(self, column: int, label: str, row: int) -> None:
        """Draw a dotted vertical line below its name."""
        for below in range(row + 1, self.height):
            self._dots[below][column] |= _DOTS[0][1]
        self._write(min(row, self.height - 1), column, label)

    def _line(self, start: tuple[int, int], stop: tuple[int, int]) -> None:
        steps = max(abs(stop[0] - start[0]), abs(stop[1] - start[1]), 1)
        for step in range(steps + 1):
            column = round(start[0] + (stop[0] - start[0]) * step / steps)
            row = round(start[1] + (stop[1] - start[1]) * step / steps)
            if 0 <= row < 4 * self.height and 0 <= column < 2 * self.width:
                self._dots[row // 4][column // 2] |= _DOTS[column % 2][row % 4]

    def _write(self, row: int, column: int, text: str) -> None:
        """Write a name; one that would cover another moves to the next free row, one past the edge to the left."""
        column = max(0, min(column, self.width - len(text)))
        rows = sorted(range(self.height), key=lambda candidate: abs(candidate - row))
        for candidate in rows[:5]:
            if all(
                cell is None for cell in self._text[candidate][max(column - 1, 0) : column + len(text) + 1]
            ):
                row = candidate
                break
        for offset, character in enumerate(text[: self.width - column]):
            self._text[row][column + offset] = character

    def lines(self) -> list[str]:
        return [
            "".join(text or (chr(0x2800 + dots) if dots else " ") for dots, text in zip(*rows, strict=True))
            for rows in zip(self._dots, self._text, strict=True)
        ]


def _tick_line(axis: Axis, margin: int, width: int) -> str:
    line = [" "] * (margin + width + 12)
    last = -1
    for tick in axis.ticks:
        text = tick_label(tick)
        start = margin + 1 + round(axis.position(tick) * (width - 1)) - len(text) // 2
        if start > last:
            line[start : start + len(text)] = text
            last = start + len(text)
    return "".join(line).rstrip()


def _bars(figure: Figure, width: int) -> str:
    lines = [figure.title] if figure.title else []
    for series in figure.series:
        names = [
            series.labels[index] if index < len(series.labels) else tick_label(x)
            for index, x in enumerate(series.x)
        ]
        margin = max(map(len, names), default=0)
        numbers = [tick_label(float(f"{y:.4g}")) for y in series.y]
        room = max(width - margin - max(map(len, numbers), default=0) - 3, 5)
        top = max((abs(y) for y in series.y if drawable(y)), default=0) or 1
        for name, value, number in zip(names, series.y, numbers, strict=True):
            eighths = round(abs(value) / top * room * 8) if drawable(value) else 0
            block = "█" * (eighths // 8) + _BLOCKS[eighths % 8].strip()
            lines.append(f"{name:>{margin}} {block:<{room}} {number}".rstrip())
    return "\n".join(lines)
