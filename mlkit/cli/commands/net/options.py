"""The options of `mlkit net`, each declared once, and what they mean together."""

from __future__ import annotations

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


def option(type_: Any, names: str, help: str, panel: str | None = LEARNING, **extra: Any) -> Any:
    """Return an annotated option."""
    return Annotated[type_, typer.Option(*names.split(), help=help, rich_help_panel=panel, **extra)]


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
Layers = option(
    str | None, "--layers -l", "Layers before the output, such as '100, relu, dropout: 0.2'.", LAYERS, metavar="YAML",
    show_default="100, relu; those of --init",
)  # fmt: skip
Initialisation = option(
    str, "--initialisation", "glorot-uniform, glorot-normal, he, uniform or normal.", LAYERS, metavar="NAME"
)
Init = option(
    str | None, "--init", "Begin with the layers and weights of this model.", LAYERS, metavar="FILE"
)
Freeze = option(
    str | None, "--freeze", "Layers that stay as they are ('*': all but the output).", LAYERS, metavar="A,B"
)
Rates = option(
    str | None,
    "--rates",
    "Factors of the rate by layer, such as 'dense1=0.1,output=2'.",
    LAYERS,
    metavar="LAYER=X",
)
Loss = option(
    str | None,
    "--loss",
    "cross-entropy; squared, absolute, huber.",
    metavar="NAME",
    show_default="by the target",
)
HuberDelta = option(float, "--huber-delta", "Where Huber's loss becomes a straight line.", metavar="X")
Smoothing = option(float, "--label-smoothing", "Part of the truth spread over all classes.", metavar="PART")
Optimiser = option(
    str,
    "--optimiser --optimizer",
    "gd, sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw.",
    metavar="NAME",
)
Lr = Annotated[
    options.Rate,
    options.rate("--lr", help="Learning rate", panel=LEARNING, default="the optimiser's"),
]
Momentum = option(float, "--momentum", "Of momentum and nesterov.", metavar="X")
L2 = option(float | None, "--l2", "Weight decay.", metavar="X", show_default="0; adamw 0.01")
L1 = option(float, "--l1", "Penalty on absolute weights (lasso).", metavar="X")
Clip = option(float, "--clip", "Largest norm of the gradient over all parameters (0: no bound).", metavar="X")
ScheduleOption = option(
    str, "--schedule", "constant, step, exponential, cosine, one-cycle, plateau.", metavar="NAME"
)
Factor = option(float, "--factor", "What step, exponential and plateau multiply by.", metavar="X")
Every = option(int, "--every", "Epochs between steps; epochs without gain before a plateau.", metavar="N")
WarmUp = option(int, "--warm-up", "Steps over which the rate rises linearly from 0.", metavar="N")
Batch = option(int, "--batch -b", "Rows of a step (0: all).", min=0, metavar="N")
Epochs = option(int, "--epochs -n", "Passes over the rows.", min=1, metavar="N")
Mixup = option(float, "--mixup", "Mix pairs of rows, with shares from Beta(X, X) (0: never).", metavar="X")
Average = option(int, "--average", "Return the mean weights of the last N epochs.", min=0, metavar="N")
Precision = option(str, "--precision", "float32 or float64.", metavar="TYPE")
EarlyStop = option(
    int,
    "--early-stop",
    "Stop after N epochs without gain on held-out rows; keep the best.",
    STOP,
    min=0,
    metavar="N",
)
Valid = option(str | None, "--valid", "Table or text of held-out rows.", STOP, metavar="FILE")
ValidPart = option(
    float, "--valid-part", "Part held out for --early-stop without --valid.", STOP, metavar="PART"
)
Categories = option(
    str, "--categories", "auto (one-hot up to 64 categories), one-hot or embedding.", INPUT, metavar="HOW"
)
EmbeddingDim = option(
    int | None,
    "--embedding-dim",
    "Size of the vectors of categories and words.",
    INPUT,
    min=1,
    metavar="N",
    show_default="by their number; words 50",
)
MinCount = option(int, "--min-count", "Leave out rarer words.", INPUT, min=1, metavar="N")
Text = option(
    str | None, "--text", "Column of words, which enters as the mean of their vectors.", INPUT, metavar="NAME"
)
Plot = option(str | None, "--plot", "Draw the learning curve (.svg, .png).", None, metavar="FILE")

TeacherFile = Annotated[
    str,
    typer.Option(
        "--teacher", metavar="FILE", help="A model of net, boost, bag, stack or fastText.", show_default=False
    ),
]
Temperature = option(float, "--temperature", "Softens the teacher's classes.", None, metavar="T")
Alpha = option(float, "--alpha", "Weight of the teacher; the truth has 1 - A.", None, metavar="A")


def settings(values: dict[str, Any]) -> NetSettings:
    """Return the settings of a training from a command's options (without --lr auto)."""
    from mlkit.nets import NetSettings
    from mlkit.nets.network import parse_layers
    from mlkit.nets.optimisers import Rule
    from mlkit.nets.schedules import Schedule

    v = values
    return NetSettings(
        layers=None if v["layers"] is None else tuple(parse_layers(v["layers"])), init=v["initialisation"],
        loss=v["loss"], huber_delta=v["huber_delta"], label_smoothing=v["label_smoothing"],
        rule=Rule(v["optimiser"], v["momentum"], l2=v["l2"], l1=v["l1"], clip=v["clip"]),
        lr=None if v["lr"] == options.AUTO else v["lr"],
        schedule=Schedule(v["schedule"], v["factor"], v["every"], v["warm_up"]), batch=v["batch"], epochs=v["epochs"],
        mixup=v["mixup"], early_stop=v["early_stop"], average=v["average"], rates=_factors(v["rates"]),
        freeze=t.split(v["freeze"]), categories=v["categories"], embedding_dim=v["embedding_dim"],
        min_count=v["min_count"], precision=v["precision"], seed=v["seed"],
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


def read(path: str, values: dict[str, Any]) -> tuple[Table, Columns, str | None]:
    """Return the table, which columns play which part, and the column of words if there is one."""
    from mlkit.errors import UsageError
    from mlkit.formats.table_files import read_table
    from mlkit.nets.features import is_labelled_text, read_text
    from mlkit.tables.columns import Columns

    v = values
    if v["target"] is None:
        if not is_labelled_text(path):
            raise UsageError(f"{path} is a table: --target says which column to learn")
        text = read_text(path, v["errors"].value, out.warn)
        return text, Columns("label", task="classification", class_weight=v["class_weight"]), "text"
    roles = t.columns(
        *(v[k] for k in ("target", "weight", "ignore", "id", "categorical", "task", "class_weight"))
    )
    form = t.table_format(v["delimiter"], v["header"], v["na"], v["errors"])
    extra = (v["text"],) if v["text"] else ()
    return read_table(path, form, as_text=(*t.text_columns(v), *extra)), roles, v["text"]
