"""The command `skbpool`."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from skbpool.exit_codes import ExitCode

NEEDED = ("grpc", "google", "rich", "typer")
"""Modules of the extra `client`, without which the command cannot do anything."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command with `arguments` (the process's own by default) and exit."""
    # gRPC's own messages about connections; the command says it in one line.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        from skbpool.cli.app import run
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in NEEDED:
            raise
        message = (
            f"skbpool: the command needs {error.name}, which the bare library does without: "
            "pip install 'skbpool[client]'"
        )
        print(message, file=sys.stderr)
        sys.exit(ExitCode.USAGE)
    sys.exit(run(arguments))
