"""Binding the daemon's addresses: a grpc server object for each, and errors that say why not."""

import errno
import fcntl
import os
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from skbpool.addresses import MAX_SOCKET_PATH, Address, TcpAddress, UnixAddress

from skbpool_service.config import ListenerSettings, Settings
from skbpool_service.tls import Certificates, TlsError

LOCK_SECONDS = 2.0
"""How long a daemon that starts waits for another one that does, in the same folder."""

HARD_LIMIT_FACTOR = 2
"""A message over max_message_bytes is refused by the handler, which can say why; one over this
multiple of it by gRPC itself, unread."""


class ListenError(Exception):
    """An address that cannot be listened on; the text says why and what to do."""


@dataclass
class Listener:
    """One bound address."""

    server: grpc.Server
    address: Address
    """Where it listens, the chosen port included."""
    bound: Address
    """Where gRPC bound it; another path than the address for a Unix socket."""
    _identity: tuple[int, int] | None = None
    """Device and inode of the socket file, so that no other daemon's is removed."""
    certificates: Certificates | None = None
    """What it speaks TLS with; None: plaintext."""

    def remove_socket(self) -> None:
        """Remove the socket file if it is still this listener's."""
        if isinstance(self.address, UnixAddress) and self._identity is not None:
            path = Path(self.address.path)
            if _identity(path) == self._identity:
                path.unlink(missing_ok=True)


def bind(
    listener: ListenerSettings,
    settings: Settings,
    handlers: list[grpc.GenericRpcHandler],
    threads: ThreadPoolExecutor,
) -> Listener:
    """Return a listener that is bound and not started.

    Raises:
        ListenError: The address is busy, or may not or cannot be used.
    """
    server = grpc.server(
        threads,
        handlers=handlers,
        options=_options(settings),
        maximum_concurrent_rpcs=settings.limits.max_concurrent_rpcs,
    )
    address = listener.where
    if isinstance(address, UnixAddress):
        return _bind_unix(server, address, _Access.of(listener))
    return _bind_tcp(server, address, listener)


def _options(settings: Settings) -> list[tuple[str, int]]:
    limits = settings.limits
    return [
        ("grpc.max_receive_message_length", limits.max_message_bytes * HARD_LIMIT_FACTOR),
        ("grpc.max_send_message_length", limits.max_message_bytes * HARD_LIMIT_FACTOR),
        ("grpc.max_concurrent_streams", limits.max_rpcs_per_connection),
        ("grpc.max_allowed_incoming_connections", limits.max_connections),
        # Between the two, gRPC refuses the more of them the larger they are.
        ("grpc.max_metadata_size", limits.max_metadata_bytes // 2),
        ("grpc.absolute_max_metadata_size", limits.max_metadata_bytes),
        ("grpc.server_handshake_timeout_ms", int(settings.handshake_timeout * 1000)),
        ("grpc.max_connection_idle_ms", int(settings.idle_timeout * 1000)),
        # A second daemon on a port shall be told, not given half of the calls.
        ("grpc.so_reuseport", 0),
        # Identity only: a small message cannot become a large one.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        ("grpc.keepalive_time_ms", int(settings.keepalive_time * 1000)),
        ("grpc.keepalive_timeout_ms", int(settings.keepalive_timeout * 1000)),
        # Without it every ping, a keepalive's too, is waited for a minute.
        ("grpc.http2.ping_timeout_ms", int(settings.keepalive_timeout * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # What clients may send for a keepalive of their own.
        ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ]


@dataclass(frozen=True)
class _Access:
    """Who may connect to a Unix socket."""

    mode: int
    group: int | None

    @classmethod
    def of(cls, listener: ListenerSettings) -> "_Access":
        return cls(listener.socket_mode, listener.socket_group)


def _bind_unix(server: grpc.Server, address: UnixAddress, access: _Access) -> Listener:
    path = Path(address.path)
    if not path.parent.is_dir():
        raise ListenError(
            f"{address}: there is no folder {path.parent}; make it, or listen elsewhere"
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ListenError(
            f"{address}: the folder {path.parent} may not be written to; listen elsewhere, or "
            "run as a user who may"
        )
    with _alone(path.parent):
        _clear(path)
        return _bind_beside(server, address, path, access)


def _bind_beside(
    server: grpc.Server, address: UnixAddress, path: Path, access: _Access
) -> Listener:
    # gRPC removes the path that it bound when it ends, whoever's file that is by then. So it binds
    # a name of its own, which is nowhere any more once the socket has the name asked for; tools
    # that list sockets, as ss does, show that one.
    room = MAX_SOCKET_PATH - len(os.fsencode(path.parent)) - len("/.")
    name = secrets.token_hex(8)[: max(room, 1)]
    bound = UnixAddress(str(path.with_name(f".{name}")))
    # Nobody but the owner may connect before group and mode are right.
    with _umask(0o777 & ~(access.mode & 0o700)):
        try:
            server.add_insecure_port(bound.target)
        except RuntimeError:
            raise _why_not_unix(bound, address) from None
    try:
        if access.group is not None:
            os.chown(bound.path, -1, access.group)
        Path(bound.path).chmod(access.mode)
    except OSError as error:
        Path(bound.path).unlink(missing_ok=True)
        raise ListenError(
            f"{address}: may not be given to group {access.group}: {error.strerror}; run the "
            "daemon as a member of that group, or name another"
        ) from None
    _give_name(Path(bound.path), path)
    return Listener(server, address, bound, _identity(path))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other daemons that start from looking for a socket in `folder` and making one there.

    Anybody can hold the lock of a folder that they may read, so it is not waited for long.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # a folder that may be written to and not read
        yield
        return
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < deadline:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:  # a file system without locks
            return None
    return None


def _give_name(bound: Path, path: Path) -> None:
    """Give a socket another name, unless it is taken: one of daemons that start at once gets it."""
    try:
        os.link(bound, path)
    except FileExistsError:
        raise ListenError(
            f"unix:{path}: is in use by a daemon that just started; stop that, or listen elsewhere"
        ) from None
    except OSError as error:
        raise ListenError(f"unix:{path}: cannot be named: {error.strerror}") from None
    finally:
        bound.unlink(missing_ok=True)


def _why_not_unix(bound: UnixAddress, address: UnixAddress) -> ListenError:
    """Return the error with the reason that the system gives; gRPC does not tell it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(bound.path)
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            Path(bound.path).unlink(missing_ok=True)
            reason = "the system refused it once"
    return ListenError(f"{address}: cannot be listened on: {reason}; listen elsewhere")


def _clear(path: Path) -> None:
    """Remove the socket file of a daemon that is gone; raise ListenError for anything else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(f"unix:{path}: {error.strerror}; listen elsewhere") from None
    if not stat.S_ISSOCK(mode):
        raise ListenError(
            f"unix:{path}: there is a file of that name, which is no socket; listen elsewhere, or "
            "remove it"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            # A full queue of connections too is somebody's who is alive.
            reason = error.strerror or "it does not answer"
            raise ListenError(f"unix:{path}: is in use, or may not be used: {reason}") from None
    raise ListenError(f"unix:{path}: is in use by a running daemon; stop that, or listen elsewhere")


def _bind_tcp(server: grpc.Server, address: TcpAddress, listener: ListenerSettings) -> Listener:
    certificates = None
    if listener.tls is not None:
        try:
            certificates = Certificates(str(address), listener.tls.files)
        except TlsError as error:  # changed since the configuration was read
            raise ListenError(f"{address}: {error}") from None
    _probe_tcp(address)
    try:
        if certificates is None:
            port = server.add_insecure_port(address.target)
        else:
            port = server.add_secure_port(address.target, certificates.credentials())
    except RuntimeError:
        # It could be bound a moment ago.
        text = f"{address}: cannot be listened on: somebody else was faster; choose another port"
        raise ListenError(text) from None
    where = TcpAddress(address.host, port, tls=address.tls)
    return Listener(server, where, where, certificates=certificates)


def _probe_tcp(address: TcpAddress) -> None:
    """Raise ListenError with the reason if `address` cannot be bound; gRPC does not tell it."""
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ListenError(f"{address}: the host is unknown: {error.strerror}") from None
    reasons = []
    for family, kind, protocol, _, sockaddr in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(sockaddr)
        except OSError as error:
            reasons.append(error)
    # A host with IPv4 and IPv6 addresses may have one of them switched off.
    if len(reasons) == len(found) or any(error.errno == errno.EADDRINUSE for error in reasons):
        raise listen_error(address, reasons[0])


def listen_error(address: Address, error: OSError) -> ListenError:
    """Return the error for an address that the system refuses."""
    if error.errno == errno.EADDRINUSE:
        return ListenError(
            f"{address}: is in use; stop who uses it, or choose another (port 0: any)"
        )
    if error.errno == errno.EACCES:
        return ListenError(f"{address}: may not be used by this user; choose a port above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return ListenError(f"{address}: is no address of this machine; choose one of its own")
    return ListenError(f"{address}: cannot be listened on: {error.strerror or error}")


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        info = path.lstat()
    except OSError:
        return None
    return info.st_dev, info.st_ino
