"""The state of an Ingest stream that survives its connections."""

import secrets
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc

from skbpool._native import FrameEncoder
from skbpool.client.errors import Cancelled, DeadlineExceeded, ServiceError
from skbpool.client.outbox.credit import Credit
from skbpool.client.outbox.result import IngestResult, Tally
from skbpool.client.outbox.retry import Backoff, passes
from skbpool.client.outbox.settings import Settings
from skbpool.v1 import frame_pb2

if TYPE_CHECKING:
    from skbpool import SkbBatch

STOPPING = "STOPPING"
"""Why a daemon ends a stream that it told everything it accepted."""


class _Message(NamedTuple):
    sequence: int
    data: bytes
    frames: int


class Outbox:
    """Frames on their way: encoded, sent, sent again, acknowledged.

    Nothing here waits or is safe to be used by two threads at a time. Times are seconds of a
    monotonic clock.
    """

    def __init__(self, settings: Settings, message_bytes: int, address: str, now: float) -> None:
        self._settings = settings
        self._message_bytes = message_bytes
        self._address = address
        self._stream_id = secrets.token_bytes(16)
        self._encoder = FrameEncoder(message_bytes)
        self._unsent: deque[_Message] = deque()
        self._unacknowledged: deque[_Message] = deque()
        self._buffered = 0
        self._sequence = 0
        self._sent_through = 0
        # Those up to there may have been accepted by the present run of the daemon, as far as they
        # are not acknowledged.
        self._open_through = 0
        # Those up to there were counted as in doubt.
        self._unsure_through = 0
        self._credit = Credit()
        self._backoff = Backoff()
        self._tally = Tally()
        self._encoded = self._sent = self._acknowledged = self._lost = self._maybe_twice = 0
        self._instance = b""
        self._beginning = 0
        self._opened = False
        self._reconnections = self._restarts = 0
        # When the first frame came that waits in the encoder; when something last moved.
        self._since: float | None = None
        self._moved = now
        self._trouble: ServiceError | None = None
        self._closing = False
        self.failure: ServiceError | None = None
        """Why it was given up."""

    @property
    def result(self) -> IngestResult:
        """What became of the frames so far."""
        accepted, unclaimed, dropped, missed = self._tally.totals()
        given = self._encoded + self._encoder.pending
        waiting = given - self._acknowledged - self._lost
        lost = self._lost
        if self.failure is not None:
            waiting, lost = 0, lost + waiting
        return IngestResult(
            given=given,
            sent=self._sent,
            acknowledged=self._acknowledged,
            waiting=waiting,
            lost=lost,
            maybe_twice=self._maybe_twice,
            accepted=accepted,
            unclaimed=unclaimed,
            dropped=dropped,
            missed=missed,
            reconnections=self._reconnections,
            restarts=self._restarts,
        )

    @property
    def has_room(self) -> bool:
        """Whether another message may be made."""
        most = self._settings.max_buffered_bytes
        return not self._buffered or self._buffered + self._message_bytes <= most

    @property
    def is_empty(self) -> bool:
        """Whether everything given was acknowledged, or counted as lost."""
        return not (self._unsent or self._unacknowledged or self._encoder.pending)

    @property
    def is_closing(self) -> bool:
        """Whether nothing more may be given."""
        return self._closing

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to be sent, ever."""
        return self.failure is not None or (self._closing and self.is_empty)

    def take(self, frames: "Sequence[Any] | SkbBatch", start: int, now_ns: int, now: float) -> int:
        """Take frames from `start` on, a message at most; return where to go on."""
        if self.is_empty:
            self._moved = now
        try:
            message, count, at = self._encoder.push_many(frames, start, now_ns)
        finally:
            if self._since is None and self._encoder.pending:
                self._since = now
        if message is not None:
            self._put(message, count)
            self._since = now
        return at

    def flush(self) -> None:
        """Have what waits for company leave now."""
        count = self._encoder.pending
        message = self._encoder.flush()
        self._since = None
        if message is not None:
            self._put(message, count)

    def close(self) -> None:
        """Have nothing more given."""
        self.flush()
        self._closing = True

    def abort(self) -> None:
        """Have nothing more sent."""
        if not self.is_done:
            text = "the sender was ended by its own program before everything was acknowledged"
            self.fail(Cancelled(text, grpc.StatusCode.CANCELLED))
        self._closing = True

    def _put(self, message: bytes, frames: int) -> None:
        self._sequence += 1
        self._encoded += frames
        self._buffered += len(message)
        self._unsent.append(_Message(self._sequence, message, frames))

    def opening(self) -> bytes:
        """Return the first request of a stream."""
        request = frame_pb2.IngestRequest(driver=self._settings.driver, stream_id=self._stream_id)
        return request.SerializeToString()

    def next_request(self, now: float) -> bytes | None:
        """Return what may be sent now, if anything; it counts as sent."""
        if not self._unsent and self.due_in(now) == 0:
            self.flush()
        if not self._opened or not self._unsent:
            return None
        message = self._unsent[0]
        if not self._credit.allows(len(message.data)):
            return None
        self._credit.use(len(message.data))
        self._unacknowledged.append(self._unsent.popleft())
        self._open_through = max(self._open_through, message.sequence)
        if message.sequence > self._sent_through:
            self._sent_through = message.sequence
            self._sent += message.frames
        return message.data

    def due_in(self, now: float) -> float | None:
        """Return the seconds until frames have waited for company long enough; None: none wait."""
        if self._since is None:
            return None
        return max(self._since + self._settings.linger - now, 0)

    def heard(self, response: frame_pb2.IngestResponse, now: float) -> None:
        """Take note of what the daemon said."""
        if response.HasField("resumption"):
            self._resume(response, now)
        elif not self._opened:  # the greeting of a stream that it has not found yet
            return
        self._trouble = None
        self._tally.told(response)
        while self._unacknowledged and self._unacknowledged[0].sequence <= response.acked_through:
            message = self._unacknowledged.popleft()
            self._credit.return_(len(message.data))
            self._settle(message, now)
        # On resuming: what was handled, and its acknowledgement lost.
        while self._unsent and self._unsent[0].sequence <= response.acked_through:
            self._settle(self._unsent.popleft(), now)
        self._credit.grant(response.credit)

    def _settle(self, message: _Message, now: float) -> None:
        self._buffered -= len(message.data)
        self._acknowledged += message.frames
        self._moved = now

    def _resume(self, response: frame_pb2.IngestResponse, now: float) -> None:
        resumption = response.resumption
        self._opened = True
        self._backoff.reset()
        before, self._instance = self._instance, resumption.instance_id
        # A stream whose answer never came may have made known what the daemon knows nothing of.
        begun, self._beginning = self._beginning, resumption.beginning
        same = (before, begun) == (resumption.instance_id, resumption.beginning)
        if (resumption.known and same) or not before:
            self._tally.resume()
            return
        self._restarts += before != resumption.instance_id
        self._tally.begin()
        unsure = [message for message in self._unsent if message.sequence <= self._open_through]
        if self._settings.resend:
            fresh = (each for each in unsure if each.sequence > self._unsure_through)
            self._maybe_twice += sum(message.frames for message in fresh)
            self._unsure_through = max(self._unsure_through, self._open_through)
            return
        for message in unsure:
            self._unsent.popleft()
            self._buffered -= len(message.data)
            self._lost += message.frames
            self._moved = now

    def broken(self, error: ServiceError) -> float | None:
        """Take note that the stream ended; return the seconds until another one; None: never."""
        self._reconnections += self._opened and not self.is_done
        if self._opened and error.details.reason == STOPPING:
            # It accepted what it acknowledged before, and nothing else of this stream. A refusal of
            # a stream that was not opened tells nothing of those before.
            self._open_through = 0
        self._opened = False
        self._credit.revoke()
        self._unsent.extendleft(reversed(self._unacknowledged))
        self._unacknowledged.clear()
        if self.is_done:
            return None
        if not passes(error):
            self.fail(error)
            return None
        self._trouble = error
        return self._backoff.next(error.details.retry_after or 0.0)

    def fail(self, error: ServiceError) -> None:
        """Give up; what waits is lost."""
        if self.failure is None:
            self.failure = error

    def patience(self, now: float) -> float | None:
        """Return the seconds left until it is given up unless something moves; None: any time.

        Gives it up when there are none.
        """
        if self.failure is not None:
            return 0.0
        if self.is_empty:
            return None
        left = self._moved + self._settings.deadline - now
        if left > 0:
            return left
        if self._trouble is not None:
            self.fail(self._trouble)
            return 0.0
        text = (
            f"the daemon at {self._address} acknowledged nothing for {self._settings.deadline:g} s "
            f"while {self.result.waiting} frames wait: it is overloaded or stopped; the sender's "
            "result tells what was acknowledged"
        )
        self.fail(DeadlineExceeded(text, grpc.StatusCode.DEADLINE_EXCEEDED))
        return 0.0
