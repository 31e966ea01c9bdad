"""What can be configured of the log."""

from typing import Literal

from pydantic import Field

from skbpool_service.config.table import Table


class LogSettings(Table):
    """How the daemon logs, to standard error."""

    format: Literal["console", "json"] = "console"
    """Lines for people, or one JSON object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important level that is written."""
    max_queued_lines: int = Field(default=4096, ge=16, le=1 << 20)
    """Most lines that wait while nobody reads standard error; further ones are lost, and counted.
    Each is a few hundred bytes."""
