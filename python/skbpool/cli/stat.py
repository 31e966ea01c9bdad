"""`skbpool stat`: what the daemon has counted."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from skbpool.cli.drop_reasons import MEANINGS
from skbpool.cli.holder import age, as_dicts
from skbpool.cli.options import Json, Server, server_address

if TYPE_CHECKING:
    from skbpool.v1 import drop_reason_pb2, pool_pb2, server_pb2

HELP = """Show what the daemon holds and has counted.

Pools with their buffers, holders of references, drivers, consumers, copies by stage, and drops by
reason.

\b
Keys of --json:
  pools[]      name, buffers, buffer_bytes, free, cached, in_flight, reserved (buffers),
               state ("open", or "orphaned": closed, alive because views are outstanding),
               alloc_fast, alloc_slow, alloc_empty, releases, violations (since it was made),
               low_watermark, high_watermark (free buffers), is_low,
               low_crossings, high_crossings, exhaustions (since it was made)
  holders[]    name, kind ("driver", "consumer", "session"), count (references held), bytes,
               oldest_at_least, oldest_at_most (seconds that the oldest is held; null: none is),
               peak_count, peak_bytes (the most at a time), session (number; 0: it is none),
               gone (it left, and others have what it holds)
  drivers[]    name, frames, bytes, unclaimed (frames no consumer wanted), drops
  consumers[]  name, frames, bytes, held, quota (views), drops (frames it missed)
  copies       payload that each stage copied: {"land": {"frames": 12, "bytes": 720}}
  drops        frames dropped anywhere, by reason: {"ring_full": 12}

\b
Examples:
  skbpool stat
  skbpool stat --json | jq '.pools[0].in_flight'

\b
Reasons for a drop:
"""
HELP += "\n".join(f"  {reason:<13}  {meaning}" for reason, meaning in MEANINGS.items())
HELP += """

A ring has slots for the consumer's quota, and with --policy copy-out for each buffer of its memory
for copies too: where copies of small frames fill it before that memory is full, a larger --quota or
--copy-bytes makes room.
"""


def stat(server: Server = None, json: Json = False) -> None:
    """Show what the daemon holds and has counted."""
    # grpcio is slow to import, and `--help` can do without.
    from skbpool.cli.output import print_json
    from skbpool.client import Client

    with Client(server_address(server)) as client:
        figures = as_dict(client.statistics())
    if json:
        print_json(figures)
    else:
        show(figures)


def as_dict(statistics: "server_pb2.GetStatisticsResponse") -> dict[str, Any]:
    """Return the statistics under their documented keys."""
    from skbpool.cli.output import enum_name
    from skbpool.v1 import server_pb2

    return {
        "pools": [_pool(pool) for pool in statistics.pools],
        "holders": as_dicts(statistics.holders),
        "drivers": [
            {
                "name": driver.name,
                "frames": driver.frames,
                "bytes": driver.bytes,
                "unclaimed": driver.unclaimed,
                "drops": _drops(driver.drops),
            }
            for driver in statistics.drivers
        ],
        "consumers": [
            {
                "name": consumer.name,
                "frames": consumer.frames,
                "bytes": consumer.bytes,
                "held": consumer.held,
                "quota": consumer.quota,
                "drops": _drops(consumer.drops),
            }
            for consumer in statistics.consumers
        ],
        "copies": {
            enum_name(server_pb2.CopyStage.Name, copy.stage, "COPY_STAGE_"): {
                "frames": copy.frames,
                "bytes": copy.bytes,
            }
            for copy in statistics.copies
        },
        "drops": _drops(statistics.drops),
    }


def _pool(statistics: "pool_pb2.PoolStatistics") -> dict[str, Any]:
    from skbpool.cli.output import enum_name
    from skbpool.v1 import pool_pb2

    pool = statistics.pool
    return {
        "name": pool.name,
        "buffers": pool.buffers,
        "buffer_bytes": pool.buffer_bytes,
        "free": statistics.free,
        "cached": statistics.cached,
        "in_flight": statistics.in_flight,
        "reserved": statistics.reserved,
        "state": enum_name(pool_pb2.PoolState.Name, pool.state, "POOL_STATE_"),
        "alloc_fast": statistics.alloc_fast,
        "alloc_slow": statistics.alloc_slow,
        "alloc_empty": statistics.alloc_empty,
        "releases": statistics.releases,
        "violations": statistics.violations,
        "low_watermark": statistics.low_watermark,
        "high_watermark": statistics.high_watermark,
        "is_low": statistics.is_low,
        "low_crossings": statistics.low_crossings,
        "high_crossings": statistics.high_crossings,
        "exhaustions": statistics.exhaustions,
    }


def _drops(counts: "Iterable[drop_reason_pb2.DropCount]") -> dict[str, int]:
    from skbpool.client.drops import drops_of, frames_by_reason

    return frames_by_reason(drops_of(counts))


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables; tables without rows are left out."""
    from skbpool.cli.output import count, print_tables, reasons, table

    keys = ("buffers", "buffer_bytes", "free", "cached", "in_flight", "reserved")
    columns = ("buffers", "bytes\neach", "free", "cached", "in\nflight", "reserved")
    pools = table("Pools", "pool", *columns, "state")
    for pool in figures["pools"]:
        pools.add_row(pool["name"], *(count(pool[key]) for key in keys), pool["state"])
    heads = ("held", "bytes", "most\nheld", "most\nbytes", "oldest\nheld for")
    holders = table("Holders", "holder", "kind", *heads)
    for holder in figures["holders"]:
        numbers = [holder[key] for key in ("count", "bytes", "peak_count", "peak_bytes")]
        oldest = age(holder["oldest_at_least"]) or "-"
        holders.add_row(holder["name"], holder["kind"], *map(count, numbers), oldest)
    drivers = table("Drivers", "driver", "frames", "bytes", "unclaimed", "dropped")
    for driver in figures["drivers"]:
        numbers = [driver[key] for key in ("frames", "bytes", "unclaimed")]
        drivers.add_row(driver["name"], *map(count, numbers), reasons(driver["drops"]))
    consumers = table("Consumers", "consumer", "frames", "bytes", "held", "quota", "missed")
    for consumer in figures["consumers"]:
        numbers = [consumer[key] for key in ("frames", "bytes", "held", "quota")]
        consumers.add_row(consumer["name"], *map(count, numbers), reasons(consumer["drops"]))
    copies = table("Copies", "stage", "frames", "bytes")
    for stage, copied in figures["copies"].items():
        if copied["frames"]:
            copies.add_row(stage, count(copied["frames"]), count(copied["bytes"]))
    tables = [made for made in (pools, holders, drivers, consumers, copies) if made.row_count]
    lines = [
        f"{pool['name']} is low: fewer than {count(pool['low_watermark'])} buffers were free"
        for pool in figures["pools"]
        if pool["is_low"]
    ]
    drops = figures["drops"]
    lines += [f"Dropped since the daemon started: {reasons(drops)}"]
    lines += [f"  {why}: {MEANINGS[why]}" for why in drops if why in MEANINGS]
    print_tables(*tables, *lines)
