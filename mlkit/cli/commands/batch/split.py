"""Which option of a counting command goes where in `mlkit batch`: to the shards, to the merge, or to both.

It is read from the commands. Ways of running (--errors, --memory, --tmp-dir) go wherever they exist; what the
merge also knows (--min-count, --format) is the merge's alone; the rest, and the texts, are the shards'.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mlkit.cli import config, options
from mlkit.cli.registry import COMMANDS, Deferred

if TYPE_CHECKING:
    from mlkit.batch import Shardable, Stage

OTHER_WAYS = ("shard", "processes", "cluster")  # options of running that a batch takes the place of
OWN_VOCABULARY = {
    "min_count": "min_count",
    "max_vocab": "max_size",
}  # of cooccur: what vocab merge calls them


def stages(
    kind: Shardable, count: Any, merge: Any, given: Mapping[str, Any], values: Mapping[str, Any]
) -> list[Stage]:
    """Return the counts and merges that options ask for: of cooccur without --vocab, also of the vocabulary.

    `given` are the options that were set, `values` all with their defaults.
    """
    if kind.count[0] != "cooccur" or "vocab" in given:
        return [_stage(kind, count, merge, given, values)]
    words = next(other for other in kinds() if other.count[0] == "vocab")
    vocab = load("vocab").commands
    wanted = _counted(vocab["count"], vocab["merge"], given)
    wanted |= {new: values[old] for old, new in OWN_VOCABULARY.items() if values[old] is not None}
    rest = {name: value for name, value in given.items() if name not in OWN_VOCABULARY}
    return [
        _stage(words, vocab["count"], vocab["merge"], wanted, values),
        _stage(kind, count, merge, rest, values, vocabulary=True),
    ]


def _stage(
    kind: Shardable, count: Any, merge: Any, given: Mapping[str, Any], values: Mapping[str, Any], *,
    vocabulary: bool = False,
) -> Stage:  # fmt: skip
    from mlkit.batch import Stage

    counted = _counted(count, merge, given)
    merged = {p.name: given[p.name] for p in own(merge) if p.name in given and not _is_argument(p)}
    threads = values["threads"] or 1
    memory = options.size(values["memory"]) if values["memory"] else None
    return Stage(
        kind, tuple(_words(count, counted)), tuple(_words(merge, merged)), tuple(_files(count, counted)),
        (threads, threads if "threads" in _names(merge) else 1),
        (memory, memory if "memory" in _names(merge) else None), vocabulary,
    )  # fmt: skip


def _counted(count: Any, merge: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that shards get."""
    return {
        p.name: given[p.name]
        for p in own(count)
        if p.name in given and (_is_argument(p) or _is_running(p) or p.name not in _names(merge))
    }


def kinds() -> tuple[Shardable, ...]:
    """Return what can be cut into shards."""
    from mlkit.batch import SHARDABLE

    return SHARDABLE


def load(name: str) -> Any:
    """Return a command of mlkit, loaded."""
    return Deferred(name, COMMANDS[name]).load()


def own(command: Any) -> list[Any]:
    """Return the parameters of a command that are its own, and not ways of running it that a batch replaces."""
    return [p for p in command.params if p.name not in (*config.COMMON, *OTHER_WAYS)]


def _names(command: Any) -> set[str]:
    return {parameter.name for parameter in own(command)}


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _is_running(parameter: Any) -> bool:
    return getattr(parameter, "rich_help_panel", None) == options.RUN


def as_in_a_batch(parameter: Any) -> Any:
    """Return a parameter as a batch has it: files must be named, and a task has one CPU unless told."""
    parameter = copy.copy(parameter)
    if _is_argument(parameter):
        parameter.required, parameter.help, parameter.show_default = True, "Files or folders.", False
    elif parameter.name == "output":
        parameter.required, parameter.default, parameter.show_default = True, None, False
        parameter.help = "The result: what the merge writes."
    elif parameter.name == "threads":
        parameter.help, parameter.show_default = "CPUs and threads of a task.", "1"
    return parameter


def _words(command: Any, given: dict[str, Any]) -> Iterable[str]:
    """Yield the arguments that call a command with the given values (--output and --threads are the scripts')."""
    for parameter in own(command):
        value = config.plain(given.get(parameter.name))
        if value is None or parameter.name in ("output", "threads"):
            continue
        values = value if isinstance(value, list) else [value]
        if _is_argument(parameter):
            yield from map(_file, values)
        elif parameter.is_flag:
            yield from (parameter.opts if value else parameter.secondary_opts)[:1]
        else:
            name = max(parameter.opts, key=len)
            for text in map(str, values):
                yield from ([f"{name}={text}"] if text.startswith("-") else [name, text])


def _files(command: Any, given: dict[str, Any]) -> Iterable[str]:
    """Yield the files that a command reads: its arguments, and the options that name a file."""
    for parameter in own(command):
        value = given.get(parameter.name)
        if value is None or parameter.name == "output":
            continue
        if _is_argument(parameter):
            yield from map(_file, value)
        elif parameter.metavar == "FILE":
            yield _file(value)


def _file(name: str) -> str:
    return f"./{name}" if name.startswith("-") and name != "-" else name
