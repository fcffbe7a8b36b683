"""Two language models on one text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mlkit.distributions.measures import Unit
from mlkit.errors import DataError
from mlkit.formats.streams import Errors, PathLike
from mlkit.ngram.model import load_model
from mlkit.ngram.query import measure


def compare_models(
    first: PathLike, second: PathLike, texts: Sequence[PathLike], *, base: str = "2", threads: int = 1,
    errors: Errors = "strict",
) -> dict[str, Any]:  # fmt: skip
    """Return cross-entropy per token (line ends and unknown words included) and perplexity of two n-gram models.

    difference: how many units a token costs more under the first; its expectation over the text's own source is
    the difference of the models' KL divergences from that source.
    """
    unit = Unit.named(base)
    totals = [
        measure(load_model(path, threads), texts, threads=threads, errors=errors) for path in (first, second)
    ]
    if not totals[0].tokens:
        raise DataError("the text has no tokens", path=texts[0])
    costs = [unit.of(-total.log10 / total.tokens * math.log(10)) for total in totals]
    return {
        "tokens": totals[0].tokens, "unknown_a": totals[0].unknown, "unknown_b": totals[1].unknown,
        "cross_entropy_a": costs[0], "cross_entropy_b": costs[1], "difference": costs[0] - costs[1],
        "perplexity_a": totals[0].perplexity, "perplexity_b": totals[1].perplexity,
        "perplexity_known_a": totals[0].known_perplexity, "perplexity_known_b": totals[1].known_perplexity,
    }  # fmt: skip
