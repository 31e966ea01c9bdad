"""Every RPC with every role, over real listeners: sockets with roles, and names of certificates."""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from certificates import Authority
from daemon_support import PATIENCE, eventually
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2
from prometheus_client.parser import text_string_to_metric_families
from secure_daemon import daemon_with, named, nameless, port
from skbpool.addresses import parse_address
from skbpool.client import Tls
from skbpool.client.tls import open_channel
from skbpool_service.config.listeners import ROLES
from skbpool_service.daemon import Daemon
from skbpool_service.rpc.roles import ADMINISTER, NEEDS, OPEN, need_of, told

PROTO = Path(__file__).parents[3] / "proto" / "skbpool" / "v1"

CHECK = "/grpc.health.v1.Health/Check"

_Code = grpc.StatusCode


def connect(address: str, tls: Tls | None = None) -> grpc.Channel:
    return open_channel(parse_address(address), tls, [("grpc.use_local_subchannel_pool", 1)])


def outcome(channel: grpc.Channel, method: str) -> grpc.RpcError | None:
    """Call a method with an empty request; return its error, None for a stream that is open."""
    stream: Any = channel.stream_stream(f"/{method}")
    call = stream(iter([b""]), timeout=PATIENCE)
    call.initial_metadata()
    # A refusal has come by the time that a later call is answered.
    check: Any = channel.unary_unary(CHECK, None, health_pb2.HealthCheckResponse.FromString)
    check.future(b"", timeout=PATIENCE).result()
    if call.is_active():
        call.cancel()
        return None
    return None if call.code() is _Code.OK else call


def refused(channel: grpc.Channel, methods: list[str]) -> dict[str, grpc.StatusCode]:
    """Return the methods that this client may not call, and what it is told."""
    found = {method: outcome(channel, method) for method in methods}
    codes = {method: error.code() for method, error in found.items() if error is not None}
    return {
        method: code
        for method, code in codes.items()
        if code in (_Code.PERMISSION_DENIED, _Code.UNAUTHENTICATED)
    }


def details(error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    call: Any = error
    [value] = [pair.value for pair in call.trailing_metadata() if "status-details" in pair.key]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(value).details[0].Unpack(info)
    return info


def expected(methods: list[str], *roles: str) -> dict[str, grpc.StatusCode]:
    return {
        method: _Code.PERMISSION_DENIED
        for method in methods
        if need_of(method) and not need_of(method) & set(roles)
    }


def methods_of(daemon: Daemon) -> list[str]:
    return sorted(daemon.methods)


def test_every_method_has_a_role_and_the_proto_says_which(tmp_path: Path) -> None:
    with daemon_with({"address": f"unix:{tmp_path}/s"}) as daemon:
        assert methods_of(daemon) == sorted(NEEDS)
    said = {}
    for file in PROTO.glob("*.proto"):
        text = file.read_text()
        for service in re.finditer(r"^service (\w+) \{(.*?)^\}", text, re.M | re.S):
            for rpc in re.finditer(r"(?:  // Role: (\w+)\.\n)?  rpc (\w+)\(", service[2]):
                said[f"skbpool.v1.{service[1]}/{rpc[2]}"] = rpc[1]
    assert said == {
        method: told(need) for method, need in NEEDS.items() if method.startswith("skbpool.v1.")
    }
    assert [method for method, need in NEEDS.items() if need == OPEN] == [
        "grpc.health.v1.Health/Check",
        "grpc.health.v1.Health/Watch",
    ]


def test_a_method_that_nobody_gave_a_role_is_the_administrators() -> None:
    assert need_of("skbpool.v1.FrameService/New") == {"administer"}


@pytest.mark.parametrize("roles", [*([role] for role in ROLES), [], list(ROLES)])
def test_a_listener_grants_its_roles_and_no_other(tmp_path: Path, roles: list[str]) -> None:
    listener = {"address": f"unix:{tmp_path}/s", "roles": roles}
    with daemon_with(listener) as daemon, connect(daemon.addresses[0]) as channel:
        methods = methods_of(daemon)
        assert refused(channel, methods) == expected(methods, *roles)


def test_loopback_grants_everything_but_administer() -> None:
    with (
        daemon_with({"address": "127.0.0.1:0"}) as daemon,
        connect(daemon.addresses[0]) as channel,
    ):
        administer = [method for method in methods_of(daemon) if need_of(method) == ADMINISTER]
        assert "skbpool.v1.PoolService/CreatePool" in administer
        assert list(refused(channel, methods_of(daemon))) == administer


def test_a_refusal_names_role_and_listener(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    with daemon_with({"address": address, "roles": ["observe"]}) as daemon:
        with connect(address) as channel:
            error = outcome(channel, "skbpool.v1.FrameService/Ingest")
            assert error is not None
            info = details(error)
            assert (error.code(), info.reason) == (_Code.PERMISSION_DENIED, "ROLE_MISSING")
            assert info.metadata == {"role": "ingest", "listener": address, "name": ""}
            assert "a client has observe:" in str(error.details())
            # Nothing of it is taken for a method that there is not.
            unknown = outcome(channel, "skbpool.v1.FrameService/Nothing")
            assert unknown is not None
            assert unknown.code() is _Code.UNIMPLEMENTED
        assert daemon.addresses == [address]


def everybody(authority: Authority) -> Iterator[tuple[tuple[str, ...], Tls]]:
    """Give a certificate for each role, and one for two of them, with what its names may do."""
    for role in ROLES:
        yield (role,), named(authority, f"{role}.example")
    yield ("observe", "ingest"), named(authority, "observe.example", "ingest.example")
    # The common name says who somebody is that has no alternative name, and only then.
    yield ("observe",), named(authority, common_name="observe.example")
    yield ("observe",), named(authority, "observe.example", common_name="ingest.example")
    yield (), named(authority, "stranger.example")
    yield (), named(authority, "stranger.example", common_name="ingest.example")


def test_names_of_certificates_have_their_roles_and_no_other(authority: Authority) -> None:
    names = {f"{role}.example": [role] for role in ROLES}
    listener = port(authority, client_ca=True)
    with daemon_with(listener, roles=names) as daemon:
        methods = methods_of(daemon)
        for roles, tls in everybody(authority):
            with connect(daemon.addresses[0], tls) as channel:
                assert refused(channel, methods) == expected(methods, *roles), roles


def test_a_listener_grants_no_name_more_than_its_own_roles(authority: Authority) -> None:
    names = {"observe.example": ["observe", "administer"]}
    listener = port(authority, client_ca=True, roles=["observe", "ingest"])
    unlisted = listener | {"unlisted_names": True}
    with daemon_with(listener, unlisted, roles=names) as daemon:
        methods = methods_of(daemon)
        listed, stranger = named(authority, "observe.example"), named(authority, "stranger.example")
        strict, open_to_all = daemon.addresses
        for address, tls, roles in (
            (strict, listed, ["observe"]),
            (strict, stranger, []),
            (open_to_all, listed, ["observe"]),
            (open_to_all, stranger, ["observe", "ingest"]),
        ):
            with connect(address, tls) as channel:
                assert refused(channel, methods) == expected(methods, *roles)


def ended(daemon: Daemon) -> dict[str, tuple[float, float]]:
    """Return how many calls of each method began, and how many were refused for their role."""
    assert daemon.metrics_url
    with urllib.request.urlopen(daemon.metrics_url) as response:
        text = response.read().decode()
    samples = {
        (sample.name, sample.labels["method"], sample.labels.get("code")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in ("skbpool_rpc_started_total", "skbpool_rpc_handled_total")
    }
    return {
        method: (value, samples.get(("skbpool_rpc_handled_total", method, "PERMISSION_DENIED"), 0))
        for (name, method, _), value in samples.items()
        if name == "skbpool_rpc_started_total"
    }


@pytest.mark.parametrize("by", ["listener", "certificate"])
def test_refused_calls_are_counted_once_each(authority: Authority, tmp_path: Path, by: str) -> None:
    plain = {"address": f"unix:{tmp_path}/s", "roles": []}
    listener = plain if by == "listener" else port(authority, client_ca=True)
    tls = None if by == "listener" else named(authority, "stranger.example")
    with (
        daemon_with(listener, metrics="127.0.0.1:0") as daemon,
        connect(daemon.addresses[0], tls) as channel,
    ):
        methods = methods_of(daemon)
        denied = refused(channel, methods)
        counted = dict.fromkeys(denied, (1.0, 1.0))
        eventually(lambda: {method: ended(daemon)[method] for method in denied}, counted.__eq__)


def test_a_certificate_without_a_name_says_nobody_who_it_is(authority: Authority) -> None:
    listener = port(authority, client_ca=True, unlisted_names=True)
    with (
        daemon_with(listener) as daemon,
        connect(daemon.addresses[0], nameless(authority)) as channel,
    ):
        methods = methods_of(daemon)
        wanted = {method: _Code.UNAUTHENTICATED for method in methods if need_of(method)}
        assert refused(channel, methods) == wanted
        error = outcome(channel, "skbpool.v1.ServerService/GetServerInfo")
        assert error is not None
        info = details(error)
        assert info.reason == "NO_CERTIFICATE_NAME"
        assert info.metadata == {"role": "any", "listener": "grpcs://127.0.0.1:0"}
