"""A command that has a subcommand or two beside its main job: ``mlkit vocab CORPUS`` and ``mlkit vocab merge``."""

from __future__ import annotations

from typing import Any

from mlkit.cli.registry import App, Group, forget_default


def app_with_default(help: str, default: str) -> App:
    """Return an App that runs its command `default` unless another command is named first."""

    class DefaultGroup(Group):
        default_command = default

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if args and args[0] not in self.commands:
                args = [default, *args]
                ctx.meta["mlkit.default"] = True
            return super().parse_args(ctx, args)

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            """Name the command in messages as it was typed: without the default."""
            found = super().resolve_command(ctx, args)
            if ctx.meta.pop("mlkit.default", False):
                forget_default()
            return found

    app = App(help=help)
    app.info.cls = DefaultGroup
    return app
