"""Options that stand before their command or behind it, and belong on the other side."""

from collections.abc import Sequence
from typing import Any


def tell_place(error: Any, context: Any, arguments: Sequence[str]) -> None:
    """Have a usage error say where its option belongs, if it is one of another command on the way.

    Args:
        error: What the parser of the command of `context` raised.
        context: Of that command.
        arguments: What that command was given.
    """
    option = getattr(error, "option_name", None)
    if option is None:
        return
    root = context.find_root()
    words = context.command_path.split()
    if context is not root and option in _options(root.command):
        where = "before the command"
        words[1:1] = [option, "…"]
    elif behind := _behind(context, arguments, option):
        where = "behind the command"
        words += [*behind, option, "…"]
    else:
        return
    error.message = f"No such option here: {option} belongs {where}, as in '{' '.join(words)}'"
    error.possibilities = None


def _behind(context: Any, arguments: Sequence[str], option: str) -> list[str]:
    """Return the commands that are named in the arguments, down to one that has the option."""
    command, found = context.command, list[str]()
    for word in arguments:
        if word not in (command.list_commands(context) if hasattr(command, "commands") else ()):
            continue
        command = command.get_command(context, word)
        found.append(word)
        if option in _options(command):
            return found
    return []


def _options(command: Any) -> set[str]:
    return {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
