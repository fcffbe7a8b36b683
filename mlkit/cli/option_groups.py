"""Groups of options: dataclasses that a decorator spreads over the command line of a command.

A group is a dataclass whose fields are annotated as options are::

    @dataclass(frozen=True)
    class FormatOptions:
        delimiter: Delimiter = None
        header: Header = None

    @app.command()
    @spread
    def info(table: TableArgument, format: FormatOptions) -> None: ...

``mlkit table info`` then has --delimiter and --header at the group's place, and `info` gets a `FormatOptions`. So
an option is declared once, named by one field, and found by grep and the type checker from flag to kernel.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints


def spread(function: Callable[..., None]) -> Callable[..., None]:
    """Spread the groups among a command's parameters over its command line; others stay as they are."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {}
    flat: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if dataclasses.is_dataclass(hints[name]):
            groups[name] = hints[name]
            flat.extend(_parameters(hints[name]))
        else:
            flat.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    def command(**values: Any) -> None:
        made = {
            name: group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        function(**made, **values)

    command.__doc__, command.__name__, command.__module__ = (
        function.__doc__,
        function.__name__,
        function.__module__,
    )
    command.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    return command


def _parameters(group: Any) -> Iterator[inspect.Parameter]:
    """Yield the fields of a group as parameters of a command."""
    hints = get_type_hints(group, include_extras=True)
    for field in dataclasses.fields(group):
        default: Any = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name]
        )


def changed(group: Any) -> list[str]:
    """Return the flags of a group whose values are not the defaults, such as ``--min-leaf``."""
    return [
        "--" + field.name.replace("_", "-")
        for field in dataclasses.fields(group)
        if getattr(group, field.name) != field.default
    ]
