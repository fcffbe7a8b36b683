"""`mlkit fasttext`: train, as the original does; the other commands are in `fasttext_use`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from mlkit.cli import options
from mlkit.cli.commands.fasttext import files, use, vectors
from mlkit.cli.commands.fasttext import options as o
from mlkit.cli.commands.fasttext.options import Original, app
from mlkit.cli.learning_rate import Choice
from mlkit.cli.output import out
from mlkit.cli.workers import Workers, paths

if TYPE_CHECKING:
    from mlkit.fasttext.loop import Job, Result

__all__ = ["app", "files", "use", "vectors"]


@app.command(cls=Original)
def supervised(
    context: typer.Context, input: o.Input, output: o.OutputName, lr: o.Lr = 0.1, dim: o.Dim = 100,
    ws: o.Ws = 5, epoch: o.Epoch = 5, min_count: o.MinCount = 1, min_count_label: o.MinCountLabel = 0,
    neg: o.Neg = 5, word_ngrams: o.WordNgrams = 1, loss: o.Loss = "softmax", bucket: o.Bucket = 2_000_000,
    minn: o.Minn = 0, maxn: o.Maxn = 0, sample: o.Sample = 1e-4, label: o.Label = "__label__",
    pretrained_vectors: o.Pretrained = None, lr_update_rate: o.LrUpdateRate = 100, shuffle: o.Shuffle = True,
    valid: o.Valid = None, patience: o.Patience = 0, autotune_validation: o.Validation = None,
    autotune_metric: o.Metric = "f1", autotune_predictions: o.Predictions = 1,
    autotune_duration: o.Duration = 300, autotune_modelsize: o.ModelSize = "", autotune_trials: o.Trials = 0,
    save_output: o.SaveOutput = False, native: o.Native = False, no_vec: o.NoVec = False,
    checkpoint: options.Checkpoint = None, checkpoint_every: options.CheckpointEvery = 600,
    resume: options.Resume = False, tmp_dir: options.TmpDir = None, threads: o.Threads = None,
    seed: options.Seed = 1, json: options.Json = False, cluster: options.Cluster = None,
    processes: options.Processes = None, sync: options.Sync = None,
) -> None:  # fmt: skip
    """Train a classifier on lines with __label__ tokens.

    --processes N and --cluster train a shard of the lines on each worker, from weights that they put together --sync
    times in an epoch; the lines must not be sorted by label. With --threads 1 the result depends on the number of
    workers only.

    \b
    Example:
      mlkit fasttext supervised -input cooking.train.txt -output model -lr 1.0 -epoch 25 -wordNgrams 2
    """
    from mlkit.errors import UsageError

    choice = Choice(lr, checkpoint, resume)
    settings = _settings("supervised", context.params, choice)
    with out.progress("Training") as report:
        job = _job(context.params, report)
        if autotune_validation is not None:
            from mlkit.fasttext.autotune import Search, autotune

            if valid or resume or checkpoint:
                raise UsageError("autotune goes with neither --valid nor checkpoints")
            if _workers(context.params):
                raise UsageError("autotune works on this machine only")
            if choice.auto:
                raise UsageError("--lr auto and autotune both search a rate: leave --lr out")
            fixed = {name for name in context.params if _given(context, name)}
            search = Search(
                autotune_validation, autotune_metric, autotune_predictions, autotune_duration,
                options.size(autotune_modelsize) if autotune_modelsize else None, autotune_trials,
            )  # fmt: skip
            tuned = autotune(input, settings, search, fixed, job, say=out.detail)
            out.words(
                f"best of {tuned.trials} trials: {tuned.score:.4f} {autotune_metric}, {tuned.described}"
            )
            if tuned.quantised is not None:
                _write(output, tuned.quantised, suffix=".ftz", native=False)
                return
            result = tuned.result
        else:
            score = use.scorer(valid) if valid else None
            more = {"score": score, "patience": patience, "find_rate": choice.finder(report)}
            result = _trained(context.params, settings, job, more)
    _finish(output, result, context.params | choice.settings)


def _train_vectors(model: str) -> Callable[..., None]:
    def train(
        context: typer.Context, input: o.Input, output: o.OutputName, lr: o.Lr = 0.05, dim: o.Dim = 100,
        ws: o.Ws = 5, epoch: o.Epoch = 5, min_count: o.MinCount = 5, min_count_label: o.MinCountLabel = 0,
        neg: o.Neg = 5, word_ngrams: o.WordNgrams = 1, loss: o.Loss = "ns", bucket: o.Bucket = 2_000_000,
        minn: o.Minn = 3, maxn: o.Maxn = 6, sample: o.Sample = 1e-4, label: o.Label = "__label__",
        pretrained_vectors: o.Pretrained = None, lr_update_rate: o.LrUpdateRate = 100,
        shuffle: o.Shuffle = True, save_output: o.SaveOutput = False, native: o.Native = False, no_vec: o.NoVec = False,
        checkpoint: options.Checkpoint = None, checkpoint_every: options.CheckpointEvery = 600,
        resume: options.Resume = False, tmp_dir: options.TmpDir = None, threads: o.Threads = None,
        seed: options.Seed = 1, json: options.Json = False, cluster: options.Cluster = None,
        processes: options.Processes = None, sync: options.Sync = None,
    ) -> None:  # fmt: skip
        choice = Choice(lr, checkpoint, resume)
        settings = _settings(model, context.params, choice)
        with out.progress("Training") as report:
            job = _job(context.params, report)
            result = _trained(context.params, settings, job, {"find_rate": choice.finder(report)})
        _finish(output, result, context.params | choice.settings)

    return train


def _workers(values: dict[str, Any]) -> Workers:
    from mlkit.errors import UsageError

    workers = Workers(*(values[name] for name in ("cluster", "processes", "output", "tmp_dir", "threads")))
    if values["sync"] is not None and not workers:
        raise UsageError("--sync needs --cluster or --processes")
    return workers


def _trained(values: dict[str, Any], settings: Any, job: Job, more: dict[str, Any]) -> Result:
    """Train here, or on workers."""
    if workers := _workers(values):
        from mlkit.fasttext.distributed import train_on

        with workers.engine() as engine:
            crew = workers.crew(engine, values["sync"])
            return train_on(crew, paths(engine, [values["input"]])[0], settings, job, **more)
    if settings.model == "supervised":
        from mlkit.fasttext.supervised import train_supervised

        return train_supervised(values["input"], settings, job, **more)
    from mlkit.fasttext.unsupervised import train_vectors

    return train_vectors(values["input"], settings, job, **more)


_MORE = """

--processes N and --cluster train a shard of the text on each worker, from weights that they put together --sync times
in an epoch. With --threads 1 the result depends on the number of workers only.

\b
Example:
  mlkit fasttext {0} --input corpus.txt --output vec --minn 3 --maxn 6"""
_HELP = {"skipgram": "Train skip-gram word vectors with character n-grams.",
         "cbow": "Train CBOW word vectors with character n-grams."}  # fmt: skip
for _name, _text in _HELP.items():
    app.command(_name, cls=Original, help=_text + _MORE.format(_name), short_help=_text)(
        _train_vectors(_name)
    )


_IN_HELP = [__name__, use.__name__, vectors.__name__, files.__name__]
app.registered_commands.sort(key=lambda command: _IN_HELP.index(getattr(command.callback, "__module__", "")))


def _settings(model: str, values: dict[str, Any], choice: Choice) -> Any:
    from mlkit.fasttext.settings import Settings

    loss = "ova" if values["loss"] == "one-vs-all" else values["loss"]
    return replace(
        Settings.of(model), **choice.settings, dim=values["dim"], window=values["ws"], epoch=values["epoch"],
        min_count=values["min_count"], min_count_label=values["min_count_label"], negative=values["neg"],
        word_ngrams=values["word_ngrams"], loss=loss, bucket=values["bucket"], minn=values["minn"],
        maxn=values["maxn"], sample=values["sample"], label_prefix=values["label"],
        pretrained=values["pretrained_vectors"], shuffle=values["shuffle"], seed=values["seed"],
    ).checked()  # fmt: skip


def _job(values: dict[str, Any], report: Any) -> Job:
    from mlkit.fasttext.loop import Job
    from mlkit.formats.streams import refuse_same_file
    from mlkit.threads import thread_count

    refuse_same_file(values["output"] + ".bin", [values["input"]])
    return Job(
        thread_count(values["threads"]), values["checkpoint"], values["checkpoint_every"], values["resume"],
        values["tmp_dir"], report,
    )  # fmt: skip


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _write(name: str, model: Any, suffix: str, *, native: bool) -> str:
    from mlkit.fasttext.model import save

    path = name + (".safetensors" if native else suffix)
    save(path, model)
    out.detail(f"wrote {path}")
    return path


def _finish(name: str, result: Result, values: dict[str, Any]) -> None:
    """Write the model's files and report."""
    from mlkit.fasttext.text_vectors import write_output_vectors, write_vectors

    path = _write(name, result.model, ".bin", native=values["native"])
    if not values["no_vec"]:
        write_vectors(name + ".vec", result.model)
    if values["save_output"]:
        write_output_vectors(name + ".output", result.model)
    for epoch, score in enumerate(result.scores, 1):
        out.words(f"epoch {epoch}: loss {result.losses[epoch - 1]:.4f}, held-out F1 {score:.4f}")
    if values["json"]:
        facts = {"model": path, "losses": result.losses, "f1": result.scores, "best_epoch": result.best_epoch}
        settings = {key: value for key, value in values.items() if isinstance(value, (int, float, str))}
        out.json("mlkit.fasttext.train", facts, settings)
