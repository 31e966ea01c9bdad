"""Taking over a changed configuration while the daemon runs, on SIGHUP.

The settings are one object, which lives as long as the daemon: what is to change without a restart
is read from it where it is needed, and written into it here.
"""

import time

import structlog

from skbpool_service.config import ConfigError, Settings
from skbpool_service.config.change import RELOADED, Load, differing, renewed
from skbpool_service.daemon import Daemon
from skbpool_service.logs import level_number, set_level
from skbpool_service.notify import notify

log = structlog.get_logger()


def reload(daemon: Daemon, load: Load) -> None:
    """Have `daemon` go on with what `load` returns, as far as it can; log what becomes of it."""
    # As sd_notify(3) has it: systemd knows by the time which request this answers.
    notify(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
    try:
        _reload(daemon, load)
    except Exception:
        log.exception("reloading failed in part")
    finally:
        notify(READY=1)


def _reload(daemon: Daemon, load: Load) -> None:
    try:
        settings, kept = renewed(daemon.settings, load)
    except ConfigError as error:
        for line in str(error).splitlines():
            log.error("the configuration is wrong and changes nothing", reason=line)
        return
    changed = differing(settings, daemon.settings)
    louder = min(settings.log.level, daemon.settings.log.level, key=level_number)
    take_over(daemon.settings, settings)
    daemon.take_over_settings()
    # Either level lets the news through.
    set_level(louder)
    for key in kept:
        log.warning("takes a restart and stays as it is", key=key)
    log.info("configuration reloaded", changed=changed)
    set_level(settings.log.level)


def take_over(live: Settings, settings: Settings) -> None:
    """Write into the live settings what may change in them."""
    for key in RELOADED:
        *table, name = key.split(".")
        source, target = (getattr(each, table[0]) if table else each for each in (settings, live))
        setattr(target, name, getattr(source, name))
    live.listener = settings.listener
