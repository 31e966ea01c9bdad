"""What can be configured of noticing what happens to pools and holders."""

from pydantic import Field

from skbpool_service.config.table import Table


class WatchSettings(Table):
    """How watchers learn what happens."""

    interval: float = Field(default=0.1, ge=0.01, le=60)
    """Seconds between two looks at pools and quotas while somebody watches: events are noticed so
    much later."""
    leak_suspect_age: float = Field(default=600.0, ge=0.01, le=1e9)
    """Seconds that a holder's oldest reference is held, from which on it is suspected of a leak."""
