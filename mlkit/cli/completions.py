"""Completion scripts and man pages, generated from the command tree.

One table (the tree) drives help, completions and man pages; tests compare the committed files with fresh ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlkit import manual
from mlkit.cli.registry import loaded_tree
from mlkit.version import __version__

TYPE_IS_FILE = ("FILE", "PATH", "DIR", "VECTORS", "MODEL")


@dataclass(frozen=True)
class Flag:
    """An option as a shell sees it."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...]
    metavar: str


@dataclass(frozen=True)
class Node:
    """A command as a shell sees it: its path, options, and the names of its subcommands."""

    path: tuple[str, ...]
    help: str
    flags: tuple[Flag, ...]
    children: tuple[tuple[str, str], ...]
    usage: str = ""
    text: str = ""
    arguments: tuple[tuple[str, str], ...] = ()
    words: tuple[str, ...] = ()  # what an argument may be, where it is one of a few

    @property
    def name(self) -> str:
        return " ".join(("mlkit", *self.path))


def files(target: str) -> dict[str, str]:
    """Return the generated files by name for one target: bash, zsh, fish, man or all."""
    nodes = [_node(path, command) for path, command in sorted(loaded_tree().items())]
    makers: dict[str, Callable[[], dict[str, str]]] = {
        "bash": lambda: {"mlkit.bash": bash(nodes)},
        "zsh": lambda: {"_mlkit": zsh(nodes)},
        "fish": lambda: {"mlkit.fish": fish(nodes)},
        "man": lambda: {
            **{f"man/{'-'.join(('mlkit', *node.path))}.1": man(node) for node in nodes},
            **pages(),
        },
    }
    chosen = makers if target == "all" else {target: makers[target]}
    return {name: text for make in chosen.values() for name, text in make().items()}


def pages() -> dict[str, str]:
    """Return the pages of the manual as man pages of section 7, by file name."""
    return {
        f"man/mlkit-{topic}.7": manual.man_page(topic, manual.page(topic), __version__)
        for topic in manual.topics()
    }


def _node(path: tuple[str, ...], command: Any) -> Node:
    context = command.context_class(command, info_name=" ".join(("mlkit", *path)), **command.context_settings)
    flags, arguments, words = [], [], list[str]()
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        if parameter.param_type_name == "argument":
            arguments.append((str(parameter.name), _one_line(parameter.help or "")))
            words += _choices(parameter)
        else:
            flags.append(_flag(parameter, context))
    children = tuple(
        (name, child.get_short_help_str(100))
        for name, child in sorted(getattr(command, "commands", {}).items())
        if not child.hidden
    )
    return Node(
        path,
        command.get_short_help_str(200),
        tuple(flags),
        children,
        usage=" ".join(command.collect_usage_pieces(context)),
        text=(command.help or ""),
        arguments=tuple(arguments),
        words=tuple(words),
    )


def _flag(parameter: Any, context: Any) -> Flag:
    choices = _choices(parameter)
    takes_value = not (parameter.is_flag or getattr(parameter, "count", False))
    metavar = ""
    if takes_value:
        metavar = parameter.metavar or ("|".join(choices) if choices else str(parameter.type.name).upper())
    names = tuple(sorted((*parameter.opts, *parameter.secondary_opts), key=lambda name: (-len(name), name)))
    return Flag(names, _one_line(parameter.help or ""), takes_value, choices, metavar)


def _choices(parameter: Any) -> tuple[str, ...]:
    choices = getattr(parameter.type, "choices", None) or ()
    return tuple(str(getattr(choice, "value", choice)) for choice in choices)


def _one_line(text: str) -> str:
    return " ".join(text.replace("\b", "").split())


# bash


def bash(nodes: Sequence[Node]) -> str:
    """Return a bash completion script (works with and without the bash-completion package)."""
    cases = []
    for node in nodes:
        words = [*node.words, *(name for name, _ in node.children)]
        words += [name for flag in node.flags for name in flag.names]
        cases.append(f"        '{' '.join(node.path)}') words='{' '.join(sorted(words))}' ;;")
    values = []
    for node in nodes:
        for flag in node.flags:
            for name in flag.names if flag.choices else ():
                values.append(
                    f"        '{' '.join((*node.path, name))}') words='{' '.join(flag.choices)}' ;;"
                )
    groups = "|".join(f"'{' '.join((*node.path, name))}'" for node in nodes for name, _ in node.children)
    return (
        "\n".join(
            [
                "# bash completion for mlkit, made by 'mlkit completion bash'",
                "_mlkit() {",
                "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}",
                "    local path='' words='' i candidate",
                "    for ((i = 1; i < COMP_CWORD; i++)); do",
                "        candidate=${path:+$path }${COMP_WORDS[i]}",
                "        case $candidate in",
                f"            {groups}) path=$candidate ;;",
                "        esac",
                "    done",
                '    case "${path:+$path }$previous" in',
                *values,
                "    esac",
                '    if [[ -z $words ]]; then case "$path" in',
                *cases,
                "    esac; fi",
                '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
                "    if [[ ${#COMPREPLY[@]} -eq 0 && $current != -* ]]; then",
                '        COMPREPLY=($(compgen -f -- "$current"))',
                "    fi",
                "}",
                "complete -o filenames -o bashdefault -F _mlkit mlkit",
            ]
        )
        + "\n"
    )


# zsh


def zsh(nodes: Sequence[Node]) -> str:
    """Return a zsh completion function; `#compdef` must be its first line."""
    lines = ["#compdef mlkit", "# made by 'mlkit completion zsh'", ""]
    for node in nodes:
        function = "_".join(("_mlkit", *(part.replace("-", "_") for part in node.path)))
        lines.append(f"{function}{'_root' if not node.path else ''}() {{")
        specs = [spec for flag in node.flags for spec in _zsh_flag(flag)]
        if node.children:
            lines += ["  local -a commands=("]
            lines += [f"    {_quoted(name + ':' + text)}" for name, text in node.children]
            lines += ["  )", "  local context state state_descr line", "  typeset -A opt_args"]
            lines += ["  _arguments -C \\", *[f"    {spec} \\" for spec in specs]]
            lines += ["    '1: :->command' '*:: :->rest'", "  case $state in"]
            lines += ["    command) _describe command commands ;;", "    rest)", "      case $line[1] in"]
            for name, _ in node.children:
                lines.append(f"        {name}) {'_'.join(('_mlkit', *node.path, name)).replace('-', '_')} ;;")
            lines += ["      esac ;;", "  esac"]
        else:
            lines += ["  _arguments \\", *[f"    {spec} \\" for spec in specs], _zsh_rest(node)]
        lines += ["}", ""]
    lines += [
        '_mlkit() { _mlkit_root "$@" }',
        'if [ "$funcstack[1]" = "_mlkit" ]; then _mlkit "$@"; else compdef _mlkit mlkit; fi',
    ]
    return "\n".join(lines) + "\n"


def _zsh_rest(node: Node) -> str:
    return f"    '*:value:({' '.join(node.words)})'" if node.words else "    '*:file:_files'"


def _zsh_flag(flag: Flag) -> list[str]:
    text = flag.help.replace("[", "(").replace("]", ")").replace(":", " ")
    value = ""
    if flag.choices:
        value = f":value:({' '.join(flag.choices)})"
    elif flag.takes_value:
        value = (
            ":file:_files" if flag.metavar in TYPE_IS_FILE else f":{flag.metavar.lower().replace(':', ' ')}: "
        )
    return [_quoted(f"{name}[{text}]{value}") for name in flag.names]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# fish


def fish(nodes: Sequence[Node]) -> str:
    """Return a fish completion script."""

    lines = [
        "# fish completion for mlkit, made by 'mlkit completion fish'",
        "function __mlkit_at",
        "    set -l path",
        "    for word in (commandline -opc)[2..-1]",
        "        set -l candidate (string join ' ' $path $word)",
        '        if contains -- "$candidate" $__mlkit_paths',
        "            set path $path $word",
        "        end",
        "    end",
        '    test "$path" = "$argv"',
        "end",
        "set -g __mlkit_paths " + " ".join(_fish(" ".join(node.path)) for node in nodes if node.path),
    ]
    for node in nodes:
        condition = _fish("__mlkit_at " + " ".join(node.path)).strip()
        start = f"complete -c mlkit -n {condition}"
        lines += [f"{start} -f -a {_fish(name)} -d {_fish(text)}" for name, text in node.children]
        if node.words:
            lines.append(f"{start} -f -a {_fish(' '.join(node.words))}")
        for flag in node.flags:
            names = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-{'s' if len(name) == 2 else 'o'} {name[1:]}"
                for name in flag.names
            )
            value = ""
            if flag.choices:
                value = f" -x -a {_fish(' '.join(flag.choices))}"
            elif flag.takes_value:
                value = " -r" if flag.metavar in TYPE_IS_FILE else " -x"
            lines.append(f"{start} {names}{value} -d {_fish(flag.help)}")
    return "\n".join(lines) + "\n"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# man


def man(node: Node) -> str:
    """Return a man page in the man(7) macros."""
    title = "-".join(("mlkit", *node.path)).upper()
    lines = [f'.TH "{title}" "1" "" "mlkit {__version__}" "mlkit manual"', ".SH NAME"]
    lines += [f"{_roff('-'.join(('mlkit', *node.path)))} \\- {_roff(node.help)}", ".SH SYNOPSIS"]
    lines += [f".B {_roff(node.name)}", _roff(node.usage), ".SH DESCRIPTION", *_man_text(node.text)]
    if node.arguments:
        lines.append(".SH ARGUMENTS")
        for name, text in node.arguments:
            lines += [".TP", f".I {_roff(name)}", _roff(text) or "\\&"]
    if node.children:
        lines.append(".SH COMMANDS")
        for name, text in node.children:
            lines += [".TP", f".B {_roff(name)}", _roff(text) or "\\&"]
    lines.append(".SH OPTIONS")
    for flag in node.flags:
        names = ", ".join(f"\\fB{_roff(name)}\\fR" for name in reversed(flag.names))
        value = f" \\fI{_roff(flag.metavar)}\\fR" if flag.takes_value else ""
        lines += [".TP", f"{names}{value}", _roff(flag.help) or "\\&"]
    lines += [
        ".SH EXIT STATUS",
        "0 done; 1 bad data or a fault of the system; 2 usage; 130 interrupted; 128 + N stopped by signal N.",
    ]
    lines += [".SH SEE ALSO", *_see_also(node)]
    return "\n".join(lines) + "\n"


def _see_also(node: Node) -> list[str]:
    """Return the page of the manual that a command belongs to; of mlkit itself, all pages."""
    if not node.path:
        return [f".BR {_roff(f'mlkit-{topic}')} (7)," for topic in manual.topics()] + [".BR mlkit\\-help (1)"]
    topic = manual.topic_of(node.path[0])
    return [".BR mlkit (1),", f".BR {_roff(f'mlkit-{topic}')} (7)"] if topic else [".BR mlkit (1)"]


def _man_text(text: str) -> list[str]:
    lines: list[str] = []
    literal = False
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if lines:
            lines.append(".PP")
        literal = paragraph.startswith("\b")
        if literal:
            body = paragraph.lstrip("\b\n").splitlines()
            lines += [".nf", *(_roff(line) for line in body), ".fi"]
        else:
            lines.append(_roff(_one_line(paragraph)))
    return lines or ["\\&"]


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped
