"""How many files the process may have open: each connection is one."""

import resource

import structlog

from skbpool_service.config import Settings

log = structlog.get_logger()

BESIDES = 256
"""Files beside connections: pools, metrics, what libraries open."""


def raise_file_limit(settings: Settings) -> None:
    """Raise this process's limit to what its connections need, as far as the system lets it."""
    needed = settings.limits.max_connections * max(len(settings.listeners), 1) + BESIDES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < needed:
        log.warning(
            "fewer files may be open than connections are allowed: raise LimitNOFILE or lower "
            "limits.max_connections",
            files=most,
            needed=needed,
        )
