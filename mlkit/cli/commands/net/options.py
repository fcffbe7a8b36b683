"""The options of `mlkit net`, each declared once, and what they mean together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.tables import options as t
from mlkit.cli.output import out

if TYPE_CHECKING:
    from mlkit.formats.table_files import Table
    from mlkit.nets import NetSettings
    from mlkit.tables.columns import Columns

LAYERS, LEARNING, STOP, INPUT = "Layers", "Learning", "Held-out rows", "Inputs"


def option(names: str, help: str, panel: str | None = LEARNING, **extra: Any) -> Any:
    """Declare an option; it learns its type from its annotation."""
    return typer.Option(*names.split(), help=help, rich_help_panel=panel, **extra)


TableArgument = Annotated[
    str,
    typer.Argument(help="Table, or text whose lines begin with __label__ ('-': a table).", show_default=False),
]  # fmt: skip
Target = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="NAME|N", help="Column to learn, by name or number from 1; text has its labels.",
        show_default=False,
    ),
]  # fmt: skip
Layers = Annotated[
    str | None,
    option(
        "--layers -l",
        "Layers before the output, such as '100, relu, dropout: 0.2'.",
        LAYERS,
        metavar="YAML",
        show_default="100, relu; those of --init",
    ),
]
Initialisation = Annotated[
    str,
    option(
        "--initialisation", "glorot-uniform, glorot-normal, he, uniform or normal.", LAYERS, metavar="NAME"
    ),
]
Init = Annotated[
    str | None, option("--init", "Begin with the layers and weights of this model.", LAYERS, metavar="FILE")
]
Freeze = Annotated[
    str | None,
    option("--freeze", "Layers that stay as they are ('*': all but the output).", LAYERS, metavar="A,B"),
]
Rates = Annotated[
    str | None,
    option(
        "--rates", "Factors of the rate by layer, such as 'dense1=0.1,output=2'.", LAYERS, metavar="LAYER=X"
    ),
]
Loss = Annotated[
    str | None,
    option(
        "--loss", "cross-entropy; squared, absolute, huber.", metavar="NAME", show_default="by the target"
    ),
]
HuberDelta = Annotated[
    float, option("--huber-delta", "Where Huber's loss becomes a straight line.", metavar="X")
]
Smoothing = Annotated[
    float, option("--label-smoothing", "Part of the truth spread over all classes.", metavar="PART")
]
Optimiser = Annotated[
    str,
    option(
        "--optimiser --optimizer",
        "gd, sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw.",
        metavar="NAME",
    ),
]
Lr = Annotated[
    options.Rate,
    options.rate("--lr", help="Learning rate", panel=LEARNING, default="the optimiser's"),
]
Momentum = Annotated[float, option("--momentum", "Of momentum and nesterov.", metavar="X")]
L2 = Annotated[float | None, option("--l2", "Weight decay.", metavar="X", show_default="0; adamw 0.01")]
L1 = Annotated[float, option("--l1", "Penalty on absolute weights (lasso).", metavar="X")]
Clip = Annotated[
    float, option("--clip", "Largest norm of the gradient over all parameters (0: no bound).", metavar="X")
]
ScheduleOption = Annotated[
    str, option("--schedule", "constant, step, exponential, cosine, one-cycle, plateau.", metavar="NAME")
]
Factor = Annotated[float, option("--factor", "What step, exponential and plateau multiply by.", metavar="X")]
Every = Annotated[
    int, option("--every", "Epochs between steps; epochs without gain before a plateau.", metavar="N")
]
WarmUp = Annotated[int, option("--warm-up", "Steps over which the rate rises linearly from 0.", metavar="N")]
Batch = Annotated[int, option("--batch -b", "Rows of a step (0: all).", min=0, metavar="N")]
Epochs = Annotated[int, option("--epochs -n", "Passes over the rows.", min=1, metavar="N")]
Mixup = Annotated[
    float, option("--mixup", "Mix pairs of rows, with shares from Beta(X, X) (0: never).", metavar="X")
]
Average = Annotated[
    int, option("--average", "Return the mean weights of the last N epochs.", min=0, metavar="N")
]
Precision = Annotated[str, option("--precision", "float32 or float64.", metavar="TYPE")]
EarlyStop = Annotated[
    int,
    option(
        "--early-stop",
        "Stop after N epochs without gain on held-out rows; keep the best.",
        STOP,
        min=0,
        metavar="N",
    ),
]
Valid = Annotated[str | None, option("--valid", "Table or text of held-out rows.", STOP, metavar="FILE")]
ValidPart = Annotated[
    float, option("--valid-part", "Part held out for --early-stop without --valid.", STOP, metavar="PART")
]
Categories = Annotated[
    str,
    option("--categories", "auto (one-hot up to 64 categories), one-hot or embedding.", INPUT, metavar="HOW"),
]
EmbeddingDim = Annotated[
    int | None,
    option(
        "--embedding-dim",
        "Size of the vectors of categories and words.",
        INPUT,
        min=1,
        metavar="N",
        show_default="by their number; words 50",
    ),
]
MinCount = Annotated[int, option("--min-count", "Leave out rarer words.", INPUT, min=1, metavar="N")]
Text = Annotated[
    str | None,
    option("--text", "Column of words, which enters as the mean of their vectors.", INPUT, metavar="NAME"),
]
Plot = Annotated[str | None, option("--plot", "Draw the learning curve (.svg, .png).", None, metavar="FILE")]

TeacherFile = Annotated[
    str,
    typer.Option(
        "--teacher", metavar="FILE", help="A model of net, boost, bag, stack or fastText.", show_default=False
    ),
]
Temperature = Annotated[float, option("--temperature", "Softens the teacher's classes.", None, metavar="T")]
Alpha = Annotated[float, option("--alpha", "Weight of the teacher; the truth has 1 - A.", None, metavar="A")]


@dataclass(frozen=True)
class Architecture:
    """What the network is made of."""

    layers: Layers = None
    initialisation: Initialisation = "glorot-uniform"
    rates: Rates = None


@dataclass(frozen=True)
class Start:
    """A model to begin with, and what of it stays as it is."""

    init: Init = None
    freeze: Freeze = None


@dataclass(frozen=True)
class Objective:
    """What is minimised."""

    loss: Loss = None
    huber_delta: HuberDelta = 1.0


@dataclass(frozen=True)
class Learning:
    """How it is minimised."""

    label_smoothing: Smoothing = 0.0
    optimiser: Optimiser = "adam"
    lr: Lr = None
    momentum: Momentum = 0.9
    l2: L2 = None
    l1: L1 = 0.0
    clip: Clip = 0.0
    schedule: ScheduleOption = "constant"
    factor: Factor = 0.1
    every: Every = 10
    warm_up: WarmUp = 0
    batch: Batch = 200
    epochs: Epochs = 20
    mixup: Mixup = 0.0
    average: Average = 0
    precision: Precision = "float32"
    early_stop: EarlyStop = 0
    valid_part: ValidPart = 0.1


@dataclass(frozen=True)
class Inputs:
    """How columns and words enter the network."""

    categories: Categories = "auto"
    embedding_dim: EmbeddingDim = None
    min_count: MinCount = 1
    text: Text = None


def settings(
    architecture: Architecture, learning: Learning, inputs: Inputs, seed: int,
    objective: Objective = Objective(), start: Start = Start(),
) -> NetSettings:  # fmt: skip
    """Return the settings of a training from a command's options (without --lr auto)."""
    from mlkit.nets import NetSettings
    from mlkit.nets.network import parse_layers
    from mlkit.nets.optimisers import OptimiserSettings
    from mlkit.nets.schedules import Schedule

    layers, how = architecture.layers, learning
    return NetSettings(
        layers=None if layers is None else tuple(parse_layers(layers)), init=architecture.initialisation,
        loss=objective.loss, huber_delta=objective.huber_delta, label_smoothing=how.label_smoothing,
        rule=OptimiserSettings(how.optimiser, how.momentum, l2=how.l2, l1=how.l1, clip=how.clip),
        lr=None if how.lr == options.AUTO else how.lr,
        schedule=Schedule(how.schedule, how.factor, how.every, how.warm_up), batch=how.batch, epochs=how.epochs,
        mixup=how.mixup, early_stop=how.early_stop, average=how.average, rates=_factors(architecture.rates),
        freeze=t.split(start.freeze), categories=inputs.categories, embedding_dim=inputs.embedding_dim,
        min_count=inputs.min_count, precision=how.precision, seed=seed,
    )  # fmt: skip


def _factors(text: str | None) -> dict[str, float]:
    """Return the factors of ``a=1,b=0.5``, or of a YAML mapping."""
    import yaml

    from mlkit.errors import UsageError

    if not text:
        return {}
    try:
        found = (
            yaml.safe_load(text)
            if text.lstrip().startswith("{")
            else dict(p.split("=") for p in t.split(text))
        )
        return {str(name): float(factor) for name, factor in found.items()}
    except (ValueError, TypeError, AttributeError, yaml.YAMLError):
        raise UsageError(f"--rates {text!r} is not LAYER=FACTOR,...") from None


@dataclass(frozen=True)
class Source:
    """How the examples of a command are read: the same for the table and the held-out one."""

    target: str | None
    task: str
    text: str | None
    columns: t.ColumnOptions
    format: t.FormatOptions

    def read(self, path: str) -> tuple[Table, Columns, str | None]:
        """Return the table, which columns play which part, and the column of words if there is one."""
        from mlkit.errors import UsageError
        from mlkit.formats.table_files import read_table
        from mlkit.nets.features import is_labelled_text, read_text
        from mlkit.tables.columns import Columns

        if self.target is None:
            if not is_labelled_text(path):
                raise UsageError(f"{path} is a table: --target says which column to learn")
            text = read_text(path, self.format.errors.value, out.warn)
            class_weight = self.columns.class_weight
            return text, Columns("label", task="classification", class_weight=class_weight), "text"
        extra = (self.text,) if self.text else ()
        as_text = (*self.columns.as_text(self.target), *extra)
        table = read_table(path, self.format.form, as_text=as_text)
        return table, self.columns.roles(self.target, self.task), self.text
