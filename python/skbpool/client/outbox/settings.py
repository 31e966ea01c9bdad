"""How a sender sends."""

from dataclasses import dataclass

from skbpool.client.request import request_of
from skbpool.v1 import frame_pb2

DEFAULT_LINGER = 0.005
"""Seconds that a frame waits for others to share its message."""

DEFAULT_DEADLINE = 30.0
"""Seconds without an acknowledgement after which a sender gives up."""

DEFAULT_BUFFERED = 16 << 20
"""Bytes of messages that a sender keeps: those to be sent and those to be acknowledged."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a sender sends.

    Raises:
        ValueError: A number is none that it can be.
        TypeError: Something is of another type.
    """

    driver: str = ""
    """Name that the frames are accounted under; empty: the daemon chooses one."""
    linger: float = DEFAULT_LINGER
    """Seconds that a frame waits for others to share its message; 0: it does not."""
    deadline: float = DEFAULT_DEADLINE
    """Seconds without an acknowledgement, while frames wait for one, until the sender gives up."""
    max_buffered_bytes: int = DEFAULT_BUFFERED
    """Bytes of messages that wait to be sent or acknowledged; then giving more takes time."""
    resend: bool = True
    """Whether frames are sent again to a daemon that cannot tell whether it had them: they may be
    delivered twice, else lost, and either is counted."""

    def __post_init__(self) -> None:
        request_of(frame_pb2.IngestRequest, driver=self.driver)
        if not isinstance(self.resend, bool):
            raise TypeError(f"resend is True or False, not {self.resend!r}")
        if not isinstance(self.max_buffered_bytes, int):
            raise TypeError(
                f"max_buffered_bytes is a whole number, not {self.max_buffered_bytes!r}"
            )
        numbers = (self.linger, self.deadline, self.max_buffered_bytes)
        try:
            # Told so that NaN, which compares with nothing, is refused too.
            fits = self.linger >= 0 and self.deadline > 0 and self.max_buffered_bytes > 0
        except TypeError:
            fits = False
        if not fits:
            kind = ValueError if all(isinstance(it, int | float) for it in numbers) else TypeError
            raise kind(
                "linger is 0 or more seconds, deadline more than 0 seconds, max_buffered_bytes "
                f"more than 0: not {', '.join(map(repr, numbers))}"
            )


def settings_of(driver: str, options: dict[str, object]) -> Settings:
    """Return the settings with those options that are not None."""
    given = {name: value for name, value in options.items() if value is not None}
    return Settings(driver, **given)  # type: ignore[arg-type]


def refuse(options: dict[str, object]) -> None:
    """Raise TypeError for an option that is not None, where frames are given beside it."""
    for name, value in options.items():
        if value is not None:
            raise TypeError(
                f"{name} is an option of the Sender that ingest() returns without frames, and "
                "these are sent at once: leave it out, or use client.ingest("
                f"{name}=…) and give the frames to the sender's send()"
            )
