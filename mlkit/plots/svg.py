"""A figure as SVG, without any dependency."""

from __future__ import annotations

from html import escape

from mlkit.plots.figure import Axis, Figure, Series, axes_of, drawable, mark_rows, tick_label

WIDTH, HEIGHT = 720, 450
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 44, 60
# Okabe and Ito's palette: distinct also for the colour-blind
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def to_svg(figure: Figure) -> str:
    """Return the figure as an SVG document."""
    x_axis, y_axis = axes_of(figure)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(WIDTH / 2, 24, figure.title, size=16),
        _text(LEFT + _inner_width() / 2, HEIGHT - 14, figure.x_label),
        _text(18, TOP + _inner_height() / 2, figure.y_label, rotate=True),
        *_grid(x_axis, y_axis),
    ]
    for position, label, row in mark_rows(figure, x_axis, 6.2 / _inner_width()):
        x = LEFT + position * _inner_width()
        parts.append(
            f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" '
            'stroke="#888" stroke-dasharray="4 3"/>'
        )
        parts.append(_text(x + 4, TOP + 12 + 13 * row, label, anchor="start", size=11))
    parts.append(f'<clipPath id="frame">{_frame("")}</clipPath>')
    for number, series in enumerate(figure.series):
        parts += _series(series, x_axis, y_axis, COLORS[number % len(COLORS)])
    parts += _legend(figure)
    return "\n".join([part for part in parts if part] + ["</svg>", ""])


def _inner_width() -> float:
    return WIDTH - LEFT - RIGHT


def _inner_height() -> float:
    return HEIGHT - TOP - BOTTOM


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.position(value) * _inner_width()


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.near(value) * _inner_height()


def _frame(look: str) -> str:
    return f'<rect x="{LEFT}" y="{TOP}" width="{_inner_width()}" height="{_inner_height()}"{look}/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "middle", size: int = 13, rotate: bool = False
) -> str:
    if not text:
        return ""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if rotate else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{turn}>{escape(text)}</text>'
    )


def _grid(x_axis: Axis, y_axis: Axis) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for tick in x_axis.ticks:
        x = _x(x_axis, tick)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#e6e6e6"/>')
        parts.append(_text(x, bottom + 18, tick_label(tick), size=12))
    for tick in y_axis.ticks:
        y = _y(y_axis, tick)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e6e6e6"/>')
        parts.append(_text(LEFT - 8, y + 4, tick_label(tick), anchor="end", size=12))
    return [*parts, _frame(' fill="none" stroke="#444"')]


def _series(series: Series, x_axis: Axis, y_axis: Axis, color: str) -> list[str]:
    points = [
        (_x(x_axis, x), _y(y_axis, y), index)
        for index, (x, y) in enumerate(zip(series.x, series.y, strict=True))
        if drawable(x, x_axis.log) and drawable(y, y_axis.log)
    ]
    if series.kind == "line":
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        return [
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.8" '
            'clip-path="url(#frame)"/>'
        ]
    parts = []
    zero = _y(y_axis, max(y_axis.low, 0.0))
    width = 0.8 * _inner_width() / max(len(series.x), 1)
    for x, y, index in points:
        label = series.labels[index] if index < len(series.labels) else ""
        if series.kind == "bar":
            top, height = min(y, zero), abs(zero - y)
            parts.append(
                f'<rect x="{x - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
                f'fill="{color}"/>'
            )
            parts.append(_text(x, HEIGHT - BOTTOM + 18, label, size=11))
        else:
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>')
            parts.append(_text(x + 5, y - 4, label, anchor="start", size=12))
    return parts


def _legend(figure: Figure) -> list[str]:
    named = [(number, series.name) for number, series in enumerate(figure.series) if series.name]
    parts = []
    # names of marks stand at the top: the legend then keeps to the bottom
    left, top = (
        (LEFT + 12, HEIGHT - BOTTOM - 18 * len(named)) if figure.marks else (WIDTH - RIGHT - 150, TOP + 16)
    )
    for row, (number, name) in enumerate(named if len(named) > 1 else []):
        y = top + 18 * row
        color = COLORS[number % len(COLORS)]
        parts.append(f'<rect x="{left}" y="{y - 9}" width="14" height="4" fill="{color}"/>')
        parts.append(_text(left + 20, y - 2, name, anchor="start", size=12))
    return parts
