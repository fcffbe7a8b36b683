"""`mlkit chrf`: score translations with chrF and chrF++."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli.commands.metrics.options import SPELLINGS, Evaluation, MetricCommand
from mlkit.cli.option_groups import spread
from mlkit.cli.registry import App

app = App(help="Score translations with chrF or chrF++.")


class ChrfCommand(MetricCommand):
    """The command with the short and the prefixed spellings of its options."""

    spellings = (
        SPELLINGS
        | {"-cc": "--char-order", "-cw": "--word-order"}
        | {
            f"--chrf-{name}": f"--{name}"
            for name in ("char-order", "word-order", "beta", "whitespace", "lowercase", "eps-smoothing")
        }
    )


@app.command(cls=ChrfCommand)
@spread
def chrf(
    *,
    char_order: Annotated[int, typer.Option(min=0, metavar="N", help="Longest character n-grams.")] = 6,
    word_order: Annotated[
        int, typer.Option(min=0, metavar="N", help="Longest word n-grams; 2 is chrF++.")
    ] = 0,
    beta: Annotated[int, typer.Option(min=0, metavar="N", help="Weight of recall.")] = 2,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case.")] = False,
    whitespace: Annotated[bool, typer.Option("--whitespace", help="Keep white space in n-grams.")] = False,
    eps_smoothing: Annotated[
        bool, typer.Option("--eps-smoothing", help="Average F scores as chrF++.py, NLTK and Moses do.")
    ] = False,
    chosen: Evaluation,
) -> None:
    """Score translations with chrF or chrF++.

    Scores are those of sacreBLEU 2.6.0, whose spellings of options (-cw, --chrf-word-order, ...) are accepted too.

    \b
    Example:
      mlkit chrf ref.txt -i hyp.txt
      mlkit chrf ref.txt -i hyp.txt --word-order 2
    """
    from mlkit.cli.commands.metrics.run import run
    from mlkit.metrics.chrf import Chrf

    metric = Chrf(
        char_order=char_order, word_order=word_order, beta=beta, lowercase=lowercase, whitespace=whitespace,
        eps_smoothing=eps_smoothing, threads=chosen.threads,
    )  # fmt: skip
    run(chosen, [metric])
