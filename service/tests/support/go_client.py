"""The command skbpool-go, built from proto/go, as a process."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, NamedTuple, Self

from daemon_support import PATIENCE


def build(module: Path, folder: Path) -> Path:
    """Build the command into `folder`; return its path."""
    program = folder / "skbpool-go"
    built = subprocess.run(
        ["go", "build", "-buildvcs=false", "-o", program, "./cmd/skbpool-go"],
        cwd=module,
        check=False,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return program


class Ended(NamedTuple):
    """How a run ended."""

    code: int
    output: str
    errors: str

    @property
    def result(self) -> dict[str, Any]:
        """What it printed; fails if it did not end well."""
        assert self.code == 0, self
        found: dict[str, Any] = json.loads(self.output)
        return found

    @property
    def refusal(self) -> tuple[str, dict[str, Any]]:
        """The first line on standard error, and the details by their kind."""
        first, *rest = self.errors.splitlines()
        details = (line.strip().partition(" ") for line in rest)
        return first, {kind: json.loads(fields) for kind, _, fields in details}


class GoClient:
    """A run of the command; killed at the end of its `with`."""

    def __init__(self, program: Path, server: str, *arguments: str):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SKBPOOL_")}
        self.process = subprocess.Popen(
            [program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**clean, "SKBPOOL_SERVER": server},
        )

    def await_line(self, text: str) -> Self:
        """Wait for the line on standard error that says that it has come so far."""
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert text in line, line + self.process.communicate(timeout=PATIENCE)[1]
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def finish(self) -> Ended:
        """Wait until it ends."""
        output, errors = self.process.communicate(timeout=PATIENCE)
        return Ended(self.process.returncode, output, errors)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.communicate()
