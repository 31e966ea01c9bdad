"""Subcommands that other distributions add, by the entry-point group `skbpool.commands`.

An entry point names a function with typer's annotations. It is imported only when its command is
called for or listed, so that the daemon's libraries do not slow the other commands down.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from skbpool.cli.failure import Failure, UsageError
from skbpool.cli.misplaced import tell_place
from skbpool.exit_codes import ExitCode

GROUP = "skbpool.commands"


class Command(TyperCommand):
    """A command whose usage errors all point to its own help, which points to the root's."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.epilog = self.epilog or "Exit codes and environment: skbpool --help."

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; that an option lacks its value, the parser tells without context."""
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            if getattr(error, "ctx", None) is None:
                error.ctx = ctx  # type: ignore[attr-defined]
            tell_place(error, ctx, args)
            raise


class Group(TyperGroup):
    """Commands below a name, which say where an option belongs that stands before them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the command."""
        given = [*args]  # which the parser uses up
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            tell_place(error, ctx, given)
            raise


class CommandGroup(Group):
    """The commands of this package and those of the entry points, in alphabetical order."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        found = {entry.name for entry in entry_points(group=GROUP)}
        return sorted({*super().list_commands(ctx), *found, "serve"})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, importing it if it is another distribution's."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for entry in entry_points(group=GROUP, name=cmd_name):
            return as_command(entry.name, entry.load())
        return as_command("serve", _serve_is_missing) if cmd_name == "serve" else None


def as_command(name: str, function: Callable[..., Any]) -> Any:
    """Return the function as a command of its own."""
    single = typer.Typer(rich_markup_mode=None, add_completion=False)
    loose = {"ignore_unknown_options": True, "allow_extra_args": True}
    settings = loose if function is _serve_is_missing else {}
    names = {"help_option_names": ["-h", "--help"]}
    single.command(name, cls=Command, context_settings={**names, **settings})(function)
    return typer.main.get_command(single)


def _serve_is_missing(context: typer.Context) -> None:
    """Start the daemon (not installed: pip install skbpool-service)."""
    raise Failure(
        "the daemon is not installed here: pip install skbpool-service, or from the source tree "
        "pip install ./service",
        ExitCode.USAGE,
    )
