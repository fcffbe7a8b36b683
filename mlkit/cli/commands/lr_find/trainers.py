"""Range tests of our own trainers: ``mlkit lr-find train-w2v CORPUS --dim 50`` calls the trainer with ``--lr auto``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mlkit.cli import config
from mlkit.cli.learning_rate import probing
from mlkit.cli.options import AUTO
from mlkit.cli.registry import COMMANDS, Deferred

if TYPE_CHECKING:
    from mlkit.lr_find import Curve
    from mlkit.progress import Progress
    from mlkit.range_test import Sweep

# the subcommands that train; the first is meant where none is named
TRAINERS: dict[str, tuple[str, ...]] = {
    "train-w2v": (), "train-glove": (), "fasttext": ("supervised", "skipgram", "cbow"), "net": ("train", "distill"),
    "boost": ("train",),
}  # fmt: skip


class _Found(BaseException):
    """The way out of a trainer that is not to train."""


def split_arguments(arguments: Sequence[str], own: Sequence[Any]) -> tuple[list[str], list[str]]:
    """Part a call with a trainer's name into our own options and (the name and) everything that is the trainer's.

    An option that both have is ours. Without a trainer's name everything is ours.
    """
    flags = {name for p in own for name in (*p.opts, *p.secondary_opts) if getattr(p, "is_flag", False)}
    valued = {name for p in own for name in p.opts if name.startswith("-")} - flags - {"--config"}
    ours: list[str] = []
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        name = argument.split("=", 1)[0]
        if name in flags:
            ours.append(argument)
        elif name in valued:
            ours.append(argument)
            if "=" not in argument and waiting:
                ours.append(waiting.pop(0))
        else:
            rest.append(argument)
    if not rest or rest[0] not in TRAINERS:
        return list(arguments), []
    return ours, rest


def trainer_curves(arguments: Sequence[str], test: Callable[[Sweep, Progress], list[Curve]]) -> list[Curve]:
    """Call a trainer with these arguments, its name first, as far as its sweep, and return what `test` makes of it."""
    path, given = [arguments[0]], list(arguments[1:])
    command: Any = Deferred(path[0], COMMANDS[path[0]]).load()
    if parts := TRAINERS[path[0]]:
        path.append(given.pop(0) if given and given[0] in command.commands else parts[0])
        if path[1] not in parts:
            from mlkit.errors import UsageError

            raise UsageError(f"mlkit {' '.join(path)} is no trainer; there is {', '.join(parts)}")
        command = command.commands[path[1]]
    for parameter in command.params:
        if parameter.name == "output":
            parameter.required = False  # nothing is written
    found: list[Curve] = []

    def probe(sweep: Sweep, progress: Progress) -> float:
        found.extend(test(sweep, progress))
        raise _Found

    variables = "_".join(["MLKIT", *path]).upper().replace("-", "_")
    context = command.make_context(" ".join(path), given, auto_envvar_prefix=variables)
    values = {name: value for name, value in context.params.items() if name not in config.COMMON}
    (rate,) = (parameter.name for parameter in command.params if "--lr" in parameter.opts)
    values |= {rate: AUTO, "output": "-"}
    # a test begins anew, and leaves the trainer's own files alone
    values |= {name: value for name, value in _LEFT_OUT.items() if name in values}
    context.params = values
    with probing(probe), context:
        try:
            context.invoke(command.callback, **values)
        except _Found:
            pass
    return found


_LEFT_OUT = {"checkpoint": None, "resume": False, "save_output_vectors": None}
