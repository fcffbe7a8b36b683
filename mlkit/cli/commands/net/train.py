"""`mlkit net`: feed-forward networks on tables and __label__ text."""

from __future__ import annotations

from typing import Any

from mlkit.cli import options
from mlkit.cli.commands.net import options as n
from mlkit.cli.commands.net import use
from mlkit.cli.commands.tables import options as t
from mlkit.cli.learning_rate import Choice
from mlkit.cli.output import out
from mlkit.cli.registry import App

app = App(help="Neural networks on tables and labelled text.")


@app.command()
def train(
    table: n.TableArgument, output: t.ModelOutput, target: n.Target = None, layers: n.Layers = None,
    initialisation: n.Initialisation = "glorot-uniform", init: n.Init = None, freeze: n.Freeze = None,
    rates: n.Rates = None, loss: n.Loss = None, huber_delta: n.HuberDelta = 1.0, label_smoothing: n.Smoothing = 0.0,
    optimiser: n.Optimiser = "adam", lr: n.Lr = None, momentum: n.Momentum = 0.9, l2: n.L2 = None, l1: n.L1 = 0.0,
    clip: n.Clip = 0.0, schedule: n.ScheduleOption = "constant", factor: n.Factor = 0.1, every: n.Every = 10,
    warm_up: n.WarmUp = 0, batch: n.Batch = 200, epochs: n.Epochs = 20, mixup: n.Mixup = 0.0, average: n.Average = 0,
    precision: n.Precision = "float32", early_stop: n.EarlyStop = 0, valid: n.Valid = None,
    valid_part: n.ValidPart = 0.1, categories: n.Categories = "auto", embedding_dim: n.EmbeddingDim = None,
    min_count: n.MinCount = 1, text: n.Text = None, task: t.Task = "auto", class_weight: t.ClassWeight = None,
    weight: t.Weight = None, ignore: t.Ignore = None, id: t.Id = None, categorical: t.Categorical = None,
    delimiter: t.Delimiter = None, header: t.Header = None, na: t.Missing = None,
    errors: options.Errors = options.TextErrors.strict, plot: n.Plot = None,
    checkpoint: options.Checkpoint = None, checkpoint_every: options.CheckpointEvery = 60.0,
    resume: options.Resume = False, threads: options.Threads = None, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Train a network on a table, or on text whose lines begin with __label__NAME.

    Layers, loss, optimiser and schedule may stand in a YAML file (--config net.yaml); options override it. Products
    run on one thread: the same seed gives the same bytes for any --threads.

    \b
    Example:
      mlkit net train train.csv --target income --layers '100, relu, dropout: 0.2' -o income.net
    """
    values = dict(locals())
    _train(values)


@app.command()
def distill(
    table: n.TableArgument, output: t.ModelOutput,
    teacher: n.TeacherFile, temperature: n.Temperature = 4.0, alpha: n.Alpha = 0.7,
    target: n.Target = None, layers: n.Layers = None, initialisation: n.Initialisation = "glorot-uniform",
    init: n.Init = None, freeze: n.Freeze = None, rates: n.Rates = None, label_smoothing: n.Smoothing = 0.0,
    optimiser: n.Optimiser = "adam", lr: n.Lr = None, momentum: n.Momentum = 0.9, l2: n.L2 = None, l1: n.L1 = 0.0,
    clip: n.Clip = 0.0, schedule: n.ScheduleOption = "constant", factor: n.Factor = 0.1, every: n.Every = 10,
    warm_up: n.WarmUp = 0, batch: n.Batch = 200, epochs: n.Epochs = 20, mixup: n.Mixup = 0.0, average: n.Average = 0,
    precision: n.Precision = "float32", early_stop: n.EarlyStop = 0, valid: n.Valid = None,
    valid_part: n.ValidPart = 0.1, categories: n.Categories = "auto", embedding_dim: n.EmbeddingDim = None,
    min_count: n.MinCount = 1, text: n.Text = None, class_weight: t.ClassWeight = None, weight: t.Weight = None,
    ignore: t.Ignore = None, id: t.Id = None, categorical: t.Categorical = None, delimiter: t.Delimiter = None,
    header: t.Header = None, na: t.Missing = None, errors: options.Errors = options.TextErrors.strict,
    plot: n.Plot = None, checkpoint: options.Checkpoint = None, checkpoint_every: options.CheckpointEvery = 60.0,
    resume: options.Resume = False, threads: options.Threads = None, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Train a network (student) on what another model (teacher) says.

    The loss is A * T^2 * cross-entropy with the teacher's probabilities, softened by the temperature T, plus (1 - A) *
    cross-entropy with the truth.

    \b
    Example:
      mlkit net distill --teacher big.net train.csv --target income --layers '8, relu' -o student.net
    """
    values = {**locals(), "loss": None, "huber_delta": 1.0, "task": "classification"}
    from mlkit.nets import Teacher

    _train(values, teacher=Teacher(_teacher(teacher, text), temperature, alpha))


@app.command()
def cv(
    table: n.TableArgument, target: n.Target = None, folds: t.Folds = 5, group: t.Group = None,
    stratified: t.Stratified = True, layers: n.Layers = None,
    initialisation: n.Initialisation = "glorot-uniform", rates: n.Rates = None, loss: n.Loss = None,
    huber_delta: n.HuberDelta = 1.0, label_smoothing: n.Smoothing = 0.0, optimiser: n.Optimiser = "adam",
    lr: n.Lr = None, momentum: n.Momentum = 0.9, l2: n.L2 = None, l1: n.L1 = 0.0, clip: n.Clip = 0.0,
    schedule: n.ScheduleOption = "constant", factor: n.Factor = 0.1, every: n.Every = 10, warm_up: n.WarmUp = 0,
    batch: n.Batch = 200, epochs: n.Epochs = 20, mixup: n.Mixup = 0.0, average: n.Average = 0,
    precision: n.Precision = "float32", early_stop: n.EarlyStop = 0, valid_part: n.ValidPart = 0.1,
    categories: n.Categories = "auto", embedding_dim: n.EmbeddingDim = None, min_count: n.MinCount = 1,
    text: n.Text = None, task: t.Task = "auto", class_weight: t.ClassWeight = None, weight: t.Weight = None,
    ignore: t.Ignore = None, id: t.Id = None, categorical: t.Categorical = None, delimiter: t.Delimiter = None,
    header: t.Header = None, na: t.Missing = None, errors: options.Errors = options.TextErrors.strict,
    seed: options.Seed = 1, cluster: options.Cluster = None, processes: options.Processes = None,
    json: options.Json = False,
) -> None:  # fmt: skip
    """Cross-validate: mean and spread of the metrics over folds.

    \b
    Example:
      mlkit net cv train.csv --target income --folds 5 --epochs 10
    """
    values = {**locals(), "freeze": None}
    use.run_folds(values)


def _teacher(path: str, text: str | None) -> Any:
    """Read a model with probabilities."""
    from mlkit.cli.any_model import load_teacher
    from mlkit.formats.model_file import kind_of
    from mlkit.stacking import load_stack

    return load_stack(path) if kind_of(path) == "stack" else load_teacher(path, text)


def _train(values: dict[str, Any], **more: Any) -> None:
    """Train, write the model, draw the curve."""
    from dataclasses import replace

    from mlkit.checkpoint import Checkpoints
    from mlkit.errors import UsageError
    from mlkit.formats.streams import refuse_same_file
    from mlkit.nets import load_net, train_net
    from mlkit.signals import StopSignals

    v = values
    if v["resume"] and v["checkpoint"] is None:
        raise UsageError("--resume needs --checkpoint FILE")
    inputs = [v["table"], v["valid"], v["init"], v.get("teacher")]
    refuse_same_file(v["output"], [path for path in inputs if path is not None])
    choice = Choice(v["lr"], v["checkpoint"], v["resume"])
    settings = replace(n.settings(v), **choice.settings)
    data, roles, text = n.read(v["table"], v)
    more |= {"text": text, "valid_part": v["valid_part"], "remark": out.warn}
    if v["valid"] is not None:
        more["valid"] = n.read(v["valid"], v)[0]
    if v["init"] is not None:
        more["before"] = load_net(v["init"])
    with out.progress("Training") as report, StopSignals(keyboard=v["checkpoint"] is not None) as stop:
        checkpoints = Checkpoints(v["checkpoint"], v["checkpoint_every"], stop)
        model, history = train_net(
            data, roles, settings, checkpoints=checkpoints, resume=v["resume"], find_rate=choice.finder(report, stop),
            progress=report, **more,
        )  # fmt: skip
    model.save(v["output"])
    t.tell(model)
    if v["plot"] is not None:
        use.draw(history, v["plot"])


use.add_commands(app)
