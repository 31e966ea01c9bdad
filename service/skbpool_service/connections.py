"""Connections that gRPC accepted: found among the open files, watched, and closed if need be.

A keepalive ping waits behind what is written already. So it never leaves a connection whose peer
has stopped reading while data was under way, and a call on it cannot be ended either: gRPC waits
for the write. On TCP the kernel gives up such a connection (TCP_USER_TIMEOUT, which gRPC sets from
its keepalive); Unix sockets know nothing of the kind, and `Stalled` does it for them.
"""

import contextlib
import errno
import fcntl
import os
import random
import select
import socket
import stat
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from skbpool.addresses import Address, UnixAddress

log = structlog.get_logger()

LOOKS = 16
"""How often a connection is looked at in the time after which it is given up, on average. gRPC
writes again when a quarter of the kernel's buffer is left, so with a peer that reads, what
waits goes up and down, in pieces of at most 36 KiB with what the kernel adds; looks come at
irregular times, so that as many equal ones in a row are no accident."""

MOST_SECONDS_BETWEEN_LOOKS = 1.0


class Stalled:
    """Closes Unix connections whose peer has read next to nothing for `seconds`.

    That is less than a piece of the kernel's buffer, while this was too full for gRPC to write.
    """

    def __init__(self, addresses: list[Address], seconds: float):
        self._addresses = [address for address in addresses if isinstance(address, UnixAddress)]
        self._seconds = seconds
        self._interval = min(seconds / LOOKS, MOST_SECONDS_BETWEEN_LOOKS)
        # By inode: the bytes that wait, and since when they are as many.
        self._waiting: dict[int, tuple[int, float]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stalled", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        if self._addresses:
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval * random.uniform(0.5, 1.5)):
            try:
                self._look()
            except Exception:
                log.exception("looking for stalled connections failed")

    def _look(self) -> None:
        now = time.monotonic()
        waiting = {}
        for descriptor, inode in _sockets():
            unread = _unread(descriptor)
            if not unread or _is_writable(descriptor):
                continue
            before, since = self._waiting.get(inode, (unread, now))
            waiting[inode] = (unread, since if before == unread else now)
            if before == unread and now - since >= self._seconds:
                ended = _close(descriptor, inode, self._is_ours)
                if ended:
                    log.warning(
                        "a client reads next to nothing and is cut off", unread_bytes=unread
                    )
        self._waiting = waiting

    def _is_ours(self, found: socket.socket) -> bool:
        return any(_accepted_on(found, address) for address in self._addresses)


def close_all(address: Address) -> int:
    """Close every connection that was accepted on `address`; return how many there were."""
    return sum(
        _close(descriptor, inode, lambda found: _accepted_on(found, address))
        for descriptor, inode in _sockets()
    )


def _sockets() -> Iterator[tuple[int, int]]:
    """Every open socket of this process with its inode."""
    for file in Path("/proc/self/fd").iterdir():
        try:
            found = file.stat()
        except OSError:  # closed meanwhile
            continue
        if stat.S_ISSOCK(found.st_mode):
            yield int(file.name), found.st_ino


def _unread(descriptor: int) -> int:
    """How many bytes, with the kernel's own overhead, wait to be read by the peer."""
    try:
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:  # closed meanwhile, or of a kind that has no such count
        return 0
    return int(struct.unpack("i", answer)[0])


def _is_writable(descriptor: int) -> bool:
    """Whether the kernel would take more; true for a descriptor that was closed meanwhile."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return any(event & (select.POLLOUT | select.POLLNVAL) for _, event in poll.poll(0))


def _close(descriptor: int, inode: int, ours: Callable[[socket.socket], bool]) -> bool:
    """Shut the connection down, if it still is the one meant; gRPC sees its end and closes it."""
    try:
        # A file of our own, since gRPC may close its number at any time and another get it.
        own = os.dup(descriptor)
    except OSError:
        return False
    if os.fstat(own).st_ino != inode:
        os.close(own)
        return False
    with socket.socket(fileno=own) as found:
        if not ours(found):
            return False
        with contextlib.suppress(OSError):
            found.shutdown(socket.SHUT_RDWR)
        return True


def _accepted_on(found: socket.socket, address: Address) -> bool:
    try:
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        name = found.getsockname()
    except OSError as error:
        if error.errno in (errno.ENOTCONN, errno.EINVAL, errno.ENOTSOCK):
            return False
        raise
    if isinstance(address, UnixAddress):
        return found.family == socket.AF_UNIX and name == address.path
    return found.family in (socket.AF_INET, socket.AF_INET6) and name[1] == address.port
