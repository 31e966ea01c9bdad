"""Settings as a TOML file that reads back to the same."""

import tomli_w

from skbpool_service.config.model import Settings


def as_toml(settings: Settings) -> str:
    """Return everything in force as TOML; what is unset has no key."""
    return tomli_w.dumps(settings.model_dump(exclude_none=True))
