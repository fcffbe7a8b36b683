"""The options of `mlkit fasttext`, each declared once, and the original's single-dash spellings."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.registry import App, Command

DICTIONARY, TRAINING, HELD_OUT, TUNING, FILES = (
    "Dictionary", "Training", "Held-out lines", "Autotune", "Files",
)  # fmt: skip


class Original(Command):
    """A command that also takes fastText's spellings: ``-wordNgrams 2`` is ``--word-ngrams 2``."""

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Rewrite single-dash options before they are parsed."""
        names = {parameter.name for parameter in self.params}
        known = {name for parameter in self.params for name in parameter.opts}
        rewritten: list[str] = []
        rest = iter(args)
        for arg in rest:
            if arg == "-verbose":
                rewritten += ["--quiet"] if next(rest, "2") == "0" else []
                continue
            kebab = "--" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", arg[1:]).lower()
            single = re.fullmatch(r"-[A-Za-z][A-Za-z-]+", arg) is not None
            if re.fullmatch(r"-\d+", arg) and "k" in names and "--" not in rewritten:
                rewritten.append("--")  # a number below zero is a number: k of -1 is all labels
            # -oNAME is the short option with its value, -epcoh a misspelt long one
            rewritten.append(kebab if single and (kebab in known or arg[:2] not in known) else arg)
        return super().make_context(info_name, rewritten, parent=parent, **extra)


app = App(help="Train word vectors and text classifiers as fastText does, and use its models.")


def option(
    type_: Any, name: str, help_text: str, panel: str | None = TRAINING, *more: str, **extra: Any
) -> Any:
    """Return an annotated option."""
    return Annotated[type_, typer.Option(name, *more, help=help_text, rich_help_panel=panel, **extra)]


Input = option(
    str, "--input", "Training text ('-' is stdin; compressed files work).", FILES, "-i", metavar="FILE"
)
OutputName = option(
    str, "--output", "Name of the model: NAME.bin and NAME.vec are written; NAME.bin may be given, too.", FILES,
    "-o", metavar="NAME", callback=lambda name: name and name.removesuffix(".bin"),
)  # fmt: skip
Pretrained = option(str | None, "--pretrained-vectors", "Start from this .vec file.", FILES, metavar="FILE")
SaveOutput = option(
    bool, "--save-output", "Also write the output matrix as NAME.output.", FILES, show_default=False
)
Native = option(
    bool, "--native", "Write NAME.safetensors in place of NAME.bin: used buckets only, mapped when read.", FILES,
    show_default=False,
)  # fmt: skip
NoVec = option(bool, "--no-vec", "Do not write NAME.vec.", FILES, show_default=False)
MinCount = option(int, "--min-count", "Leave out words that occur less often.", DICTIONARY, min=0)
MinCountLabel = option(int, "--min-count-label", "Leave out labels that occur less often.", DICTIONARY, min=0)
WordNgrams = option(int, "--word-ngrams", "Longest word n-gram.", DICTIONARY, min=1)
Bucket = option(int, "--bucket", "Number of hash buckets of n-grams.", DICTIONARY, min=0)
Minn = option(int, "--minn", "Shortest character n-gram.", DICTIONARY, min=0)
Maxn = option(int, "--maxn", "Longest character n-gram (0: none).", DICTIONARY, min=0)
Sample = option(float, "--sample", "Subsampling threshold of frequent words.", DICTIONARY, "-t", min=0)
Label = option(str, "--label", "What labels begin with.", DICTIONARY, metavar="PREFIX")
Lr = Annotated[
    options.Rate, options.rate("--lr", help="Learning rate at the start; it falls to 0", panel=TRAINING)
]
LrUpdateRate = option(int, "--lr-update-rate", "Taken for old scripts.", TRAINING, hidden=True)
Dim = option(int, "--dim", "Size of the vectors.", TRAINING, min=1)
Ws = option(int, "--ws", "Greatest distance of a context word.", TRAINING, min=1)
Epoch = option(int, "--epoch", "Passes over the text.", TRAINING, min=0)
Neg = option(int, "--neg", "Noise words for every target (loss ns).", TRAINING, min=1)
Loss = option(str, "--loss", "ns, hs, softmax, ova (or one-vs-all).", TRAINING, metavar="NAME")
Shuffle = option(
    bool,
    "--shuffle/--no-shuffle",
    "Visit the lines (skipgram, cbow: blocks of lines) of each epoch in a new order.",
    TRAINING,
)
Valid = option(
    str | None, "--valid", "Labelled lines: report F1 after every epoch.", HELD_OUT, metavar="FILE"
)
Patience = option(
    int, "--patience", "Stop after this many epochs without a better F1 (0: never).", HELD_OUT, min=0
)
Validation = option(
    str | None,
    "--autotune-validation",
    "Search for the best options on these lines.",
    TUNING,
    metavar="FILE",
)
Metric = option(
    str,
    "--autotune-metric",
    "f1, precisionAtRecall:X or recallAtPrecision:X; :LABEL for one label.",
    TUNING,
    metavar="NAME",
)
Predictions = option(int, "--autotune-predictions", "Labels predicted for every line (k).", TUNING, min=-1)
Duration = option(float, "--autotune-duration", "Seconds to search.", TUNING, min=0)
ModelSize = option(
    str, "--autotune-modelsize", "Largest model, such as 2M: trials are quantised.", TUNING, metavar="SIZE"
)
Trials = option(
    int, "--autotune-trials", "Stop after this many trials (0: time alone counts).", TUNING, min=0
)
Threads = option(
    int | None, "--threads", "Threads; with more than one the result depends on their timing (Hogwild).",
    options.RUN, "--thread", min=1, envvar="MLKIT_THREADS", show_default="$SLURM_CPUS_PER_TASK, or the usable CPUs",
)  # fmt: skip
QuantiseText = option(str | None, "--input", "Training text for --retrain.", None, "-i", metavar="FILE")
QuantiseCutoff = option(int, "--cutoff", "Keep this many rows (0: all).", None, min=0)
QuantiseRetrain = option(bool, "--retrain", "Train on after the cut.", None, show_default=False)
QuantiseQnorm = option(bool, "--qnorm", "Quantise the lengths of rows apart.", None, show_default=False)
QuantiseQout = option(bool, "--qout", "Quantise the output matrix too.", None, show_default=False)
QuantiseDsub = option(int, "--dsub", "Columns in one code.", None, min=1)
QuantiseEpoch = option(int, "--epoch", "Epochs of --retrain.", None, min=0)
QuantiseLr = option(float, "--lr", "Learning rate of --retrain.", None, min=0)
Model = Annotated[str, typer.Argument(help="A .bin, .ftz or .safetensors model.", show_default=False)]
Data = Annotated[str, typer.Argument(help="Lines of text ('-' is stdin).", show_default=False)]
K = Annotated[int, typer.Argument(help="Labels for every line (-1: all).")]
Threshold = Annotated[float, typer.Argument(help="Least probability of a label.")]
