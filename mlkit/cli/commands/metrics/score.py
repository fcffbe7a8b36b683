"""`mlkit score`: several metrics in one pass, with sacreBLEU's names of all options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from mlkit.cli.commands.metrics.bleu import (
    Force,
    Smoothing,
    SmoothMethod,
    SmoothValue,
    Tokenize,
    TokenizerModel,
)
from mlkit.cli.commands.metrics.options import (
    CHRF_SPELLINGS,
    SPELLINGS,
    Evaluation,
    MetricCommand,
)
from mlkit.cli.option_groups import spread
from mlkit.cli.registry import App
from mlkit.errors import UsageError

app = App(help="Score translations with several metrics.")

METRICS = ("bleu", "chrf", "ter")


class ScoreCommand(MetricCommand):
    """The command that also takes ``-m bleu chrf ter``."""

    spellings = SPELLINGS | CHRF_SPELLINGS

    def _rewritten(self, arguments: Iterable[str]) -> Iterator[str]:
        chosen: list[str] | None = None
        for argument in super()._rewritten(arguments):
            if argument in ("-m", "--metrics"):
                chosen = []
            elif chosen is not None and (not chosen or argument in METRICS):
                chosen.append(argument)
            else:
                if chosen is not None:
                    yield f"--metrics={','.join(chosen)}"
                    chosen = None
                yield argument
        if chosen is not None:
            yield f"--metrics={','.join(chosen)}"


@app.command(cls=ScoreCommand)
@spread
def score(
    *,
    metrics: Annotated[
        str, typer.Option("--metrics", "-m", metavar="NAMES", help="Of bleu, ter and chrf, with commas.")
    ] = "bleu,ter,chrf",
    tokenize: Tokenize = "13a",
    tokenizer_model: TokenizerModel = None,
    smooth_method: SmoothMethod = Smoothing.exp,
    smooth_value: SmoothValue = None,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case in BLEU.")] = False,
    force: Force = False,
    chrf_char_order: Annotated[int, typer.Option(min=0, metavar="N", help="Longest character n-grams.")] = 6,
    chrf_word_order: Annotated[int, typer.Option(min=0, metavar="N", help="2 is chrF++.")] = 0,
    chrf_beta: Annotated[int, typer.Option(min=0, metavar="N", help="Weight of recall.")] = 2,
    chrf_whitespace: Annotated[bool, typer.Option("--chrf-whitespace", help="Keep white space.")] = False,
    chrf_lowercase: Annotated[bool, typer.Option("--chrf-lowercase", help="Ignore case.")] = False,
    chrf_eps_smoothing: Annotated[
        bool, typer.Option("--chrf-eps-smoothing", help="Average F scores.")
    ] = False,
    ter_normalized: Annotated[bool, typer.Option("--ter-normalized", help="Tokenize as Tercom.")] = False,
    ter_no_punct: Annotated[bool, typer.Option("--ter-no-punct", help="Remove punctuation.")] = False,
    ter_asian_support: Annotated[
        bool, typer.Option("--ter-asian-support", help="Chinese and Japanese too.")
    ] = False,
    ter_case_sensitive: Annotated[bool, typer.Option("--ter-case-sensitive", help="Heed case.")] = False,
    chosen: Evaluation,
) -> None:
    """Score translations with several metrics in one pass.

    Options are named as sacreBLEU's, and its command lines (but for test sets) work after `mlkit score`.

    \b
    Example:
      mlkit score ref.txt -i hyp.txt --metrics bleu,ter,chrf
    """
    from mlkit.cli.commands.metrics.bleu import tokenizer_of
    from mlkit.cli.commands.metrics.run import run
    from mlkit.metrics.bleu import Bleu
    from mlkit.metrics.chrf import Chrf
    from mlkit.metrics.metric import Metric
    from mlkit.metrics.ter import Ter

    names = [name.strip().lower() for name in metrics.split(",")]
    if len(set(names)) < len(names) or not set(names) <= set(METRICS):
        raise UsageError(f"--metrics {metrics}: choose from {', '.join(METRICS)}, each once")
    wanted: list[Metric] = []
    for name in names:
        if name == "bleu":
            wanted.append(Bleu(
                tokenize=tokenizer_of(tokenize, tokenizer_model), smooth_method=smooth_method.value,
                smooth_value=smooth_value, lowercase=lowercase, threads=chosen.threads,
            ))  # fmt: skip
        elif name == "chrf":
            wanted.append(Chrf(
                char_order=chrf_char_order, word_order=chrf_word_order, beta=chrf_beta, lowercase=chrf_lowercase,
                whitespace=chrf_whitespace, eps_smoothing=chrf_eps_smoothing, threads=chosen.threads,
            ))  # fmt: skip
        else:
            wanted.append(Ter(
                normalized=ter_normalized, no_punct=ter_no_punct, asian_support=ter_asian_support,
                case_sensitive=ter_case_sensitive, threads=chosen.threads,
            ))  # fmt: skip
    run(chosen, wanted, warn_tokenized="bleu" in names and not force)
