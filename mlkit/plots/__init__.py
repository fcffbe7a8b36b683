"""Curves, scatters and bars for every command that has one: SVG by hand, PNG by matplotlib, text for terminals."""

from mlkit.plots.figure import Figure, Series
from mlkit.plots.output import save, write
from mlkit.plots.svg import to_svg
from mlkit.plots.terminal import to_text

__all__ = ["Figure", "Series", "save", "to_svg", "to_text", "write"]
