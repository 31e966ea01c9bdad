"""What became of the frames given to a sender."""

from dataclasses import dataclass, field

from skbpool.client.drops import Drops, add_drops, drops_of
from skbpool.v1 import frame_pb2


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What became of the frames given to a sender so far.

    given = acknowledged + waiting + lost, always. Of what was acknowledged, accepted frames landed
    in a buffer of the daemon; those that did not are in dropped. Of those that did, missed tells
    what consumers missed by their policies.
    """

    given: int = 0
    """Frames given to the sender."""
    sent: int = 0
    """Frames of those that were handed to a connection, each counted once."""
    acknowledged: int = 0
    """Frames that a daemon acknowledged."""
    waiting: int = 0
    """Frames that wait for their acknowledgement, sent or not; 0 at the end."""
    lost: int = 0
    """Frames that were given up without an acknowledgement. Those of them that had been sent may
    have been accepted."""
    maybe_twice: int = 0
    """Frames that were sent again to a daemon that could not tell whether it had them, because it
    had been restarted or had forgotten the stream: they may have been delivered twice."""
    accepted: int = 0
    """Frames that landed in a buffer, those delivered twice counted twice."""
    unclaimed: int = 0
    """Frames of those that no consumer wanted, which is no drop."""
    dropped: Drops = field(default_factory=dict)
    """Frames that did not reach a buffer, by reason."""
    missed: Drops = field(default_factory=dict)
    """Frames that consumers missed by their policies, by reason, each consumer's for itself; as far
    as acknowledgements told it before a connection was lost."""
    reconnections: int = 0
    """How often the connection was lost and another one opened."""
    restarts: int = 0
    """How often another run of the daemon was found there."""

    @property
    def summary(self) -> str:
        """Where the frames are, in a line."""
        counts = f"{self.given} given, {self.acknowledged} acknowledged, {self.waiting} waiting"
        return f"{counts}, {self.lost} lost"


class Tally:
    """What acknowledgements count, of all runs of the daemon together."""

    def __init__(self) -> None:
        self.accepted = 0
        self.unclaimed = 0
        self.dropped: Drops = {}
        self.missed: Drops = {}
        self._last = frame_pb2.IngestResponse()

    def told(self, response: frame_pb2.IngestResponse) -> None:
        """Take note of the counts of a stream, which run from its beginning."""
        self._last = response

    def begin(self) -> None:
        """Have the counts of another stream added to those so far."""
        self.accepted, self.unclaimed, self.dropped, self.missed = self.totals()
        self._last = frame_pb2.IngestResponse()

    def resume(self) -> None:
        """Have the counts of the stream go on, but for what is missed: that begins anew."""
        add_drops(self.missed, drops_of(self._last.missed))
        self._last.ClearField("missed")

    def totals(self) -> tuple[int, int, Drops, Drops]:
        """Return frames accepted, unclaimed, and dropped and missed by reason."""
        dropped: Drops = {}
        missed: Drops = {}
        add_drops(dropped, self.dropped)
        add_drops(dropped, drops_of(self._last.dropped))
        add_drops(missed, self.missed)
        add_drops(missed, drops_of(self._last.missed))
        accepted, unclaimed = self._last.accepted, self._last.unclaimed
        return self.accepted + accepted, self.unclaimed + unclaimed, dropped, missed
