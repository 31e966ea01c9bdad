"""Where the command `skbpool` begins, before anything else of it is imported.

Importing the command takes tenths of a second, in any step of which Ctrl-C would show a traceback.
The package `skbpool` is part of that, so this is not inside it.
"""

# What `signal` wraps, which imports some ten modules more before it can be used.
import _signal as signal  # type: ignore[import-not-found]
import os


def main() -> None:
    """Run the command; until it handles Ctrl-C itself, that ends it silently with exit code 130."""
    # Whoever starts it in the background may have had it ignore Ctrl-C.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    from skbpool.cli import main as run

    run()


def _end(_signal: int, _frame: object) -> None:
    # An exception may be raised where it is only printed, and then ignored.
    os._exit(130)  # ExitCode.FORCED, which is not imported yet
