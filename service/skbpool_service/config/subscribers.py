"""What subscribers may ask for."""

from pydantic import Field

from skbpool_service.config.table import Table

MAX_COPY_OUT_STREAMS = 16
"""Most subscribers with copies: these are accounted by a holder of their own, of those that are
spared for such uses."""


class SubscriberLimits(Table):
    """Limits of what a subscriber may ask for; whatever goes beyond is refused."""

    max_linger_seconds: float = Field(default=10.0, ge=0, le=3600)
    """Longest that a subscriber's frames may wait for their message to fill, in seconds."""
    max_copy_bytes: int = Field(default=256 << 20, ge=0, le=1 << 40)
    """Bytes of memory that subscribers with the policy copy-out may have together, for copies of
    frames beyond their quotas; 0: none. A subscriber's is taken when it comes."""
    max_copy_out_streams: int = Field(default=8, ge=0, le=MAX_COPY_OUT_STREAMS)
    """Most subscribers with the policy copy-out at a time; 0: none."""
