"""Which connections are found, which are cut off, and which are left alone."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from daemon_support import PATIENCE
from skbpool.addresses import Address, TcpAddress, UnixAddress
from skbpool_service.connections import Stalled, close_all

CHUNK = 4096


class Pair:
    """A connection: the accepted end, which writes, and the peer, which reads."""

    def __init__(self, listener: socket.socket):
        self.peer = socket.socket(listener.family)
        self.peer.settimeout(PATIENCE)
        self.peer.connect(listener.getsockname())
        self.accepted, _ = listener.accept()
        self.accepted.setblocking(False)

    def fill(self) -> None:
        """Write as much as the kernel takes."""
        try:
            while True:
                self.accepted.send(bytes(CHUNK))
        except BlockingIOError:
            pass

    def drain(self) -> None:
        """Read to the end of the connection; fail if it does not come."""
        while self.peer.recv(1 << 16):
            pass

    def close(self) -> None:
        """Close both ends."""
        self.peer.close()
        self.accepted.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listen(stack: ExitStack, path: Path) -> tuple[socket.socket, UnixAddress]:
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    listener.listen()
    return listener, UnixAddress(str(path))


def connect(stack: ExitStack, listener: socket.socket) -> Pair:
    pair = Pair(listener)
    stack.callback(pair.close)
    return pair


def test_only_a_peer_that_reads_nothing_is_cut_off(stack: ExitStack, tmp_path: Path) -> None:
    listener, address = listen(stack, tmp_path / "ours")
    foreign_listener, _ = listen(stack, tmp_path / "foreign")
    idle = connect(stack, listener)
    stopped, steady = connect(stack, listener), connect(stack, listener)
    foreign = connect(stack, foreign_listener)
    for pair in (stopped, steady, foreign):
        pair.fill()
    done = threading.Event()

    def read_steadily() -> None:
        # Full before and after each read: at no time does nothing wait.
        while not done.is_set():
            steady.peer.recv(CHUNK * 3)
            steady.fill()

    reader = threading.Thread(target=read_steadily)
    reader.start()
    stalled = Stalled([address], seconds=0.5)
    stalled.start()
    try:
        stopped.accepted.setblocking(True)
        stopped.accepted.settimeout(PATIENCE)
        assert stopped.accepted.recv(1) == b""  # shut down
    finally:
        stalled.stop()
        done.set()
        reader.join()
    for pair in (idle, steady, foreign):
        with pytest.raises(BlockingIOError):  # open, and the peer said nothing
            pair.accepted.recv(1)
    stopped.drain()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_all_connections_of_one_address_are_closed(
    stack: ExitStack, tmp_path: Path, kind: str
) -> None:
    address: Address
    if kind == "unix":
        listener, address = listen(stack, tmp_path / "ours")
    else:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = TcpAddress("127.0.0.1", listener.getsockname()[1])
    other_listener, _ = listen(stack, tmp_path / "other")
    ours = [connect(stack, listener) for _ in range(3)]
    other = connect(stack, other_listener)
    assert close_all(address) == 3
    for pair in ours:
        pair.drain()
    with pytest.raises(BlockingIOError):
        other.accepted.recv(1)
    connect(stack, listener)  # the listener is left alone
