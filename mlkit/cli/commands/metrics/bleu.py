"""`mlkit bleu`: score translations with BLEU."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mlkit.cli.commands.metrics.options import Evaluation, MetricCommand
from mlkit.cli.option_groups import spread
from mlkit.cli.registry import App

if TYPE_CHECKING:
    from mlkit.metrics.tokenizers import Tokenizer

app = App(help="Score translations with BLEU.")


class Smoothing(StrEnum):
    """How n-gram counts of zero are treated."""

    exp = "exp"
    floor = "floor"
    add_k = "add-k"
    none = "none"


Tokenize = Annotated[
    str, typer.Option("--tokenize", metavar="NAME", help="Tokenizer: 13a, intl, char, zh or none.")
]
TokenizerModel = Annotated[
    str | None,
    typer.Option(
        "--tokenizer-model",
        metavar="FILE",
        help="Tokenize with this subword model (any that mlkit bpe reads).",
    ),
]
SmoothMethod = Annotated[
    Smoothing, typer.Option("--smooth-method", "-s", help="Smoothing of missing n-grams.")
]
SmoothValue = Annotated[
    float | None,
    typer.Option("--smooth-value", min=0, metavar="X", help="For floor and add-k.", show_default="0.1 and 1"),
]
MaxOrder = Annotated[int, typer.Option("--max-order", min=1, metavar="N", help="Longest n-grams.")]
EffectiveOrder = Annotated[
    bool, typer.Option("--effective-order", help="Leave out orders longer than the hypothesis.")
]
Force = Annotated[bool, typer.Option("--force", help="Do not warn about text that looks tokenized.")]


@app.command(cls=MetricCommand)
@spread
def bleu(
    *,
    tokenize: Tokenize = "13a",
    tokenizer_model: TokenizerModel = None,
    smooth_method: SmoothMethod = Smoothing.exp,
    smooth_value: SmoothValue = None,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Ignore case.")] = False,
    max_order: MaxOrder = 4,
    effective_order: EffectiveOrder = False,
    force: Force = False,
    chosen: Evaluation,
) -> None:
    """Score translations with BLEU.

    Scores, statistics and signatures are those of sacreBLEU 2.6.0, whose spellings of options (-tok, -sv, -lc, ...)
    are accepted too. Text is detokenized, one segment per line; the hypothesis is read from stdin if no -i
    names it.

    \b
    Example:
      mlkit bleu ref.txt -i hyp.txt
      mlkit bleu ref.A.txt ref.B.txt -i baseline.txt new.txt --paired-bs
    """
    from mlkit.cli.commands.metrics.run import run
    from mlkit.metrics.bleu import Bleu

    metric = Bleu(
        tokenize=tokenizer_of(tokenize, tokenizer_model),
        smooth_method=smooth_method.value,
        smooth_value=smooth_value,
        lowercase=lowercase,
        max_order=max_order,
        effective_order=effective_order,
        threads=chosen.threads,
    )
    run(chosen, [metric], warn_tokenized=not force)


def tokenizer_of(name: str, model: str | None) -> str | Tokenizer:
    """Return the tokenizer that the options name: the model's, if there is one."""
    if model is None:
        return name
    from mlkit.bpe import LineEncoder, load_model
    from mlkit.metrics.subwords import Subwords, model_name

    return Subwords(LineEncoder(load_model(model)).encode, model_name(model))
