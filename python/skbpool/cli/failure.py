"""From exceptions to one line for people and an exit code for programs."""

import typer

from skbpool import SkbpoolError
from skbpool.addresses import AddressError
from skbpool.cli.missing import what_is_missing
from skbpool.cli.verbs import in_commands
from skbpool.errors import CaptureError
from skbpool.exit_codes import ExitCode

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What the parser raises; typer exports only its subclass for values."""


class Failure(Exception):
    """A command cannot go on; the text says why and what to do."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


def bad_value(option: str, text: str) -> typer.BadParameter:
    """Return the error for a value of `option`, which it names as the parser does."""
    return typer.BadParameter(text, param_hint=f"'{option}'")


def explain(error: Exception) -> tuple[str, ExitCode]:
    """Return the line that says what happened, and the exit code."""
    if isinstance(error, UsageError):
        return _usage(error), ExitCode.USAGE
    if isinstance(error, ImportError) and (missing := what_is_missing(error)):
        return f"skbpool: {missing}", ExitCode.USAGE
    text = in_commands(" ".join(str(error).split())) or type(error).__name__
    code = _exit_code(error)
    if code is None:
        hint = "set SKBPOOL_TRACEBACK=1 to see where, and report it"
        return f"skbpool: unexpected {type(error).__name__}: {text}; {hint}", ExitCode.FAILURE
    return f"skbpool: {text}", code


def _exit_code(error: Exception) -> ExitCode | None:
    # Slow to import, and whoever only asks for help can do without.
    from skbpool.client import DeadlineExceeded, ServerUnavailable, ServiceError

    match error:
        case Failure():
            return error.code
        case AddressError():
            return ExitCode.USAGE
        case ServerUnavailable() | DeadlineExceeded():
            return ExitCode.UNREACHABLE
        case ServiceError():
            return ExitCode.REFUSED
        case CaptureError():
            return ExitCode.CAPTURE
        case SkbpoolError() | OSError():
            return ExitCode.FAILURE
        case _:
            return None


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "skbpool"
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    text = text.replace(": Value error, ", ": ")  # which the parser's own library puts there
    return f"{path}: {' '.join(text.split()).rstrip('.')}; see '{path} --help'"
