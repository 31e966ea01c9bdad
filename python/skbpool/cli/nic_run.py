"""Driving the daemon with an emulated card."""

import itertools
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

from skbpool._native import EmulatedNic, server_boot_id
from skbpool.cli.nic_report import NicReport, Seen
from skbpool.client import Acknowledgement, Client, ResourceExhausted, ServiceError, StampReader
from skbpool.client.drops import drops_of
from skbpool.v1 import stamp_pb2

LINGER = 0.001
"""Seconds that a frame may wait for others to share its message with."""

SETTLE = 1.0
"""Seconds without a further frame after which the reader has seen all it will see."""

SETTLE_LIMIT = 30.0
"""Seconds that the reader gets at most after the last frame was acknowledged."""

LOOK_EVERY = 0.02
"""Seconds between two looks at the reader."""


class NicRun:
    """One run: stamp reader attached, frames sent, reader waited for, figures put together.

    Args:
        client: The daemon.
        unpaced: The line has no rate, so that it is the acknowledgements that tell the time.
        duration: When the line goes dead, whenever the card's thread notices it.
        stamped: The frames carry stamps for the reader.
    """

    def __init__(
        self, client: Client, *, unpaced: bool, duration: float | None, stamped: bool
    ) -> None:
        self._client = client
        self._unpaced = unpaced
        self._duration = duration
        self._stamped = stamped
        self.stream = secrets.randbits(32)
        """Number of the stamped stream, so that runs at the same time are told apart."""

    def drive(self, card: EmulatedNic, driver: str) -> NicReport:
        """Send everything the card receives, and return the figures.

        Raises:
            ServiceError: The daemon refused or is gone.
        """
        with ExitStack() as stack:
            stack.callback(card.stop)
            same_host = self._client.server_info().boot_id == server_boot_id()
            reader = None
            if self._stamped:
                reader = stack.enter_context(self._attach_reader())
            last = Acknowledgement()
            begin = time.monotonic()
            try:
                for last in self._client.ingest_messages(self._messages(card), driver=driver):
                    if last.acked_through == 0:
                        begin = time.monotonic()
            except ServiceError as error:
                text = f"{error}; {last.accepted:,} frames were accepted before that"
                raise type(error)(text, error.code) from None
            took = time.monotonic() - begin
            seen = Seen.of(wait_for_reader(reader, last.accepted), same_host) if reader else None
            figures = card.report()
            up = figures["seconds"]
            if self._duration is not None:
                up = min(up, self._duration)
            return NicReport.of(figures, last, seen, took if self._unpaced else up)

    def _attach_reader(self) -> StampReader:
        """Attach the reader, with room for the time that a busy machine keeps it from running."""
        try:
            return self._client.stamp_reader(self.stream, quota=self._client.limits.max_quota // 2)
        except ResourceExhausted:  # the pool has others to provide for
            return self._client.stamp_reader(self.stream)

    def _messages(self, card: EmulatedNic) -> Iterator[bytes]:
        card.start()
        for sequence in itertools.count(1):
            message = card.next_request(self._client.message_bytes, LINGER, sequence)
            if message is None:
                return
            yield message


def wait_for_reader(reader: StampReader, accepted: int) -> stamp_pb2.GetStampReportResponse:
    """Return the reader's report once it has seen everything accepted, or sees no more."""
    pause = threading.Event()
    end = time.monotonic() + SETTLE_LIMIT
    quiet_since = time.monotonic()
    settled = -1
    while True:
        report = reader.report()
        missed = sum(totals["frames"] for totals in drops_of(report.dropped).values())
        now = time.monotonic()
        if report.received + missed != settled:
            settled, quiet_since = report.received + missed, now
        if settled >= accepted or now - quiet_since > SETTLE or now > end:
            return report
        pause.wait(LOOK_EVERY)
