"""`mlkit lr-find`: a learning-rate range test on our trainers, a stream, a curve, or any command."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.output import is_terminal, out
from mlkit.cli.registry import App, Command

if TYPE_CHECKING:
    from mlkit.lr_find import Curve, Suggestion

app = App(help="Find a learning rate by a range test.")

TEST, RESULT = "Test", "Result"


class Schedule(StrEnum):
    """How the rate grows."""

    exponential = "exponential"
    linear = "linear"


class WithTrainer(Command):
    """A command that hands what it does not know to the trainer that the call names."""

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Take our own options out of the arguments when a trainer is named."""
        from mlkit.cli.commands.lr_find.trainers import split_arguments

        if {"-h", "--help"} & set(
            args
        ):  # of a trainer's name, too: what is asked is how this command is used
            args = ["--help"]
        ours, trainer = split_arguments(args, self.params)
        context = super().make_context(info_name, [*ours, *trainer[:1]], parent=parent, **extra)
        context.obj = trainer
        return context


@app.command(cls=WithTrainer)
def lr_find(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="train-w2v, train-glove, fasttext, net or boost with its own options; or lines of 'rate<TAB>loss', "
            "or a saved curve: a file, '-' for stdin."
        ),
    ] = "-",
    command: Annotated[
        str | None,
        typer.Option(
            "--command", metavar="SHELL", help="Run this for each rate instead; {lr} stands for the rate."
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern", metavar="REGEX", help="The loss in the command's output.", show_default="last number"
        ),
    ] = None,
    start: Annotated[
        float | None, options.number("--start", "First rate.", TEST, "1e-7; a trainer's own")
    ] = None,
    end: Annotated[
        float | None, options.number("--end", "The rate to grow towards.", TEST, "10; a trainer's own")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=2,
            metavar="N",
            help="Rates to try; of a curve that is there: how many were planned.",
            rich_help_panel=TEST,
            show_default="100; a file's lines",
        ),
    ] = None,
    schedule: Annotated[
        Schedule,
        typer.Option(
            "--schedule", help="Multiply the rate, or add to it as in Smith's paper.", rich_help_panel=TEST
        ),
    ] = Schedule.exponential,
    repeats: Annotated[
        int,
        typer.Option("--repeats", min=1, metavar="N", help="Repeat the whole test.", rich_help_panel=TEST),
    ] = 1,
    beta: Annotated[float, options.number("--beta", "Smoothing of the loss.", TEST)] = 0.98,
    diverge: Annotated[
        float, options.number("--diverge", "Stop at this times the best smoothed loss (0: never).", TEST)
    ] = 4.0,
    print_rule: Annotated[
        str | None,
        typer.Option(
            "--print", metavar="RULE", help="Print the bare rate of one rule.", rich_help_panel=RESULT
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw the curve: .svg, .png or .txt.", rich_help_panel=RESULT
        ),
    ] = None,
    curve: Annotated[
        str | None,
        typer.Option("--curve", metavar="FILE", help="Write the curve as TSV.", rich_help_panel=RESULT),
    ] = None,
    json: options.Json = False,
) -> None:
    """Find a learning rate by a range test.

    The rate grows from step to step until the loss diverges; every tool's rule then suggests a rate: steepest descent
    on the logarithmic axis (steep), fastai's valley and slide, a tenth of the minimum, Smith's pair for cyclic
    schedules, torch-lr-finder's and Lightning's; and auto, which '--lr auto' of the trainers takes: steep, kept from
    mistaking noise before the fall for it. Options that are not listed here go to the trainer; every repeat trains a
    fresh model, and nothing is written.

    \b
    Example:
      mlkit lr-find train-w2v corpus.txt --dim 50 --min-count 1 --plot curve.svg
      mlkit lr-find net train.csv --target income --print steep
      mlkit lr-find --command 'awk "BEGIN { x = log({lr}); print (x + 3) ^ 2 + {lr} }"' --steps 60
      LR=$(mlkit lr-find curve.tsv --print steep)
    """
    from mlkit.errors import UsageError
    from mlkit.formats.streams import write_text
    from mlkit.lr_find import RULES, suggest
    from mlkit.lr_find.report import COLUMNS, figure, table_rows, warning
    from mlkit.lr_find.rules import rounded
    from mlkit.plots import save, to_text

    if print_rule is not None and print_rule not in RULES:
        raise UsageError(f"--print {print_rule}: the rules are {', '.join(RULES)}")
    if not 0 <= beta < 1:
        raise UsageError(f"--beta must be from 0 to less than 1, not {beta:g}")
    settings: dict[str, Any] = {
        "start": start, "end": end, "steps": steps, "schedule": schedule.value, "repeats": repeats, "beta": beta,
        "diverge": diverge,
    }  # fmt: skip
    curves = _curves(source, command, pattern, context.obj, settings)
    if curve is not None:
        write_text(curve, ["\t".join(row) for row in (COLUMNS, *table_rows(curves))])
    suggestions = suggest(curves)
    drawing = figure(curves, suggestions)
    if plot is not None:
        save(drawing, plot)
    note = warning(suggestions)
    if note:
        out.warn(note)
    if print_rule is not None:
        out.line(repr(rounded(next(s.rate for s in suggestions if s.rule == print_rule))))
    elif json:
        _json(suggestions, curves, {"source": context.obj or command or source, **settings})
    else:
        if is_terminal(out.stdout):
            out.line(to_text(drawing) + "\n")
        out.table(
            ("rule", "rate", "low", "high"),
            ((s.rule, *(f"{x:.4g}" for x in (s.rate, s.low, s.high))) for s in suggestions),
        )


def _curves(
    source: str, command: str | None, pattern: str | None, trainer: list[str], settings: dict[str, Any]
) -> list[Curve]:
    """Test what the call names: a trainer, a command, or a curve that is there."""
    from mlkit.errors import UsageError
    from mlkit.lr_find import range_tests
    from mlkit.lr_find.search import STEPS
    from mlkit.lr_find.sources import curves_from_file, points_from_command
    from mlkit.range_test import Sweep

    tests = settings | {"steps": settings["steps"] or STEPS}
    if command is not None:
        if trainer or source != "-":
            raise UsageError(f"--command and {source!r} are two sources: give one")
        text = command
        sweep = Sweep(lambda rates, repeat: points_from_command(text, rates, pattern, out.warn), 1e-7, 10.0)
        with out.progress("Range test") as progress:
            return range_tests(sweep, progress=progress, **tests)
    if trainer:
        from mlkit.cli.commands.lr_find.trainers import trainer_curves

        return trainer_curves(trainer, lambda sweep, progress: range_tests(sweep, progress=progress, **tests))
    return curves_from_file(
        source, beta=settings["beta"], diverge=settings["diverge"], steps=settings["steps"]
    )


def _json(suggestions: list[Suggestion], curves: list[Curve], settings: dict[str, Any]) -> None:
    out.json(
        "mlkit.lr-find",
        {
            "suggestions": {s.rule: {"rate": s.rate, "low": s.low, "high": s.high} for s in suggestions},
            "stopped": [curve.stopped for curve in curves],
            "points": [len(curve) for curve in curves],
        },
        settings,
    )
