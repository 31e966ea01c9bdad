"""Driving the daemon with an emulated card."""

import itertools
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from skbpool._native import EmulatedNic, server_boot_id
from skbpool.cli.link_type import LinkTypeNotice
from skbpool.cli.nic_report import NicReport, Seen
from skbpool.client import (
    Acknowledgement,
    Client,
    PermissionDenied,
    ResourceExhausted,
    ServerUnavailable,
    ServiceError,
    StampReader,
)
from skbpool.client.drops import drops_of
from skbpool.v1 import stamp_pb2

if TYPE_CHECKING:
    from skbpool.cli.nic_drive import Line

LINGER = 0.001
"""Seconds that a frame may wait for others to share its message with."""

SETTLE = 1.0
"""Seconds without a further frame after which the reader has seen all it will see."""

SETTLE_LIMIT = 30.0
"""Seconds that the reader gets at most after the last frame was acknowledged."""

CACHES = 1024
"""Buffers that two subscribers and the card reserve beside the quotas, amply."""

ROLE_MISSING = "ROLE_MISSING"
"""Reason of the daemon's for refusing what this client's roles do not include."""

NO_READER = (
    "skbpool: this client lacks the role observe, which the reader in the daemon needs: what was "
    "received, lost, duplicated or reordered, and how late, stays unknown"
)

LOOK_EVERY = 0.02
"""Seconds between two looks at the reader."""


class NicRun:
    """One run: stamp reader attached, frames sent, reader waited for, figures put together.

    Without a rate it is the acknowledgements that tell the time; with a duration the line goes dead
    then, whenever the card's thread notices it.
    """

    def __init__(self, client: Client, line: "Line") -> None:
        self._client = client
        self._unpaced = line.unpaced
        self._duration = line.duration
        self._stamped = line.capture is None
        self.stream = secrets.randbits(32)
        """Number of the stamped stream, so that runs at the same time are told apart."""

    def drive(self, card: EmulatedNic, driver: str) -> NicReport:
        """Send everything the card receives, and return the figures.

        Those of a run that failed half-way are what is known, with the failure.

        Raises:
            ServiceError: The daemon refused before anything was sent, or cannot be reached.
        """
        with ExitStack() as stack:
            stack.callback(card.stop)
            same_host = self._client.server_info().boot_id == server_boot_id()
            reader = None
            if self._stamped:
                reader = self._attach_reader()
            if reader is not None:
                stack.enter_context(reader)
            last: Acknowledgement | None = None
            begin = end = time.monotonic()
            seen = failure = None
            try:
                for last in self._client.ingest_messages(self._messages(card), driver=driver):
                    end = time.monotonic()
                    if last.acked_through == 0:
                        begin = end
                if reader is not None and last is not None:
                    seen = Seen.of(wait_for_reader(reader, last.accepted), same_host)
            except ServiceError as error:
                if last is None or not (last.acked_through or isinstance(error, ServerUnavailable)):
                    raise
                failure = error
                card.stop()
            figures = card.report()
            up = figures["seconds"]
            if self._duration is not None:
                up = min(up, self._duration)
            took = end - begin if self._unpaced else up
            return NicReport.of(
                figures,
                last or Acknowledgement(),
                seen,
                took,
                stamped=self._stamped,
                failure=failure,
            )

    def _attach_reader(self) -> StampReader | None:
        """Attach the reader, with room for the time that a busy machine keeps it from running.

        It leaves two subscribers with quotas of a quarter of the pool each, and the card itself,
        enough to run beside it, whoever comes first. A reader observes: who may only bring frames
        in has none, and is told so.
        """
        try:
            pool = self._client.pool_statistics("")
        except PermissionDenied as error:
            if error.details.reason != ROLE_MISSING:
                raise
            print(NO_READER, file=sys.stderr, flush=True)
            return None
        unreserved = max(pool.pool.buffers - pool.reserved, 0)
        wanted = min(pool.pool.buffers * 3 // 8 - CACHES, unreserved // 2)
        quota = min(max(wanted, unreserved // 5, 1), self._client.limits.max_quota)
        try:
            return self._client.stamp_reader(self.stream, quota=quota)
        except ResourceExhausted:  # somebody else was faster
            return self._client.stamp_reader(self.stream)

    def _messages(self, card: EmulatedNic) -> Iterator[bytes]:
        card.start()
        notice = LinkTypeNotice()
        for sequence in itertools.count(1):
            message = card.next_request(self._client.message_bytes, LINGER, sequence)
            if message is None:
                return
            if not self._stamped:
                notice.look_at(message)
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
