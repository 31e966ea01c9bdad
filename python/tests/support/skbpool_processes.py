"""Real processes for tests: the daemon and the commands that talk to it.

Nothing here sleeps: one waits for a line, for the end of a process, or for a condition that is
asked again as fast as the daemon answers, always with a deadline.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from skbpool.cli.stat import as_dict
from skbpool.client import Client

SKBPOOL = (sys.executable, "-m", "skbpool.cli")
DEADLINE = 45.0
"""Seconds after which a test fails that waits; below the limit of a test, which tells less."""


class Process:
    """A running `skbpool` whose lines can be waited for; killed at the end of its `with`."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.arguments = arguments
        # Nothing of the surroundings decides how the command behaves.
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SKBPOOL_")}
        self.process = subprocess.Popen(
            [*SKBPOOL, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**clean, **(environment or {})},
        )
        self.stdout = _Lines(self.process.stdout)
        self.stderr = _Lines(self.process.stderr)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def finish(self, deadline: float = DEADLINE) -> "Finished":
        """Wait for its end and return everything it printed."""
        code = self.process.wait(deadline)
        return Finished(code, self.stdout.rest(), self.stderr.rest())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        self.stdout.close()
        self.stderr.close()


class Finished:
    """How a command ended."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    @property
    def json(self) -> Any:
        """Return the one JSON object on standard output."""
        assert self.code == 0, self
        return json.loads(self.stdout)

    def __repr__(self) -> str:
        return f"exit code {self.code}\nstdout: {self.stdout}\nstderr: {self.stderr}"


def run(*arguments: str, environment: dict[str, str] | None = None) -> Finished:
    """Run `skbpool` to its end."""
    with Process(*arguments, environment=environment) as process:
        return process.finish()


class Daemon(Process):
    """`skbpool serve` on a Unix socket in `folder`, /metrics on a port that is free."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.address = f"unix:{folder}/skbpool.sock"
        listen = ("--listen", self.address, "--metrics", "127.0.0.1:0")
        super().__init__("serve", "--json", *listen, *flags)
        try:
            self.listening: dict[str, Any] = json.loads(self.stdout.wait_for("{"))
        except BaseException:
            super().__exit__(None, None, None)
            raise
        self.client = Client(self.address)

    def run(self, *arguments: str) -> Finished:
        """Run a client command against this daemon."""
        return run(*arguments, environment={"SKBPOOL_SERVER": self.address})

    def start(self, *arguments: str) -> Process:
        """Start a client command against this daemon."""
        return Process(*arguments, environment={"SKBPOOL_SERVER": self.address})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.client.close()
        super().__exit__(kind, error, traceback)

    def resident_bytes(self) -> int:
        """Return the memory that is resident now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


class _Lines:
    """The lines of a pipe, read as they come by a thread, so that no writer is ever held up."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self._pipe = pipe
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._seen: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._pipe:
            self._lines.put(line.decode())
        self._lines.put(None)

    def wait_for(self, text: str, deadline: float = DEADLINE) -> str:
        """Return the next line that holds `text`."""
        end = time.monotonic() + deadline
        while True:
            try:
                line = self._lines.get(timeout=max(end - time.monotonic(), 0))
            except queue.Empty:
                raise AssertionError(f"no line with {text!r}; before: {self._seen}") from None
            if line is None:
                raise AssertionError(f"ended without a line with {text!r}: {self._seen}")
            self._seen.append(line)
            if text in line:
                return line

    def rest(self) -> str:
        """Return everything, those already waited for included; call after the end."""
        while (line := self._lines.get(timeout=DEADLINE)) is not None:
            self._seen.append(line)
        self._lines.put(None)
        return "".join(self._seen)

    def close(self) -> None:
        self._thread.join()
        self._pipe.close()


def wait_until(
    condition: Callable[[], bool], what: Callable[[], object] | str, deadline: float = DEADLINE
) -> None:
    """Ask `condition` until it holds; fail with `what` when it does not in time."""
    end = time.monotonic() + deadline
    pause = threading.Event()
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(what if isinstance(what, str) else what())
        pause.wait(0.01)


def stats(daemon: Daemon) -> dict[str, Any]:
    """Return what `skbpool stat --json` says, without starting it."""
    return as_dict(daemon.client.statistics())


def named(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the row of that name."""
    (row,) = (row for row in rows if row["name"] == name)
    return row
