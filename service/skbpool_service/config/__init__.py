"""The daemon's configuration: one model, filled from flags, environment and a TOML file."""

from skbpool_service.config.listeners import ListenerSettings, Role
from skbpool_service.config.load import ConfigError, load_settings, merge, nest
from skbpool_service.config.log import LogSettings
from skbpool_service.config.model import Limits, PoolSettings, Settings
from skbpool_service.config.written import as_toml

__all__ = [
    "ConfigError",
    "Limits",
    "ListenerSettings",
    "LogSettings",
    "PoolSettings",
    "Role",
    "Settings",
    "as_toml",
    "load_settings",
    "merge",
    "nest",
]
