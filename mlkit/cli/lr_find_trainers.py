"""Range tests of our own trainers: ``mlkit lr-find train-w2v CORPUS --dim 50`` takes the trainer's own options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlkit.cli import options
from mlkit.cli.registry import COMMANDS, Deferred

if TYPE_CHECKING:
    from mlkit.lr_find.trainers import Test

# the path of the command whose options are taken
TRAINERS: dict[str, tuple[str, ...]] = {
    "train-w2v": ("train-w2v",), "train-glove": ("train-glove",), "fasttext": ("fasttext", "supervised"),
    "net": ("net", "train"), "boost": ("boost", "train"),
}  # fmt: skip


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


def trainer_test(arguments: Sequence[str]) -> Test:
    """Return the range test of a trainer that is called with these arguments, its name first."""
    from mlkit.threads import thread_count

    name, given = arguments[0], list(arguments[1:])
    command: Any = Deferred(name, COMMANDS[name]).load()
    for part in TRAINERS[name][1:]:
        command = command.commands[part]
        if given[:1] == [part]:
            given.pop(0)
    for parameter in command.params:
        if parameter.name == "output":
            parameter.required = False  # nothing is written
    context = command.make_context(" ".join(TRAINERS[name]), given)
    values = {name: getattr(value, "value", value) for name, value in context.params.items()}
    if "errors" in values:
        values["errors"] = options.TextErrors(values["errors"])
    return _TESTS[name](values, thread_count(values.get("threads")))


def _word2vec(v: dict[str, Any], threads: int) -> Test:
    from mlkit.embeddings.word2vec import Settings
    from mlkit.embeddings.word2vec_texts import Texts
    from mlkit.lr_find.trainers import word2vec_test

    names = ("dim", "window", "negative", "ns_exponent", "share_negatives", "sample", "seed")
    settings = Settings(model=v["model"], loss=v["loss"], **{name: v[name] for name in names})
    texts = Texts(
        v["corpus"], min_count=v["min_count"], max_vocab=v["max_vocab"], lower=v["lower"], vocabulary=v["vocab"],
        encoded=v["encoded"], errors=v["errors"].value, tmp_dir=v["tmp_dir"],
        memory=options.size(v["memory"]) if v["memory"] else None,
    )  # fmt: skip
    return word2vec_test(texts, settings, threads)


def _glove(v: dict[str, Any], threads: int) -> Test:
    from mlkit.embeddings.glove import Settings
    from mlkit.embeddings.glove_texts import Counting
    from mlkit.lr_find.trainers import glove_test

    settings = Settings(**{name: v[name] for name in ("dim", "x_max", "alpha", "clip", "seed")})
    counting = Counting(
        v["window"], v["symmetric"], v["distance_weighting"], v["min_count"], v["max_vocab"], v["lower"],
        v["errors"].value,
    )  # fmt: skip
    return glove_test(v["input"], settings, counting, v["vocab"], threads, v["tmp_dir"])


def _fasttext(v: dict[str, Any], threads: int) -> Test:
    from mlkit.cli.fasttext import _settings
    from mlkit.lr_find.trainers import fasttext_test

    return fasttext_test(v["input"], _settings("supervised", v), v["tmp_dir"])


def _net(v: dict[str, Any], threads: int) -> Test:
    from mlkit.cli import net_options
    from mlkit.lr_find.trainers import net_test
    from mlkit.nets import load_net

    table, roles, text = net_options.read(v["table"], v)
    before = load_net(v["init"]) if v["init"] is not None else None
    return net_test(
        table, roles, net_options.settings(v), text=text, valid_part=v["valid_part"], before=before
    )


def _boost(v: dict[str, Any], threads: int) -> Test:
    from mlkit.cli import tree_options as t
    from mlkit.errors import UsageError
    from mlkit.formats.tables import read_table
    from mlkit.lr_find.trainers import boost_test
    from mlkit.trees import GradientSettings

    if v["algorithm"] != "gradient":
        raise UsageError("the range test of boost is for gradient boosting")
    names = ("leaves", "min_leaf", "min_hessian", "l1", "l2", "min_gain", "rows", "columns", "goss", "seed")
    settings = GradientSettings(max_depth=v["max_depth"] or 0, **{name: v[name] for name in names})
    roles = t.columns(
        *(v[k] for k in ("target", "weight", "ignore", "id", "categorical", "task", "class_weight", "bins"))
    )
    form = t.table_format(v["delimiter"], v["header"], v["na"], v["errors"])
    table = read_table(v["table"], form, as_text=t.text_columns(v))
    return boost_test(table, roles, settings, v["loss"], v["quantile"], threads)


_TESTS = {"train-w2v": _word2vec, "train-glove": _glove, "fasttext": _fasttext, "net": _net, "boost": _boost}
