"""`skbpool watch`: what happens to the daemon's pools, a line an event."""

import time
from typing import TYPE_CHECKING, Any

from skbpool.cli.options import Json, Server, server_address

if TYPE_CHECKING:
    from skbpool.client import PoolWatch
    from skbpool.v1 import watch_pb2

HELP = """Watch what happens to the daemon's pools and their holders.

A line an event, from the moment on that a line on standard error tells, until Ctrl-C or SIGTERM.

\b
Events:
  created, orphaned (closed, and buffers are out), gone (its last buffer is home)
  low_watermark, high_watermark   fewer buffers are free than the pool's low watermark says;
                                  as many as the high one says
  exhausted                       somebody asked for more buffers than were to be had
  quota_exceeded, quota_recovered, quota_gone
                                  a consumer's quota had no view for a frame; half of it is free
                                  again; the consumer left
  leak_suspect                    a holder has its oldest reference longer than the daemon's setting
  driver_attached, driver_finished, driver_failed, driver_detached
                                  what 'driver' commands did, and how a driver's line ended
  driver_drained                  the last view of a detached driver's frames is home

\b
Keys of --json, a line an event:
  time       when it was noticed, in seconds since the Unix epoch
  event      as above
  pool       name of the pool
  in_flight  its buffers that were out
  holder     who it is about, with the keys of 'holder list'; null: the pool
  missed     events that were skipped right before, because this reader was too slow

\b
Examples:
  skbpool watch
  skbpool watch --json | jq 'select(.event == "leak_suspect").holder'
"""


def watch(server: Server = None, json: Json = False) -> None:
    """Watch what happens to the daemon's pools and their holders."""
    # grpcio is slow to import, and `--help` can do without.
    from skbpool.cli.output import say
    from skbpool.cli.stopping import run_stoppable
    from skbpool.client import Client

    with Client(server_address(server)) as client, client.watch_pools() as events:
        say(f"watching {client.address}")
        run_stoppable(lambda: _print_all(events, json), events.close)


def _print_all(events: "PoolWatch", json: bool) -> None:
    from skbpool.cli.output import counted, print_data, print_json, say

    told = 0
    for event in events:
        missed, told = events.missed - told, events.missed
        row = as_dict(event, missed)
        if json:
            print_json(row)
            continue
        if missed:
            say(f"{counted(missed, 'event')} missed")
        print_data(line(row))


def as_dict(event: "watch_pb2.PoolEvent", missed: int) -> dict[str, Any]:
    """Return an event under its documented keys."""
    from skbpool.cli.holder import as_dicts
    from skbpool.cli.output import enum_name
    from skbpool.v1 import watch_pb2

    return {
        "time": event.time.ToNanoseconds() / 1e9,
        "event": enum_name(watch_pb2.PoolEventKind.Name, event.kind, "POOL_EVENT_KIND_"),
        "pool": event.pool,
        "in_flight": event.in_flight,
        "holder": as_dicts([event.holder])[0] if event.HasField("holder") else None,
        "missed": missed,
    }


def line(row: dict[str, Any]) -> str:
    """Return an event as a line for people."""
    from skbpool.cli.holder import age
    from skbpool.cli.output import counted

    at = time.strftime("%H:%M:%S", time.localtime(row["time"]))
    text = f"{at}  {row['event']:<16} {row['pool']}  {row['in_flight']:,} in flight"
    holder = row["holder"]
    if holder is not None:
        text += f"  {holder['kind']} {holder['name']}"
        if not row["event"].startswith("driver_"):
            text += f" holds {counted(holder['bytes'], 'byte')}"
        if holder["oldest_at_least"] is not None:
            text += f", the oldest for {age(holder['oldest_at_least'])}"
    return text + "\n"
