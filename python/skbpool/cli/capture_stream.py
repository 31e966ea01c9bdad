"""A capture that comes through a pipe, so that waiting for it can be given up at any time.

What reads captures is native, and a read of a pipe that nobody writes to, or the opening of one
that nobody has opened for writing, does not return. So a thread here waits for the pipe and for the
wish to stop at once, and passes on what comes through a pipe of its own, which stands in for
standard input:

    FIFO, `-` ──► this thread ──► pipe, as descriptor 0 ──► the card's reader of `-`
"""

import os
import select
import stat
import threading
from pathlib import Path
from typing import Self

from skbpool.cli.failure import Failure, bad_value
from skbpool.exit_codes import ExitCode

CHUNK = 1 << 16
"""Bytes read at a time: what a pipe holds by default."""

STANDARD_INPUT = "standard input"
"""What the native reader calls it in errors."""


class Capture:
    """A capture file that is read where it lies; a context manager, as a stream is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """What the card is to read."""

    @property
    def was_cut(self) -> bool:
        """Whether `stop` has ended it before its end."""
        return False

    def named(self, text: str) -> str:
        """Return an error of the native reader with the name that was given."""
        return text

    @property
    def failure(self) -> str | None:
        """What went wrong that the native reader cannot know."""
        return None

    def stop(self) -> None:
        """End it. Reading a file waits for nobody, so nothing needs to be done."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


class CaptureStream(Capture):
    """A capture that comes from `source`, an open descriptor, which this closes."""

    def __init__(self, source: int, name: str) -> None:
        super().__init__(Path("-"))
        self._source = source
        self._name = name
        self._cut = False
        self._failure: OSError | None = None
        self._wake, self._waker = os.pipe()
        # Of the kind that a signal's handler may take from the thread that holds it.
        self._lock = threading.RLock()
        self._closed = False
        self._thread = threading.Thread(target=self._pass_on, name="skbpool-capture", daemon=True)

    @property
    def was_cut(self) -> bool:
        """Whether `stop` has ended it before its end."""
        return self._cut

    def named(self, text: str) -> str:
        """Return an error of the native reader with the name that was given."""
        return self.failure or text.replace(STANDARD_INPUT, self._name, 1)

    @property
    def failure(self) -> str | None:
        """Why the stream could not be read to its end."""
        if self._failure is None:
            return None
        reason = self._failure.strerror or self._failure
        return f"{self._name}: reading failed: {reason}; check the program that writes the stream"

    def stop(self) -> None:
        """End it: the reader finds its end after what was passed on. Any thread may call this.

        Also after it was closed, when the descriptor's number may be another file's.
        """
        with self._lock:
            if not self._closed:
                os.write(self._waker, b"x")

    def __enter__(self) -> Self:
        reader, self._sink = os.pipe()
        os.dup2(reader, 0, inheritable=False)
        os.close(reader)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
        # Whoever reads has gone, so that a write that waits for room fails.
        os.dup2(nothing := os.open(os.devnull, os.O_RDONLY), 0, inheritable=False)
        os.close(nothing)
        self._thread.join()
        with self._lock:
            self._closed = True
            for descriptor in (self._source, self._wake, self._waker):
                os.close(descriptor)

    def _pass_on(self) -> None:
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        try:
            while True:
                ready = {descriptor for descriptor, _ in poll.poll()}
                if self._wake in ready:
                    self._cut = True
                    return
                try:
                    data = os.read(self._source, CHUNK)
                except BlockingIOError:
                    continue
                if not data:
                    return
                while data:
                    data = data[os.write(self._sink, data) :]
        except BrokenPipeError:
            return  # the card has what it wanted
        except OSError as error:
            self._failure = error
        finally:
            os.close(self._sink)


def open_capture(path: Path) -> Capture:
    """Return what to read for `-r path`; `-` is standard input.

    Raises:
        typer.BadParameter: Standard input is a terminal.
        Failure: The stream cannot be opened.
    """
    try:
        if str(path) == "-":
            if os.isatty(0):
                raise bad_value(
                    "--read",
                    "standard input is a terminal: pipe a capture into it, as in "
                    "tcpdump -U -w - | skbpool nic -r -",
                )
            return CaptureStream(os.dup(0), STANDARD_INPUT)
        kind = path.stat().st_mode
        if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
            _occupy_standard_input()
            # Without waiting for somebody who opens the other end.
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
            return CaptureStream(os.open(path, flags), str(path))
    except FileNotFoundError:
        pass  # the native reader says it
    except OSError as error:
        name = STANDARD_INPUT if str(path) == "-" else path
        text = f"{name}: cannot be opened: {error.strerror}; check the path and its permissions"
        raise Failure(text, ExitCode.CAPTURE) from None
    return Capture(path)


def _occupy_standard_input() -> None:
    """See to it that what is opened next does not become descriptor 0, which will be replaced."""
    try:
        os.fstat(0)
    except OSError:
        os.open(os.devnull, os.O_RDONLY)
