"""The command `skbpool`."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from skbpool.cli.missing import what_is_missing
from skbpool.exit_codes import ExitCode


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command with `arguments` (the process's own by default) and exit."""
    # gRPC's own messages about connections; the command says it in one line.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    _open_what_is_closed()
    try:
        from skbpool.cli.app import run
    except ImportError as error:
        missing = what_is_missing(error)
        if missing is None:
            raise
        print(f"skbpool: {missing}", file=sys.stderr)
        sys.exit(ExitCode.USAGE)
    sys.exit(run(arguments))


def _open_what_is_closed() -> None:
    """Have standard streams that are closed lead nowhere: files would get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
