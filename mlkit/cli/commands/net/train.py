"""`mlkit net`: feed-forward networks on tables and __label__ text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlkit.cli import options
from mlkit.cli.commands.net import options as n
from mlkit.cli.commands.net import use
from mlkit.cli.commands.tables import options as t
from mlkit.cli.learning_rate import Choice
from mlkit.cli.option_groups import spread
from mlkit.cli.output import out
from mlkit.cli.registry import App

if TYPE_CHECKING:
    from mlkit.nets import NetSettings

app = App(help="Neural networks on tables and labelled text.")


@app.command()
@spread
def train(
    table: n.TableArgument, output: t.ModelOutput, architecture: n.Architecture, start: n.Start,
    objective: n.Objective, learning: n.Learning, inputs: n.Inputs, columns: t.ColumnOptions,
    format: t.FormatOptions, saving: options.CheckpointOptions, target: n.Target = None, task: t.Task = "auto",
    valid: n.Valid = None, plot: n.Plot = None, threads: options.Threads = None, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Train a network on a table, or on text whose lines begin with __label__NAME.

    Layers, loss, optimiser and schedule may stand in a YAML file (--config net.yaml); options override it. Products
    run on one thread: the same seed gives the same bytes for any --threads.

    \b
    Example:
      mlkit net train train.csv --target income --layers '100, relu, dropout: 0.2' -o income.net
    """
    settings = n.settings(architecture, learning, inputs, seed, objective, start)
    source = n.Source(target, task, inputs.text, columns, format)
    _train(Job(table, output, valid, start.init, plot), source, settings, learning, saving)


@app.command()
@spread
def distill(
    table: n.TableArgument, output: t.ModelOutput, teacher: n.TeacherFile, architecture: n.Architecture,
    start: n.Start, learning: n.Learning, inputs: n.Inputs, columns: t.ColumnOptions, format: t.FormatOptions,
    saving: options.CheckpointOptions, temperature: n.Temperature = 4.0, alpha: n.Alpha = 0.7,
    target: n.Target = None, valid: n.Valid = None, plot: n.Plot = None, threads: options.Threads = None,
    seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Train a network (student) on what another model (teacher) says.

    The loss is A * T^2 * cross-entropy with the teacher's probabilities, softened by the temperature T, plus (1 - A) *
    cross-entropy with the truth.

    \b
    Example:
      mlkit net distill --teacher big.net train.csv --target income --layers '8, relu' -o student.net
    """
    from mlkit.nets import Teacher

    settings = n.settings(architecture, learning, inputs, seed, start=start)
    source = n.Source(target, "classification", inputs.text, columns, format)
    job = Job(table, output, valid, start.init, plot, teacher)
    says = Teacher(_teacher(teacher, inputs.text), temperature, alpha)
    _train(job, source, settings, learning, saving, teacher=says)


@app.command()
@spread
def cv(
    table: n.TableArgument, folds: t.FoldOptions, architecture: n.Architecture, objective: n.Objective,
    learning: n.Learning, inputs: n.Inputs, columns: t.ColumnOptions, format: t.FormatOptions,
    workers: options.WorkerOptions, target: n.Target = None, task: t.Task = "auto", seed: options.Seed = 1,
    json: options.Json = False,
) -> None:  # fmt: skip
    """Cross-validate: mean and spread of the metrics over folds.

    \b
    Example:
      mlkit net cv train.csv --target income --folds 5 --epochs 10
    """
    settings = n.settings(architecture, learning, inputs, seed, objective)
    source = n.Source(target, task, inputs.text, columns, format)
    use.run_folds(source, settings, learning, table, folds, workers, json=json)


@dataclass(frozen=True)
class Job:
    """The files of a training."""

    table: str
    output: str
    valid: str | None
    init: str | None
    plot: str | None
    teacher: str | None = None


def _teacher(path: str, text: str | None) -> Any:
    """Read a model with probabilities."""
    from mlkit.cli.any_model import load_teacher
    from mlkit.formats.model_file import kind_of
    from mlkit.stacking import load_stack

    return load_stack(path) if kind_of(path) == "stack" else load_teacher(path, text)


def _train(
    job: Job, source: n.Source, settings: NetSettings, learning: n.Learning, saving: options.CheckpointOptions,
    **more: Any,
) -> None:  # fmt: skip
    """Train, write the model, draw the curve."""
    from dataclasses import replace

    from mlkit.checkpoint import Checkpoints
    from mlkit.formats.streams import refuse_same_file
    from mlkit.nets import load_net, train_net
    from mlkit.signals import StopSignals

    saving.check()
    inputs = [job.table, job.valid, job.init, job.teacher]
    refuse_same_file(job.output, [path for path in inputs if path is not None])
    choice = Choice(learning.lr, saving.checkpoint, saving.resume)
    settings = replace(settings, **choice.settings)
    data, roles, text = source.read(job.table)
    more |= {"text": text, "valid_part": learning.valid_part, "remark": out.warn}
    if job.valid is not None:
        more["valid"] = source.read(job.valid)[0]
    if job.init is not None:
        more["before"] = load_net(job.init)
    with out.progress("Training") as report, StopSignals(keyboard=saving.checkpoint is not None) as stop:
        checkpoints = Checkpoints(saving.checkpoint, saving.checkpoint_every, stop)
        model, history = train_net(
            data, roles, settings, checkpoints=checkpoints, resume=saving.resume,
            find_rate=choice.finder(report, stop), progress=report, **more,
        )  # fmt: skip
    model.save(job.output)
    t.tell(model)
    if job.plot is not None:
        use.draw(history, job.plot)


use.add_commands(app)
