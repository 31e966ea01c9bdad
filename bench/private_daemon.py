"""A daemon of one's own for the length of a `with` statement, and programs that talk to it."""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

SKBPOOL = (sys.executable, "-m", "skbpool.cli")
SERVE = ("serve", "--json", "--metrics", "127.0.0.1:0")
START_LIMIT = 60.0
"""Seconds a daemon may take until it listens."""
STOP_LIMIT = 20.0
"""Seconds a process gets to stop in order before it is killed."""


class DaemonError(Exception):
    """The daemon did not start, or ended early; the text has the end of its log."""


class Signals:
    """Makes SIGINT, SIGTERM and SIGHUP unwind the program, so that what was started is stopped.

    Not while a process is being started: one that nobody knows of yet would be left behind.
    """

    def __init__(self) -> None:
        self._held = False
        self._waiting: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._held:
            self._waiting = number
        else:
            self._end(number)

    def _end(self, number: int) -> None:
        # Once is enough: cleaning up is not interrupted.
        self._held = True
        sys.exit(128 + number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Put signals off until the end of the context."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before
            if self._waiting is not None and not before:
                self._end(self._waiting)


class PrivateDaemon:
    """Starts `skbpool serve` on a Unix socket in a temporary folder; leaves nothing behind.

    Args:
        signals: What ends the program.
        flags: Further arguments of `skbpool serve`.

    Raises:
        DaemonError: It does not listen.
    """

    def __init__(self, signals: Signals, flags: Sequence[str] = ()) -> None:
        self._signals = signals
        self._flags = flags
        self._folder = tempfile.TemporaryDirectory(prefix="skbpool-")
        self._log = Path(self._folder.name) / "daemon.log"
        self.address = f"unix:{self._folder.name}/skbpool.sock"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.listening: dict[str, Any] = {}
        """What the daemon printed when it was ready."""

    def __enter__(self) -> Self:
        try:
            with self._log.open("wb") as log:
                daemon = self.start(
                    [*SERVE, "--listen", self.address, *self._flags],
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            self.listening = json.loads(self._first_line(daemon))
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._clean_up()

    def start(self, arguments: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
        """Start `skbpool` with `arguments`; it is stopped with the daemon if it still runs then.

        It gets a session of its own: Ctrl-C reaches this process alone, which stops the others in
        order.
        """
        with self._signals.held():
            process = subprocess.Popen(
                [*SKBPOOL, *arguments], stdin=subprocess.DEVNULL, start_new_session=True, **options
            )
            self._processes.append(process)
        return process

    def log_tail(self) -> str:
        """Return the last lines of the daemon's log."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-10:]) or "(its log is empty)"

    def _first_line(self, daemon: "subprocess.Popen[bytes]") -> bytes:
        assert daemon.stdout is not None
        line = b""
        end = time.monotonic() + START_LIMIT
        with selectors.DefaultSelector() as selector:
            selector.register(daemon.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise DaemonError(f"the daemon does not listen yet:\n{self.log_tail()}")
                part = os.read(daemon.stdout.fileno(), 4096)
                if not part:
                    daemon.wait()
                    raise DaemonError(
                        f"the daemon ended with code {daemon.returncode}:\n{self.log_tail()}"
                    )
                line += part
        return line

    def _clean_up(self) -> None:
        with self._signals.held():
            self._stop_all()

    def _stop_all(self) -> None:
        try:
            for process in reversed(self._processes):  # clients before the daemon
                if process.poll() is None:
                    process.terminate()
                try:
                    process.wait(STOP_LIMIT)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                for stream in (process.stdout, process.stderr):
                    if stream is not None:
                        stream.close()
        finally:
            self._folder.cleanup()
