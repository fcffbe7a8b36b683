"""Curves, scatters and bars for every command that has one: SVG by hand, PNG by matplotlib, text for terminals.

>>> from mlkit import plots
>>> curve = plots.Series([1, 2, 3], [0.9, 0.5, 0.4], name="loss")
>>> plots.save(plots.Figure([curve], title="Training", x_label="epoch"), "curve.svg")
"""

from mlkit.plots.figure import Figure, Series
from mlkit.plots.output import save, write
from mlkit.plots.svg import to_svg
from mlkit.plots.terminal import to_text

__all__ = ["Figure", "Series", "save", "to_svg", "to_text", "write"]
