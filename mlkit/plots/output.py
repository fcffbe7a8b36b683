"""Write a figure by suffix: .svg, .png (by matplotlib), .txt."""

from __future__ import annotations

import io

from mlkit.errors import MissingExtra, UsageError
from mlkit.formats.streams import PathLike, open_output, plain_suffix
from mlkit.plots.figure import Figure, axes_of, drawable, mark_rows
from mlkit.plots.svg import to_svg
from mlkit.plots.terminal import to_text


def save(figure: Figure, path: PathLike) -> None:
    """Write a figure to a file: SVG, PNG or text, by the suffix.

    Raises `UsageError` for another suffix, `MissingExtra` for a PNG without matplotlib.
    """
    write(figure, path, plain_suffix(path).lower())


def write(figure: Figure, path: PathLike, suffix: str) -> None:
    """Write a figure in the format of `suffix` (.svg, .png, .txt) to any output, "-" included."""
    makers = {".svg": lambda: to_svg(figure).encode(), ".png": lambda: to_png(figure)}
    makers[".txt"] = lambda: (to_text(figure) + "\n").encode()
    if suffix not in makers:
        raise UsageError(
            f"{path}: a plot is written as .svg, .png or .txt, not as {suffix or 'a file without suffix'}"
        )
    content = makers[suffix]()
    with open_output(path) as stream:
        stream.write(content)


def to_png(figure: Figure) -> bytes:
    """Return the figure as PNG, drawn by matplotlib (no time stamp, no version in the file)."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Drawing
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise MissingExtra("a PNG plot", "matplotlib") from None
    drawing = Drawing(figsize=(7.2, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(drawing)
    axes = drawing.add_subplot()
    for series in figure.series:
        if series.kind == "line":
            axes.plot(list(series.x), list(series.y), label=series.name or None, linewidth=1.4)
        elif series.kind == "bar":
            axes.bar(list(series.x), list(series.y), label=series.name or None)
            axes.set_xticks(list(series.x)[: len(series.labels)], list(series.labels))
        else:
            axes.scatter(list(series.x), list(series.y), s=14, label=series.name or None)
            for x, y, label in zip(series.x, series.y, series.labels, strict=False):
                axes.annotate(label, (x, y), xytext=(3, 3), textcoords="offset points", fontsize=9)
    x_axis, y_axis = axes_of(figure)
    for (position, label), (_, _, row) in zip(
        sorted(mark for mark in figure.marks if drawable(mark[0], figure.log_x)),
        mark_rows(figure, x_axis, 0.0125), strict=True,
    ):  # fmt: skip
        axes.axvline(position, color="0.6", linestyle="--", linewidth=0.9)
        place = (position, 0.97 - 0.04 * row)
        axes.annotate(label, place, (2, 0), ("data", "axes fraction"), "offset points", fontsize=8)
    if figure.y_range is not None:
        axes.set_ylim(y_axis.low, y_axis.high)
    if figure.log_x:
        axes.set_xscale("log")
    elif all(s.kind == "line" and all(float(x).is_integer() for x in s.x) for s in figure.series):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # such as epochs
    axes.set(title=figure.title, xlabel=figure.x_label, ylabel=figure.y_label)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    if sum(bool(series.name) for series in figure.series) > 1:
        axes.legend(frameon=False, loc="lower left" if figure.marks else "best")
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
