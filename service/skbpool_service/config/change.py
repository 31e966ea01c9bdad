"""Which keys a running daemon takes over, and what stays until it is started again."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from skbpool_service.config.model import Settings

RELOADED = frozenset(
    {
        "shutdown_deadline",
        "roles",
        "log.level",
        "watch.interval",
        "watch.leak_suspect_age",
        "limits.max_frame_bytes",
        "limits.max_quota",
        "limits.default_quota",
        "limits.max_pools",
        "limits.max_pool_bytes",
        "limits.max_handles_per_session",
        "limits.ingest_credit_bytes",
        "limits.max_linger_seconds",
        "limits.max_copy_bytes",
        "limits.max_resumptions",
        "limits.max_resumption_seconds",
        "limits.max_driver_bits_per_second",
        "limits.max_driver_frames_per_second",
        "limits.max_driver_block_seconds",
        "driver.capture_directory",
    }
)
"""Keys that hold for whatever begins after. Threads, sockets, memory and what gRPC was told at the
start hang on the others."""

RELOADED_OF_LISTENERS = ("roles", "unlisted_names")
"""The same of each listener, beside the paths of its certificates."""

Tables = Mapping[str, Any]
Load = Callable[[Tables], Settings]
"""Returns the settings with some tables laid over them."""


def renewed(before: Settings, load: Load) -> tuple[Settings, list[str]]:
    """Return the settings as they can be from now on, and the keys that would take a restart.

    Raises:
        ConfigError: The configuration is wrong, by itself or with what stays.
    """
    wanted = load({})
    settings = load(_staying(before, wanted))
    # Quotas that follow the pool differ where the pool does.
    return settings, [key for key in differing(wanted, settings) if key not in RELOADED]


def differing(one: Settings, two: Settings) -> list[str]:
    """Return the keys in which settings differ; those of a listener with its address."""
    first, second = dict(_flat(one)), dict(_flat(two))
    found = {key for key in {*first, *second} if first.get(key) != second.get(key)}
    # Of a listener that is in one of them only, its address says everything.
    return sorted(key for key in found if key.partition(": ")[0] in (key, *(first.keys() & second)))


def _staying(before: Settings, wanted: Settings) -> dict[str, Any]:
    """Return what cannot change as it is, to be laid over what is wanted."""
    staying: dict[str, Any] = {}
    for key, value in before.model_dump(exclude_none=True).items():
        if key == "listener":
            staying[key] = [_listener(each, wanted) for each in value]
        elif isinstance(value, dict) and key != "roles":
            staying[key] = {
                name: one for name, one in value.items() if f"{key}.{name}" not in RELOADED
            }
        elif key not in RELOADED:
            staying[key] = value
    return staying


def _listener(before: dict[str, Any], wanted: Settings) -> dict[str, Any]:
    """Return a listener as it is, with what may change as it is wanted."""
    found = [each for each in wanted.listener if each.address == before["address"]]
    if not found:
        return before
    new = found[0].model_dump(exclude_none=True)
    changed = {name: new[name] for name in RELOADED_OF_LISTENERS}
    tls = before.get("tls"), new.get("tls")
    # Whether clients need a certificate was told gRPC at the start.
    if tls[0] and tls[1] and ("client_ca" in tls[0]) == ("client_ca" in tls[1]):
        changed["tls"] = tls[1]
    return before | changed


def _flat(settings: Settings) -> Iterator[tuple[str, object]]:
    for key, value in settings.model_dump().items():
        if key == "listener":
            for each in value:
                address = each.pop("address")
                yield f"listener {address}", True
                for name, one in each.items():
                    yield f"listener {address}: {name}", one
        elif isinstance(value, dict) and key != "roles":
            for name, one in value.items():
                yield f"{key}.{name}", one
        else:
            yield key, value
