"""Peers that mean harm: everybody else is served throughout, and memory stays bounded."""

import itertools
import random
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import http2
import pytest
import skbpool
from batches import frames_of, numbered, request
from certificates import Authority
from daemon_support import PATIENCE, DaemonProcess, Stubs, eventually
from driver import Driver
from skbpool.client import ServerUnavailable, Tls
from skbpool.v1 import frame_pb2

pytestmark = pytest.mark.e2e

CONNECTIONS = 64
"""limits.max_connections of the daemon that is attacked."""

GROWTH = 96 << 20
"""Bytes by which the daemon's memory may grow under attack, with what allocators keep."""

SETTINGS = f"""
metrics = ""
handshake_timeout = 1
idle_timeout = 1
log.level = "error"
[pool]
buffers = 2048
[limits]
max_connections = {CONNECTIONS}
max_metadata_bytes = 65536
[[listener]]
address = "127.0.0.1:0"
[[listener]]
address = "unix:%s/d.sock"
[[listener]]
address = "127.0.0.1:0"
[listener.tls]
"""


class Attacked:
    """A daemon, and clients of it that were there before."""

    def __init__(self, daemon: DaemonProcess, stubs: Stubs, ca: str):
        plain, self.socket, self.secure = daemon.ready["listen"]
        host, port = plain.split(":")
        self.where = host, int(port)
        self.ca = ca
        self.stubs = stubs
        self.pid = daemon.process.pid
        self.tap: Any = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(quota=100))
        self.tap.initial_metadata()

    def serve_one(self, driver: Driver, sequence: int) -> None:
        """Have frames go in and come out on connections that are open."""
        driver.send(request(numbered(20), sequence))
        got: list[bytes] = []
        while len(got) < 20:
            got += frames_of(next(self.tap).batch)
        assert got == numbered(20)

    @property
    def memory(self) -> int:
        """Bytes of the daemon that are in memory."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    @property
    def files(self) -> int:
        """Files that the daemon has open."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Serve others while the body attacks, and look at memory and files after it."""
        driver = Driver(self.stubs)
        self.serve_one(driver, 1)
        memory, files = self.memory, self.files
        done = threading.Event()
        failed: list[BaseException] = []

        def others() -> None:
            try:
                for sequence in itertools.count(2):
                    self.serve_one(driver, sequence)
                    if done.is_set():
                        return driver.finish()
            except BaseException as error:
                failed.append(error)

        bystander = threading.Thread(target=others)
        bystander.start()
        try:
            yield
        finally:
            done.set()
            bystander.join()
        assert not failed, failed
        assert self.memory - memory < GROWTH
        # Connections of the attack are gone, or go with the next look at them.
        eventually(lambda: self.files, lambda left: left <= files + 4)
        # New clients are served on every listener.
        for address, tls in (
            (f"{self.where[0]}:{self.where[1]}", None),
            (self.socket, None),
            (self.secure, Tls(self.ca)),
        ):
            # A file is closed a moment before its place is free.
            eventually(partial(is_served, address, tls))


def is_served(address: str, tls: Tls | None) -> bool:
    """Whether a client that connects now is answered."""
    with skbpool.Client(address, tls=tls) as client:
        try:
            return bool(client.server_info().version)
        except ServerUnavailable:
            return False


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("threats")
    authority = Authority(folder)
    file = folder / "skbpool.toml"
    pair = f'certificate = "{authority.certificate}"\nprivate_key = "{authority.private_key}"\n'
    file.write_text(SETTINGS % folder + pair)
    with DaemonProcess("--config", str(file)) as daemon:
        daemon.await_ready()
        with Stubs(daemon.address) as stubs:
            yield Attacked(daemon, stubs, authority.client_ca)


def test_pings_without_end_end_the_connection(attacked: Attacked) -> None:
    with attacked.unharmed(), http2.open_connection(*attacked.where, PATIENCE) as peer:
        http2.send(peer, http2.frame(http2.PING, payload=bytes(8)) * 100)
        assert http2.ENHANCE_YOUR_CALM in http2.goaways(http2.read_to_end(peer))


def test_connections_that_say_nothing_are_closed(attacked: Attacked) -> None:
    secure = attacked.secure.removeprefix("grpcs://").split(":")
    places = [attacked.where, (secure[0], int(secure[1])), attacked.socket.removeprefix("unix:")]
    with attacked.unharmed(), ExitStack() as stack:
        silent = []
        for place in places * 10:
            family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
            peer = stack.enter_context(socket.socket(family))
            peer.settimeout(PATIENCE)
            peer.connect(place)
            silent.append(peer)
        for peer in silent:
            http2.read_to_end(peer)


def test_connections_without_calls_are_closed(attacked: Attacked) -> None:
    with attacked.unharmed(), http2.open_connection(*attacked.where, PATIENCE) as peer:
        assert http2.goaways(http2.read_to_end(peer))


def test_connections_beyond_the_limit_are_closed_and_others_go_on(attacked: Attacked) -> None:
    with attacked.unharmed(), ExitStack() as stack:
        held = [
            stack.enter_context(http2.open_connection(*attacked.where, PATIENCE))
            for _ in range(CONNECTIONS)
        ]
        for _ in range(2000):
            with socket.create_connection(attacked.where, timeout=PATIENCE) as more:
                http2.send(more, http2.PREFACE)
        # Those that hold the places keep new ones out of this listener, and of no other.
        assert attacked.files < 3 * CONNECTIONS
        with skbpool.Client(attacked.socket) as client:
            assert client.server_info().version
        assert len(held) == CONNECTIONS


@pytest.mark.parametrize("size", [100_000, 2_000_000])
def test_headers_beyond_the_limit_are_refused(attacked: Attacked, size: int) -> None:
    address = f"{attacked.where[0]}:{attacked.where[1]}"
    with attacked.unharmed(), Stubs(address) as stubs:
        call: Any = stubs.channel.unary_unary("/skbpool.v1.ServerService/GetServerInfo")
        call(b"", metadata=[("x", "v" * 20_000)], timeout=PATIENCE)
        for _ in range(5):
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", metadata=[("x", "v" * size)], timeout=PATIENCE)
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_headers_without_end_end_the_connection(attacked: Attacked) -> None:
    with attacked.unharmed(), http2.open_connection(*attacked.where, PATIENCE) as peer:
        fields = http2.call(b"/skbpool.v1.ServerService/GetServerInfo")
        http2.send(peer, http2.frame(http2.HEADERS, stream=1, payload=fields))
        piece = http2.literal(b"x" * 60, b"y" * 60) * 100
        more = http2.frame(http2.CONTINUATION, stream=1, payload=piece)
        # What gRPC keeps of such headers has no bound (service/ERRORS.md); others are served.
        for _ in range(400):
            http2.send(peer, more)
        peer.shutdown(socket.SHUT_WR)
        http2.read_to_end(peer)


def test_calls_that_are_reset_at_once_do_nothing_to_others(attacked: Attacked) -> None:
    fields = http2.call(b"/skbpool.v1.ServerService/GetServerInfo")
    with attacked.unharmed(), http2.open_connection(*attacked.where, PATIENCE) as peer:
        peer.settimeout(PATIENCE)
        for stream in range(1, 20_000, 2):
            begun = http2.frame(http2.HEADERS, http2.END_HEADERS, stream, fields)
            if not http2.send(peer, begun + http2.frame(http2.RST_STREAM, 0, stream, bytes(4))):
                break


def noise(dice: random.Random, head: bytes) -> bytes:
    return head + dice.randbytes(dice.randrange(1, 5000))


@pytest.mark.parametrize("which", ["plain", "secure", "socket"])
def test_random_bytes_do_nothing_to_others(attacked: Attacked, which: str) -> None:
    dice = random.Random(11)
    secure = attacked.secure.removeprefix("grpcs://").split(":")
    connect: dict[str, Callable[[], socket.socket]] = {
        "plain": lambda: socket.create_connection(attacked.where, timeout=PATIENCE),
        "secure": lambda: socket.create_connection((secure[0], int(secure[1])), timeout=PATIENCE),
        "socket": lambda: _unix(attacked.socket.removeprefix("unix:")),
    }
    # A TLS record of a ClientHello; the preface of HTTP/2; nothing.
    heads = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", http2.PREFACE, b""]
    with attacked.unharmed():
        for number in range(60):
            with connect[which]() as peer:
                http2.send(peer, noise(dice, heads[number % len(heads)]))


def _unix(path: str) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(PATIENCE)
    peer.connect(path)
    return peer
