"""`mlkit ter`: score translations with TER, and show the edits."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli.commands.metrics.options import SPELLINGS, Evaluation, MetricCommand
from mlkit.cli.option_groups import spread
from mlkit.cli.registry import App

app = App(help="Score translations with TER.")


class TerCommand(MetricCommand):
    """The command with the prefixed spellings of its options."""

    spellings = SPELLINGS | {
        f"--ter-{name}": f"--{name}" for name in ("normalized", "no-punct", "asian-support", "case-sensitive")
    }


@app.command(cls=TerCommand)
@spread
def ter(
    *,
    normalized: Annotated[bool, typer.Option("--normalized", help="Tokenize as Tercom does.")] = False,
    no_punct: Annotated[bool, typer.Option("--no-punct", help="Remove punctuation.")] = False,
    asian_support: Annotated[
        bool,
        typer.Option(
            "--asian-support", help="Chinese and Japanese too; only with --normalized or --no-punct."
        ),
    ] = False,
    case_sensitive: Annotated[bool, typer.Option("--case-sensitive", help="Heed case.")] = False,
    edits: Annotated[
        bool,
        typer.Option("--edits", help="Count insertions, deletions, substitutions and shifts per segment."),
    ] = False,
    alignment: Annotated[
        bool, typer.Option("--alignment", help="Show each segment's words beside its reference's.")
    ] = False,
    chosen: Evaluation,
) -> None:
    """Score translations with TER.

    Scores are those of sacreBLEU 2.6.0, whose spellings of options (--ter-normalized, ...) are accepted too. In --edits
    and --alignment an insertion (I) is a hypothesis word too many, a deletion (D) a reference word that
    is missing, as in Tercom.

    \b
    Example:
      mlkit ter ref.txt -i hyp.txt
      mlkit ter ref.txt -i hyp.txt --edits
    """
    from mlkit.cli.commands.metrics.run import run, run_alignment, run_edits
    from mlkit.metrics.ter import Ter

    metric = Ter(
        normalized=normalized,
        no_punct=no_punct,
        asian_support=asian_support,
        case_sensitive=case_sensitive,
        threads=chosen.threads,
    )
    if edits:
        run_edits(chosen, metric)
    elif alignment:
        run_alignment(chosen, metric)
    else:
        run(chosen, [metric])
