"""A reload that takes a role away ends the open streams that need it, and no other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest
from certificates import Authority
from daemon_support import PATIENCE
from google.protobuf.message import Message
from secure_daemon import daemon_with, named, port
from skbpool.addresses import parse_address
from skbpool.client import Tls
from skbpool.client.tls import open_channel
from skbpool.v1 import frame_pb2, lease_pb2, stamp_pb2, watch_pb2
from skbpool_service.daemon import Daemon

STREAMS: dict[str, tuple[str, Message]] = {
    "skbpool.v1.FrameService/Ingest": ("ingest", frame_pb2.IngestRequest()),
    "skbpool.v1.FrameService/Subscribe": ("observe", frame_pb2.SubscribeRequest()),
    "skbpool.v1.LeaseService/OpenSession": ("allocate", lease_pb2.OpenSessionRequest()),
    "skbpool.v1.StampService/AttachStampReader": (
        "observe",
        stamp_pb2.AttachStampReaderRequest(),
    ),
    "skbpool.v1.WatchService/WatchPools": ("observe", watch_pb2.WatchPoolsRequest()),
}
ROLES = ["observe", "ingest", "allocate", "administer"]


def first_of(message: Message, over: Event) -> Iterator[bytes]:
    """Give one request, and no end before it is over."""
    yield message.SerializeToString()
    over.wait(PATIENCE)


@contextmanager
def opened(address: str, tls: Tls | None) -> Iterator[dict[str, Any]]:
    """Open a stream of each method; give them once the daemon has them."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    over, streams = Event(), {}
    with open_channel(parse_address(address), tls, options) as channel:
        for method, (_, message) in STREAMS.items():
            call: Any = channel.stream_stream(f"/{method}")
            streams[method] = call(first_of(message, over), timeout=PATIENCE)
            streams[method].initial_metadata()
        yield streams
        over.set()


def outcomes(streams: dict[str, Any], gone: str) -> dict[str, grpc.StatusCode | None]:
    """Return how each stream ended of those that need the role `gone`; None: it is open."""
    found = {}
    for method, stream in streams.items():
        if STREAMS[method][0] == gone:
            with pytest.raises(grpc.RpcError):
                for _ in stream:
                    pass
        found[method] = None if stream.is_active() else stream.code()
    return found


def take(daemon: Daemon, roles: list[str], name: str = "") -> None:
    """Leave these roles to a listener, or to a name of certificates."""
    if name:
        daemon.settings.roles = {name: roles}  # type: ignore[dict-item]
    else:
        daemon.settings.listener = [
            listener.model_copy(update={"roles": roles}) for listener in daemon.settings.listener
        ]
    daemon.take_over_settings()


@pytest.mark.parametrize("gone", ["observe", "ingest", "allocate"])
@pytest.mark.parametrize("by", ["listener", "certificate"])
def test_streams_whose_role_is_gone_end(
    authority: Authority, tmp_path: Path, by: str, gone: str
) -> None:
    name = "client.example"
    left = [role for role in ROLES if role != gone]
    if by == "listener":
        listener: dict[str, Any] = {"address": f"unix:{tmp_path}/s", "roles": ROLES}
        daemon_of, tls = daemon_with(listener), None
    else:
        listener = port(authority, client_ca=True, roles=ROLES)
        daemon_of, tls = daemon_with(listener, roles={name: ROLES}), named(authority, name)
    with daemon_of as daemon, opened(daemon.addresses[0], tls) as streams:
        take(daemon, left, "" if by == "listener" else name)
        wanted = {
            method: grpc.StatusCode.PERMISSION_DENIED if role == gone else None
            for method, (role, _) in STREAMS.items()
        }
        assert outcomes(streams, gone) == wanted


def test_a_change_that_takes_nothing_ends_nothing(tmp_path: Path) -> None:
    listener = {"address": f"unix:{tmp_path}/s", "roles": ROLES}
    with daemon_with(listener) as daemon, opened(daemon.addresses[0], None) as streams:
        take(daemon, ["observe", "ingest", "allocate"])
        assert set(outcomes(streams, "administer").values()) == {None}
