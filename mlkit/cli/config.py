"""--config FILE.yaml and --print-config: precedence is flag > environment > file > default."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from mlkit.errors import DataError, UsageError

# options that every command has and that are no settings of a job
COMMON = ("config_file", "print_config", "quiet", "verbose", "debug")
# options that say how a job is run, not what comes out
RUNNING = (
    "json", "threads", "memory", "tmp_dir", "cluster", "processes", "checkpoint", "checkpoint_every", "resume",
)  # fmt: skip


def values_from_arguments(
    arguments: Sequence[str], parameters: Iterable[Any], command: str
) -> dict[str, Any] | None:
    """Return the parameters set by the file that ``--config`` names among the arguments, or None without it."""
    name = None
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--config" and position + 1 < len(arguments):
            name = arguments[position + 1]
        elif argument.startswith("--config="):
            name = argument.removeprefix("--config=")
    return None if name is None else read_config(name, parameters, command)


def read_config(path: str, parameters: Iterable[Any], command: str) -> dict[str, Any]:
    """Read a YAML mapping whose keys are long options (with or without dashes) and return parameter values.

    Raises `DataError` for a file that is no mapping, `UsageError` for an unknown key, with a suggestion.
    """
    import yaml

    from mlkit.formats.streams import read_bytes

    try:
        loaded = yaml.safe_load(read_bytes(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        raise DataError(
            f"invalid YAML ({getattr(error, 'problem', None) or error})", path=path, line=line
        ) from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise DataError("a configuration file is a mapping of options to values", path=path)
    known = option_names(parameters)
    other = {  # --lr beside --learning-rate, --optimizer beside --optimiser
        name.lstrip("-"): parameter
        for parameter in known.values()
        for name in getattr(parameter, "opts", ())
        if name.startswith("--")
    }
    values: dict[str, Any] = {}
    for key, value in loaded.items():
        name = str(key).replace("_", "-")
        parameter = known.get(name) or other.get(name)
        if parameter is None:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{path}: {command} has no option {str(key)!r}{hint}")
        values[parameter.name] = value
    return values


def option_names(parameters: Iterable[Any]) -> dict[str, Any]:
    """Return every configurable parameter under its long option's name, or an argument's own name."""
    names: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.name not in COMMON and parameter.name != "help":
            names[key_of(parameter)] = parameter
    return names


def key_of(parameter: Any) -> str:
    """Return the key of a parameter in a configuration file: its longest option, or its name."""
    if parameter.param_type_name == "argument":
        return str(parameter.name).replace("_", "-")
    longest = max(parameter.opts, key=len)
    return str(longest).lstrip("-")


def effective(parameters: Iterable[Any], values: Mapping[str, Any]) -> str:
    """Return the settings as YAML that ``--config`` reads back."""
    import yaml

    shown = {
        key: plain(values.get(parameter.name))
        for key, parameter in option_names(parameters).items()
        if values.get(parameter.name) is not None and not getattr(parameter, "hidden", False)
    }
    return yaml.safe_dump(shown, sort_keys=True, allow_unicode=True, default_flow_style=False)


def settings(parameters: Iterable[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a result depends on by the parameters' names, for --json."""
    return {
        parameter.name: plain(values[parameter.name])
        for parameter in option_names(parameters).values()
        if parameter.name not in RUNNING
        and not getattr(parameter, "hidden", False)
        and values.get(parameter.name) not in (None, [], ())
    }


def plain(value: Any) -> Any:
    """Return a parameter's value as YAML and JSON can hold it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
