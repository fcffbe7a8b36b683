"""`mlkit fasttext`: quantise, convert and dump models."""

from __future__ import annotations

from typing import Annotated

import typer

from mlkit.cli import options
from mlkit.cli.commands.fasttext import options as o
from mlkit.cli.commands.fasttext.options import Original, app
from mlkit.cli.output import out

What = Annotated[str, typer.Argument(help="args, dict, input or output.", show_default=False)]
Target = Annotated[
    str, typer.Argument(help="New file: .safetensors (used rows, mapped) or .bin.", show_default=False)
]


@app.command(cls=Original)
def quantize(
    output: o.OutputName, input: o.QuantiseText = None,
    cutoff: o.QuantiseCutoff = 0,
    retrain: o.QuantiseRetrain = False,
    qnorm: o.QuantiseQnorm = False,
    qout: o.QuantiseQout = False,
    dsub: o.QuantiseDsub = 2,
    epoch: o.QuantiseEpoch = 5, lr: o.QuantiseLr = 0.1,
    label: o.Label = "__label__", threads: o.Threads = None, seed: options.Seed = 1,
) -> None:  # fmt: skip
    """Turn OUTPUT.bin into the small OUTPUT.ftz.

    \b
    Example:
      mlkit fasttext quantize -output model -input cooking.train.txt -qnorm -retrain -epoch 1 -cutoff 100000
    """
    from mlkit.errors import UsageError
    from mlkit.fasttext.model import load, save
    from mlkit.fasttext.quantize import quantise
    from mlkit.threads import thread_count

    if retrain and input is None:
        raise UsageError("--retrain needs --input, the training text")
    with out.progress("Quantising") as report:
        small = quantise(
            load(output + ".bin", label), cutoff=cutoff, retrain=input if retrain else None, qnorm=qnorm, qout=qout,
            dsub=dsub, epoch=epoch, lr=lr, seed=seed, threads=thread_count(threads), progress=report,
        )  # fmt: skip
    save(output + ".ftz", small)


@app.command(cls=Original)
def dump(model: o.Model, what: What) -> None:
    """Print a model's settings, dictionary, input or output matrix.

    \b
    Example:
      mlkit fasttext dump model.bin args
    """
    from mlkit.fasttext.dump import dump_lines
    from mlkit.fasttext.model import load

    for line in dump_lines(load(model), what):
        out.stdout.write(line + b"\n")


@app.command(cls=Original)
def convert(model: o.Model, target: Target) -> None:
    """Write a model as .safetensors, or back as .bin.

    .safetensors keeps only rows that hold something, and is mapped into memory when read.

    \b
    Example:
      mlkit fasttext convert model.bin model.safetensors
    """
    from mlkit.fasttext.model import compacted, load, save
    from mlkit.formats.streams import refuse_same_file

    refuse_same_file(target, [model])
    loaded = load(model)
    save(target, compacted(loaded) if target.endswith(".safetensors") else loaded)
