"""`skbpool serve`: runs the daemon until a signal ends it."""

import json
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from skbpool.addresses import AddressError
from skbpool.exit_codes import ExitCode

from skbpool_service import __version__

if TYPE_CHECKING:
    from skbpool_service.config import Settings
    from skbpool_service.config.change import Load, Tables
    from skbpool_service.log_queue import LogQueue

HUGE_PAGE_BYTES = 2 << 20
"""Bytes of the huge pages that pools use."""

GRACE = 3.0
"""Seconds beyond the shutdown deadline after which a daemon that hangs is ended."""

LAST_LINES = 1.0
"""Seconds that the last lines of the log have to be written, which takes somebody who reads."""


def serve(
    listen: Annotated[
        list[str] | None,
        typer.Option(
            help="Listen on unix:PATH or HOST:PORT (port 0: one that is free); may be repeated. "
            "Default: a Unix socket, /run/skbpool/skbpool.sock if that may be made.",
            metavar="ADDRESS",
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Serve /metrics on HOST:PORT; '' for nowhere. Beyond loopback addresses only with "
            "--insecure-any-address. Default: 127.0.0.1:9464.",
            metavar="ADDRESS",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Read settings from a TOML file.", metavar="FILE", envvar="SKBPOOL_CONFIG"
        ),
    ] = None,
    buffers: Annotated[
        str | None,
        typer.Option(
            help="Buffers of the pool, of which every consumer reserves its quota, by default a "
            "quarter. Default: 131072.",
            metavar="COUNT",
        ),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(help="Size of a buffer: 4096 << ORDER bytes. Default: 0.", metavar="ORDER"),
    ] = None,
    huge_pages: Annotated[
        str | None,
        typer.Option(help="Use huge pages: never, try or require.", metavar="WHEN"),
    ] = None,
    shutdown_deadline: Annotated[
        str | None,
        typer.Option(
            help="Seconds that streams have to end after SIGTERM. Default: 10.", metavar="SECONDS"
        ),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(help="Log as console or json.", metavar="FORMAT")
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(help="Log from debug, info, warning or error on.", metavar="LEVEL"),
    ] = None,
    insecure_any_address: Annotated[
        bool,
        typer.Option(
            "--insecure-any-address",
            help="Allow addresses that other machines can reach, in plaintext.",
        ),
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Set any key of the configuration, as in limits.max_streams=8; may be repeated.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object when ready.")
    ] = False,
    check_config: Annotated[
        bool,
        typer.Option("--check-config", help="Say whether the configuration can be used, and end."),
    ] = False,
    print_config: Annotated[
        bool,
        typer.Option("--print-config", help="Print the configuration in force as TOML, and end."),
    ] = False,
) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; a second one ends it at once.

    SIGHUP has it read its configuration and certificates again.

    Flags go before environment variables (SKBPOOL_LISTEN, SKBPOOL_POOL__BUFFERS,
    SKBPOOL_LIMITS__MAX_STREAMS), those before the TOML file. Lists of tables are JSON there, as in
    --set 'listener=[{"address": "127.0.0.1:50051", "roles": ["observe"]}]'.

    \b
    Keys of --json:
      ready    true
      version  of the daemon
      pid      its process
      listen   addresses it listens on, chosen ports included
      metrics  URL of its metrics; null if they are off

    \b
    Examples:
      skbpool serve --listen unix:/tmp/skbpool.sock --metrics 127.0.0.1:0
      skbpool serve --buffers 4096 --json
      skbpool serve --config skbpool.toml --check-config
    """  # noqa: D301  # \b keeps lines as they are written
    flags = {
        "listen": listen or None,
        "metrics": metrics,
        "insecure_any_address": insecure_any_address or None,
        "shutdown_deadline": shutdown_deadline,
        "pool": {"buffers": buffers, "order": order, "huge_pages": huge_pages},
        "log": {"format": log_format, "level": log_level},
    }
    # pydantic is slow to import, and `--help` can do without.
    from skbpool_service.config import ConfigError, as_toml, load_settings, merge, nest

    try:
        given = merge(_given(flags), nest(set_ or []))
        settings = load_settings(given, config)
    except ConfigError as error:
        raise _fail(str(error), ExitCode.USAGE) from None
    if print_config:
        print(as_toml(settings), end="")
    elif check_config:
        if doubt := _doubt(settings):
            print(f"skbpool serve: warning: {doubt}", file=sys.stderr)
        print("the configuration can be used")
    else:
        load = partial(_load_again, given, config)
        raise typer.Exit(run(settings, load, as_json=json_))


def _load_again(given: "Tables", config: Path | None, over: "Tables") -> "Settings":
    """Read everything that settings come from once more, and lay `over` over it."""
    from skbpool_service.config import load_settings, merge

    return load_settings(merge(over, given), config)


def run(settings: "Settings", load: "Load", *, as_json: bool) -> ExitCode:
    """Run the daemon in this process and return its exit code."""
    # There is nothing to be read anew yet, and by itself it would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # gRPC's own messages about addresses; the daemon says it in one line.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # The longest part of a start, and done by the kernel while the rest is imported.
    from skbpool_service.first_pool import FirstPool

    first_pool = FirstPool(settings.pool)
    # grpcio and what needs it are slow to import, and `--help` can do without.
    from skbpool import PoolMemory, SkbpoolError

    from skbpool_service.allocator import keep_memory
    from skbpool_service.daemon import Daemon
    from skbpool_service.files import raise_file_limit
    from skbpool_service.listen import ListenError
    from skbpool_service.logs import configure_logs
    from skbpool_service.notify import notify
    from skbpool_service.reload import reload
    from skbpool_service.signals import Signals

    log_queue = configure_logs(settings.log)
    raise_file_limit(settings)
    keep_memory(settings.limits.max_message_bytes)
    signals = Signals()
    daemon = Daemon(settings, first_pool)
    failure: tuple[object, ExitCode] | None = None
    try:
        daemon.start()
    except (ListenError, AddressError) as error:
        failure = error, ExitCode.ADDRESS
    except PoolMemory as error:
        failure = f"{error}{_huge_hint(settings)}", ExitCode.FAILURE
    except (SkbpoolError, OSError) as error:
        failure = error, ExitCode.FAILURE
    if failure is not None:
        log_queue.flush_within(LAST_LINES)  # what led to it stands above it
        return _failed_within(LAST_LINES, str(failure[0]), failure[1])
    _tell_quota(settings)
    _tell_doubt(settings)
    _announce(daemon.addresses, daemon.metrics_url, as_json=as_json)
    notify(READY=1, STATUS=f"Listening on {', '.join(daemon.addresses)}")
    while signals.next() == signal.SIGHUP:
        reload(daemon, load)
    notify(STOPPING=1)
    _end_if_it_hangs(settings.shutdown_deadline + GRACE, log_queue)
    daemon.stop()
    log_queue.flush_within(LAST_LINES)
    return ExitCode.OK


def _huge_hint(settings: "Settings") -> str:
    """Say how huge pages are had, if it is them that were asked for."""
    pool = settings.pool
    if pool.huge_pages != "require":
        return ""
    huge = HUGE_PAGE_BYTES
    needed = -(-pool.buffers * (4096 << pool.order) // huge)
    return (
        f"; it takes {needed} free huge pages of {huge >> 20} MiB: reserve them, beside those in "
        f"use, with 'sysctl -w vm.nr_hugepages={needed}', or use --huge-pages try"
    )


def _doubt(settings: "Settings") -> str:
    """Return what may be a mistake, though a daemon can go by it: folders may come later."""
    folder = settings.driver.capture_directory
    if not folder or Path(folder).is_dir():
        return ""
    return (
        f"driver.capture_directory = {folder!r} is no folder: captures cannot be replayed until "
        "there is one"
    )


def _tell_quota(settings: "Settings") -> None:
    """Log the default quota if it is what the size of the pool leaves, or more than it leaves."""
    import structlog

    log = structlog.get_logger()
    if not settings.default_fits_beside_driver:
        log.warning(
            "no room beside a driver for a consumer with the default quota: raise --buffers, "
            "lower limits.default_quota, or have consumers ask for less",
            quota=settings.default_quota,
            buffers=settings.pool.buffers,
        )
    elif settings.quota_follows_pool:
        log.info(
            "default quota follows the size of the pool",
            quota=settings.default_quota,
            buffers=settings.pool.buffers,
        )


def _tell_doubt(settings: "Settings") -> None:
    import structlog

    if doubt := _doubt(settings):
        structlog.get_logger().warning(doubt)


def _end_if_it_hangs(seconds: float, log_queue: "LogQueue") -> None:
    import structlog

    log = structlog.get_logger()

    def end() -> None:
        log.error("did not stop in time and is ended", seconds=seconds)
        log_queue.flush_within(LAST_LINES)
        os._exit(ExitCode.FAILURE)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _announce(addresses: list[str], metrics: str | None, *, as_json: bool) -> None:
    """Tell on standard output where the daemon can be reached, and that it can."""
    if as_json:
        ready = {
            "ready": True,
            "version": __version__,
            "pid": os.getpid(),
            "listen": addresses,
            "metrics": metrics,
        }
        print(json.dumps(ready), flush=True)
        return
    for address in addresses:
        print(f"listening on {address}")
    if metrics:
        print(f"metrics on {metrics}")
    print("READY", flush=True)


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    """Leave out the flags that were not given."""
    given: dict[str, Any] = {}
    for key, value in flags.items():
        if isinstance(value, dict):
            value = _given(value)
            if value:
                given[key] = value
        elif value is not None:
            given[key] = value
    return given


def _failed(text: str, code: ExitCode) -> ExitCode:
    for line in text.splitlines() or [""]:
        print(f"skbpool serve: {line}", file=sys.stderr)
    return code


def _failed_within(seconds: float, text: str, code: ExitCode) -> ExitCode:
    """As `_failed`; ends the process where nobody reads standard error and it is full."""
    telling = threading.Thread(target=_failed, args=(text, code), daemon=True)
    telling.start()
    telling.join(seconds)
    if telling.is_alive():
        os._exit(code)
    return code


def _fail(text: str, code: ExitCode) -> typer.Exit:
    return typer.Exit(_failed(text, code))
