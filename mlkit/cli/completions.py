"""Completion scripts for bash, zsh and fish, generated from the command tree; tests press TAB in the real shells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mlkit.cli.command_tree import Flag, Node, shell_nodes
from mlkit.cli.man_pages import man_pages


def files(target: str) -> dict[str, str]:
    """Return the generated files by name for one target: bash, zsh, fish, man or all."""
    makers: dict[str, Callable[[], dict[str, str]]] = {
        "bash": lambda: {"mlkit.bash": bash(shell_nodes())},
        "zsh": lambda: {"_mlkit": zsh(shell_nodes())},
        "fish": lambda: {"mlkit.fish": fish(shell_nodes())},
        "man": man_pages,
    }
    chosen = makers if target == "all" else {target: makers[target]}
    return {name: text for make in chosen.values() for name, text in make().items()}


# bash

_BASH = r"""# bash completion for mlkit, made by 'mlkit completion bash'
_mlkit_files() { # names of files (-f) or folders (-d) that begin with $2, spaces and all
    local IFS=$'\n' name
    COMPREPLY=()
    while read -r name; do COMPREPLY+=("$name"); done < <(compgen "$1" -- "$2")
    compopt -o filenames 2>/dev/null
}
_mlkit() {
    local current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]}
    local path='' words='' options='' kind='' prefix='' i candidate
    for ((i = 1; i < COMP_CWORD; i++)); do
        candidate=${path:+$path }${COMP_WORDS[i]}
        case $candidate in
            @GROUPS@) path=$candidate ;;
        esac
    done
    # --name=value: readline makes three words of it where = parts words, else one
    if [[ $current == '=' ]]; then
        current=''
    elif [[ $option == '=' && COMP_CWORD -ge 2 ]]; then
        option=${COMP_WORDS[COMP_CWORD-2]}
    elif [[ $current == --*=* ]]; then
        option=${current%%=*} prefix=${current%%=*}= current=${current#*=}
    fi
    case "${path:+$path }$option" in
@VALUES@
    esac
    case $kind in
        file) current=${current#[\"\']}; _mlkit_files -f "${current//\\/}"; return ;;
        folder) current=${current#[\"\']}; _mlkit_files -d "${current//\\/}"; return ;;
        other) COMPREPLY=(); return ;;
        choice) COMPREPLY=($(compgen -P "$prefix" -W "$words" -- "$current")); return ;;
    esac
    case $path in
@CASES@
    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
        return
    fi
    if [[ $kind == files ]]; then
        current=${current#[\"\']}
        _mlkit_files -f "${current//\\/}"
    else
        COMPREPLY=()
    fi
    COMPREPLY+=($(compgen -W "$words" -- "$current"))
}
complete -F _mlkit mlkit
"""


def bash(nodes: Sequence[Node]) -> str:
    """Return a bash completion script (works with and without the bash-completion package)."""
    cases = []
    for node in nodes:
        words = " ".join((*node.words, *(name for name, _ in node.children)))
        options = " ".join(sorted(name for flag in node.flags for name in flag.names))
        kind = " kind=files" if node.files else ""
        cases.append(f"        '{' '.join(node.path)}') words='{words}' options='{options}'{kind} ;;")
    groups = "|".join(f"'{' '.join((*node.path, name))}'" for node in nodes for name, _ in node.children)
    script = _BASH.replace("@GROUPS@", groups).replace("@VALUES@", "\n".join(_bash_values(nodes)))
    return script.replace("@CASES@", "\n".join(cases))


def _bash_values(nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        for kind in ("file", "folder", "other"):
            flags = [flag for flag in node.flags if flag.value == kind]
            names = [f"'{' '.join((*node.path, name))}'" for flag in flags for name in flag.names]
            if names:
                yield f"        {'|'.join(names)}) kind={kind} ;;"
        for flag in node.flags:
            if flag.value == "choice":
                names = [f"'{' '.join((*node.path, name))}'" for name in flag.names]
                yield f"        {'|'.join(names)}) kind=choice words='{' '.join(flag.choices)}' ;;"


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
            offer = "_describe command commands"
            lines += [f"    command) {offer + '; _files' if node.files else offer} ;;", "    rest)"]
            lines += ["      case $line[1] in"]
            for name, _ in node.children:
                lines.append(f"        {name}) {'_'.join(('_mlkit', *node.path, name)).replace('-', '_')} ;;")
            if node.files:
                lines.append("        *) _files ;;")
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
    if node.words:
        return f"    '*:value:({' '.join(node.words)})'"
    return "    '*:file:_files'" if node.files else "    '*:value: '"


def _zsh_flag(flag: Flag) -> list[str]:
    text = flag.help.replace("[", "(").replace("]", ")").replace(":", " ")
    value = {
        "none": "", "file": ":file:_files", "folder": ":folder:_files -/",
        "choice": f":value:({' '.join(flag.choices)})",
        "other": f":{flag.metavar.lower().replace(':', ' ')}: ",
    }[flag.value]  # fmt: skip
    # "--name=" takes both --name VALUE and --name=VALUE
    return [
        _quoted(f"{name}{'=' if value and name.startswith('--') else ''}[{text}]{value}")
        for name in flag.names
    ]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# fish

_FISH = r"""# fish completion for mlkit, made by 'mlkit completion fish'
function __mlkit_at
    set -l path
    for word in (commandline -opc)[2..-1]
        set -l candidate (string join -- ' ' $path $word)
        if contains -- "$candidate" $__mlkit_paths
            set path $path $word
        end
    end
    test "$path" = "$argv"
end
"""


def fish(nodes: Sequence[Node]) -> str:
    """Return a fish completion script."""
    paths = " ".join(_fish(" ".join(node.path)) for node in nodes if node.path)
    lines = [f"{_FISH}set -g __mlkit_paths {paths}"]
    for node in nodes:
        start = f"complete -c mlkit -n {_fish('__mlkit_at ' + ' '.join(node.path)).strip()}"
        if not node.files:
            lines.append(f"{start} -f")
        lines += [f"{start} -a {_fish(name)} -d {_fish(text)}" for name, text in node.children]
        if node.words:
            lines.append(f"{start} -a {_fish(' '.join(node.words))}")
        lines += [f"{start} {_fish_flag(flag)}" for flag in node.flags]
    return "\n".join(lines) + "\n"


def _fish_flag(flag: Flag) -> str:
    names = " ".join(
        f"-l {name[2:]}" if name.startswith("--") else f"-{'s' if len(name) == 2 else 'o'} {name[1:]}"
        for name in flag.names
    )
    value = {
        "none": "", "file": " -r -F", "folder": " -x -a '(__fish_complete_directories)'",
        "choice": f" -x -a {_fish(' '.join(flag.choices))}", "other": " -x",
    }[flag.value]  # fmt: skip
    return f"{names}{value} -d {_fish(flag.help)}"


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
