"""What `skbpool subscribe` does: frames are taken out of the daemon, and written or counted."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from skbpool._native import CaptureWriter, decode_subscribe
from skbpool.cli.failure import Failure
from skbpool.cli.options import server_address
from skbpool.cli.output import counted, print_json, reasons, say
from skbpool.cli.reader_gone import ReaderGone
from skbpool.cli.stopping import run_apart, run_stoppable
from skbpool.client import Client, ServiceError, Subscription
from skbpool.client.drops import Drops, add_drops, frames_by_reason
from skbpool.exit_codes import ExitCode

FLAGS = {
    "max_batch_frames": "--batch-frames",
    "max_batch_bytes": "--batch-bytes",
}
"""Options of the daemon whose flags have other names."""


def take(
    write: str | None, count: int | None, options: dict[str, Any], server: str | None, json: bool
) -> None:
    """Take frames until there are enough or a signal ends it, and tell how many there were.

    Args:
        write: The file to write; None: frames are counted.
        count: How many are enough; None: never.
        options: Those of `Client.subscribe`.
        server: The daemon's address.
        json: Whether to tell it to programs.

    Raises:
        Failure: The file cannot be opened or written.
        ReaderGone: Whoever read the frames has had enough.
        ServiceError: The daemon refused or is gone.
    """
    with ExitStack() as stack:
        client = stack.enter_context(Client(server_address(server)))
        subscription = stack.enter_context(subscribed(client, options))
        # Last, since it empties a file that exists; apart, since a FIFO may have no reader yet.
        opened = None if write is None else run_apart(lambda: Output(write))
        writer = None if opened is None else stack.enter_context(opened)
        say(f"subscribed to {client.address}")
        taking = Taking(subscription, writer, count)
        try:
            run_stoppable(taking.run, taking.stop)
        finally:
            taking.end()
            if json:
                print_json(taking.as_dict())
            else:
                took = f"in {taking.seconds:.1f} s"
                say(f"{counted(taking.frames, 'frame')}, missed {taking.missed_text}, {took}")
    if taking.is_short:
        raise Failure(
            f"the daemon has stopped, after {counted(taking.frames, 'frame')} of {count}: "
            "subscribe again for the rest when it is back",
            ExitCode.UNREACHABLE,
        )


def subscribed(client: Client, options: dict[str, Any]) -> Subscription:
    """Subscribe; what the daemon refuses names the flag.

    Raises:
        ServiceError: The daemon refused or is gone.
        Failure: It refused, and said which option is wrong.
    """
    try:
        return client.subscribe(**options)
    except ServiceError as error:
        if not error.details.fields:
            raise
        field = error.details.fields[0]
        flag = FLAGS.get(field, f"--{field.replace('_', '-')}")
        raise Failure(f"{flag}: {error}", ExitCode.REFUSED) from None


class Taking:
    """Frames on their way from a subscription into a file."""

    def __init__(
        self, subscription: Subscription, writer: "Output | None", limit: int | None
    ) -> None:
        self._subscription = subscription
        self._writer = writer
        self._limit = limit
        self._begin = time.monotonic()
        self.frames = 0
        self.missed: Drops = {}
        """What the daemon has told of."""
        self.broken = False
        """Whether the subscription failed, so that the daemon may have had more to tell."""
        self.seconds = 0.0
        self._stopped = False

    def stop(self) -> None:
        """End it before there are enough."""
        self._stopped = True
        self._subscription.close()

    @property
    def is_short(self) -> bool:
        """Whether frames are missing that were asked for, and nobody stopped it."""
        return not self._stopped and self._limit is not None and self.frames < self._limit

    def run(self) -> None:
        """Take frames until there are enough, or the subscription ends.

        Raises:
            ServiceError: It failed.
        """
        try:
            self._run()
        except ServiceError:
            self.broken = True
            raise

    def _run(self) -> None:
        for message in self._subscription.messages():
            batch, missed, _ = decode_subscribe(message)
            add_drops(self.missed, missed)
            left = None if self._limit is None else self._limit - self.frames
            if self._writer is None:
                self.frames += len(batch) if left is None else min(len(batch), left)
            else:
                self.frames += self._writer.write(message, left)
            if self.frames == self._limit:
                return

    def end(self) -> None:
        """Stop the clock."""
        self.seconds = time.monotonic() - self._begin

    @property
    def missed_text(self) -> str:
        """The frames missed by reason, and how sure that is."""
        missed = frames_by_reason(self.missed)
        if self.broken:
            return f"at least {reasons(missed)}" if missed else "unknown"
        return reasons(missed)

    def as_dict(self) -> dict[str, Any]:
        """Return the documented keys of --json."""
        return {
            "frames": self.frames,
            "missed": None if self.broken else frames_by_reason(self.missed),
            "seconds": self.seconds,
        }


class Output:
    """The capture file that is written, whose errors name it.

    Raises:
        Failure: It cannot be opened or written.
        ReaderGone: Whoever read it has had enough.
    """

    def __init__(self, name: str) -> None:
        self._name = "standard output" if name == "-" else name
        with self._named():
            self._writer = CaptureWriter(name)

    def write(self, message: bytes, limit: int | None) -> int:
        """Write the first `limit` frames of a message, or all; return how many."""
        with self._named():
            return self._writer.write_message(message, limit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        with self._named():
            self._writer.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise ReaderGone from None
        except OSError as error:
            hint = "check the path, its permissions and the room on the disk"
            text = f"{self._name}: cannot be written: {error.strerror or error}; {hint}"
            raise Failure(text, ExitCode.CAPTURE) from None
