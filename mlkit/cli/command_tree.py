"""The command tree as shells and man pages see it: one table drives help, completions and man pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlkit import manual
from mlkit.cli.registry import loaded_tree

FILES = ("FILE", "PATH", "VECTORS", "MODEL", "FILE.yaml", "HYP...", "HOW|FILE", "MODEL.bin")
FOLDERS = ("DIR",)
# arguments that are no names of files
PLAIN = ("words", "word", "topic", "k", "threshold", "queries", "rooms", "target", "what")


@dataclass(frozen=True)
class Flag:
    """An option as a shell sees it; `value`: none, file, folder, choice or other."""

    names: tuple[str, ...]
    help: str
    value: str
    choices: tuple[str, ...]
    metavar: str
    default: str = ""

    @property
    def takes_value(self) -> bool:
        """Say whether a value follows."""
        return self.value != "none"


@dataclass(frozen=True)
class Node:
    """A command as a shell sees it: its path, options, arguments, and the names of its subcommands."""

    path: tuple[str, ...]
    help: str
    flags: tuple[Flag, ...]
    children: tuple[tuple[str, str], ...]
    usage: str = ""
    text: str = ""
    arguments: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()  # what an argument may be, where it is one of a few
    files: bool = False  # whether an argument is a file
    hidden: bool = False

    @property
    def name(self) -> str:
        return " ".join(("mlkit", *self.path))


def command_nodes() -> list[Node]:
    """Return every command, for man pages."""
    return [_node(path, command) for path, command in sorted(loaded_tree().items())]


def shell_nodes() -> list[Node]:
    """Return every command as it is typed: hidden defaults lend their options to the name that stands for them."""
    from mlkit.cli.commands.lr_find.trainers import TRAINERS

    tree = loaded_tree()
    nodes = {path: _node(path, command) for path, command in sorted(tree.items())}
    for path, command in tree.items():
        default = getattr(command, "default_command", None)
        if default is not None:
            joined = _joined(nodes[path], nodes[*path, default])
            named = tuple(child for child in joined.children if child[0] != default)
            nodes[path] = replace(joined, children=named)
            nodes[*path, default] = replace(nodes[*path, default], hidden=True)
    _add_trainers(nodes, TRAINERS)
    return [node for _, node in sorted(nodes.items()) if not node.hidden]


def _add_trainers(nodes: dict[tuple[str, ...], Node], trainers: Mapping[str, tuple[str, ...]]) -> None:
    """Add ``lr-find TRAINER [SUBCOMMAND]``, which takes the options of both."""
    base = nodes["lr-find",]
    for name, subcommands in trainers.items():
        path = ("lr-find", name)
        first = nodes[(name, subcommands[0]) if subcommands else (name,)]
        children = tuple((sub, nodes[name, sub].help) for sub in subcommands)
        nodes[path] = replace(_joined(base, first), path=path, children=children, words=())
        for sub in subcommands:
            nodes[*path, sub] = replace(
                _joined(base, nodes[name, sub]), path=(*path, sub), children=(), words=()
            )
    named = tuple((name, nodes[name,].help) for name in trainers)
    nodes["lr-find",] = replace(base, children=named)


def _joined(node: Node, other: Node) -> Node:
    """Return a node with the options and arguments of both."""
    known = {name for flag in node.flags for name in flag.names}
    more = tuple(flag for flag in other.flags if not known & set(flag.names))
    return replace(
        node, flags=(*node.flags, *more), files=node.files or other.files, words=(*node.words, *other.words)
    )


def _node(path: tuple[str, ...], command: Any) -> Node:
    context = command.context_class(command, info_name=" ".join(("mlkit", *path)), **command.context_settings)
    flags, arguments, words, files = [], [], list[str](), False
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "argument":
            arguments.append((str(parameter.name), one_line(parameter.help or "")))
            words += manual.topics() if path == ("help",) else _choices(parameter)
            files |= not _choices(parameter) and parameter.name not in PLAIN
        else:
            flags.append(_flag(parameter, context))
    children = tuple(
        (name, child.get_short_help_str(100))
        for name, child in sorted(getattr(command, "commands", {}).items())
        if not child.hidden
    )
    return Node(
        path, command.get_short_help_str(200), tuple(flags), children,
        usage=" ".join(command.collect_usage_pieces(context)), text=(command.help or ""),
        arguments=tuple(arguments), words=tuple(words), files=files, hidden=bool(command.hidden),
    )  # fmt: skip


def _flag(parameter: Any, context: Any) -> Flag:
    choices = _choices(parameter)
    names = tuple(sorted((*parameter.opts, *parameter.secondary_opts), key=lambda name: (-len(name), name)))
    text = one_line(parameter.help or "")
    if parameter.is_flag or getattr(parameter, "count", False):
        return Flag(names, text, "none", choices, "", "")
    metavar = parameter.metavar or ("|".join(choices) if choices else str(parameter.type.name).upper())
    value = "choice" if choices else "other"
    if metavar in FILES:
        value = "file"
    elif metavar in FOLDERS:
        value = "folder"
    return Flag(names, text, value, choices, metavar, _default(parameter, context))


def _default(parameter: Any, context: Any) -> str:
    """Return the default as help shows it, or nothing."""
    shown = parameter.show_default
    if isinstance(shown, str):
        return shown
    default = parameter.get_default(context, call=False)
    if shown is False or default is None or callable(default):
        return ""
    return str(getattr(default, "value", default))


def _choices(parameter: Any) -> tuple[str, ...]:
    choices = getattr(parameter.type, "choices", None) or ()
    return tuple(str(getattr(choice, "value", choice)) for choice in choices)


def one_line(text: str) -> str:
    """Return a text without line breaks and the marks that keep them."""
    return " ".join(text.replace("\b", "").split())
