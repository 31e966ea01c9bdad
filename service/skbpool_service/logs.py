"""Logging to standard error: structlog's lines and those of libraries, in one format."""

import logging
import sys

import structlog

from skbpool_service.config import LogSettings
from skbpool_service.log_queue import LogQueue


def configure_logs(settings: LogSettings) -> LogQueue:
    """Set up logging for this process; return what is to be flushed when it ends."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: structlog.typing.Processor
    if settings.format == "json":
        shared.append(structlog.processors.format_exc_info)
        render = structlog.processors.JSONRenderer()
    else:
        render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        # Loggers are kept; what may change, the level, is the standard library's.
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = LogQueue(settings.max_queued_lines, sys.stderr.fileno())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    set_level(settings.level)
    handler.start()
    return handler


def lines_lost() -> int:
    """Return how many lines of this process's log were not written."""
    handlers = logging.getLogger().handlers
    return sum(handler.lost for handler in handlers if isinstance(handler, LogQueue))


def level_number(level: str) -> int:
    """Return the standard library's number for a level: the lower, the more is written."""
    return logging.getLevelNamesMapping()[level.upper()]


def set_level(level: str) -> None:
    """Write what is at least as important as `level`, from now on."""
    logging.getLogger().setLevel(level.upper())
