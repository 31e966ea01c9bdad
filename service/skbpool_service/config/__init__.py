"""The daemon's configuration: one model, filled from flags, environment and a TOML file."""

from skbpool_service.config.load import ConfigError, load_settings, merge, nest
from skbpool_service.config.model import Limits, LogSettings, PoolSettings, Settings

__all__ = [
    "ConfigError",
    "Limits",
    "LogSettings",
    "PoolSettings",
    "Settings",
    "load_settings",
    "merge",
    "nest",
]
