"""What `bleu`, `ter`, `chrf` and `score` share: their options, and sacreBLEU's spellings of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.registry import Command
from mlkit.errors import UsageError

TESTS, FORMATS = "Significance", "Output"

# sacreBLEU's spellings of options that are spelt another way here; "" has no effect
SPELLINGS = {
    "-tok": "--tokenize", "-sv": "--smooth-value", "-lc": "--lowercase", "-nr": "--num-refs",
    "-sl": "--sentence-level", "-ci": "--confidence", "-cin": "--confidence-n", "-par": "--paired-ar",
    "-parn": "--paired-ar-n", "-pbs": "--paired-bs", "-pbsn": "--paired-bs-n", "-sh": "--short", "-nc": "",
    "--no-color": "",
}  # fmt: skip
CHRF_SPELLINGS = {"-cc": "--chrf-char-order", "-cw": "--chrf-word-order"}


class Format(StrEnum):
    """How results are printed."""

    text = "text"
    json = "json"
    tsv = "tsv"
    latex = "latex"
    markdown = "markdown"


class MetricCommand(Command):
    """A command that also takes sacreBLEU's spellings, and several files after one ``-i``."""

    spellings = SPELLINGS

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Rewrite the arguments before they are parsed."""
        return super().make_context(info_name, list(self._rewritten(args)), parent=parent, **extra)

    def _rewritten(self, arguments: Iterable[str]) -> Iterator[str]:
        rest = iter(arguments)
        expected = False  # a file after -i
        listing = False
        for argument in rest:
            if listing and (argument == "-" or not argument.startswith("-")):
                yield from ("--input", argument)
                expected = False
                continue
            if expected:
                break
            listing = expected = argument in ("-i", "--input")
            if argument in ("-j", "--paired-jobs"):
                next(rest, None)  # systems share their work here
            elif argument in ("-e", "--encoding"):
                _check_encoding(next(rest, ""))
            elif not listing:
                argument = self.spellings.get(argument, argument)
                if argument:
                    yield argument
        if expected:
            raise UsageError("-i needs the name of a file ('-' is stdin)")


def _check_encoding(name: str) -> None:
    if name.lower() not in ("utf-8", "utf8", "utf-8-sig"):
        raise UsageError(
            f"the encoding {name!r} is not offered: text is UTF-8", hint="convert it with iconv first"
        )


@dataclass(frozen=True)
class Evaluation:
    """The options that all metric commands share, as they were given."""

    references: Annotated[
        list[str], typer.Argument(metavar="REF...", help="Reference files.", show_default=False)
    ]
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input", "-i", metavar="HYP...", help="Hypothesis files, one per system.", show_default="stdin"
        ),
    ] = None
    num_refs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Tab-separated references per line of REF.")
    ] = 1
    variable_refs: Annotated[
        bool, typer.Option("--variable-refs", help="REF has any number of tab-separated references per line.")
    ] = False
    tabs: Annotated[
        bool, typer.Option("--tabs", help="The input has one tab-separated hypothesis per system.")
    ] = False
    by: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Scores per label (document, domain): a file with one per line."),
    ] = None
    sentence_level: Annotated[
        bool, typer.Option("--sentence-level", help="One row per segment, with its statistics.")
    ] = False
    confidence: Annotated[
        bool, typer.Option("--confidence", rich_help_panel=TESTS, help="95 % interval by bootstrap.")
    ] = False
    confidence_n: Annotated[
        int, typer.Option(min=2, metavar="N", rich_help_panel=TESTS, help="Resamples.")
    ] = 1000
    paired_bs: Annotated[
        bool,
        typer.Option("--paired-bs", rich_help_panel=TESTS, help="Paired bootstrap against the first system."),
    ] = False
    paired_bs_n: Annotated[
        int, typer.Option(min=2, metavar="N", rich_help_panel=TESTS, help="Resamples.")
    ] = 1000
    paired_ar: Annotated[
        bool, typer.Option("--paired-ar", rich_help_panel=TESTS, help="Approximate randomization against it.")
    ] = False
    paired_ar_n: Annotated[int, typer.Option(min=1, metavar="N", rich_help_panel=TESTS, help="Trials.")] = (
        10_000
    )
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            metavar="N",
            min=0,
            envvar=["MLKIT_SEED", "SACREBLEU_SEED"],
            rich_help_panel=TESTS,
            help="Random seed.",
        ),
    ] = 12345
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            case_sensitive=False,
            envvar=["MLKIT_FORMAT", "SACREBLEU_FORMAT"],
            rich_help_panel=FORMATS,
            help="How to print; json and text are sacreBLEU's.",
            show_default="text, TSV for segments and labels",
        ),
    ] = None
    json: options.Json = False
    width: Annotated[
        int | None,
        typer.Option(
            "--width",
            "-w",
            min=0,
            metavar="N",
            rich_help_panel=FORMATS,
            help="Digits after the point.",
            show_default="1, TSV and --json: all",
        ),
    ] = None
    score_only: Annotated[
        bool, typer.Option("--score-only", "-b", rich_help_panel=FORMATS, help="Print the score alone.")
    ] = False
    short: Annotated[bool, typer.Option("--short", rich_help_panel=FORMATS, help="A short signature.")] = (
        False
    )
    errors: options.Errors = options.TextErrors.strict
    threads: options.Threads = None

    @property
    def inputs(self) -> list[str]:
        """Return the hypothesis files."""
        return self.input or ["-"]
