"""Addresses of the daemon: how they are written, and where the default one is.

An address is `unix:PATH` or `HOST:PORT`, an IPv6 host in brackets: `[::1]:50051`. A port that
speaks TLS is `grpcs://HOST:PORT`. The default is a Unix socket, at the first of these places that
can be used:

1. `/run/skbpool/skbpool.sock`
2. `$XDG_RUNTIME_DIR/skbpool.sock`
3. `skbpool.sock` in a folder `skbpool-UID` of mode 0700 under the temporary directory
"""

import contextlib
import ipaddress
import os
import re
import socket
import stat
import tempfile
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SERVER_VARIABLE = "SKBPOOL_SERVER"
"""Environment variable that names the daemon for clients."""

TLS_SCHEME = "grpcs://"
"""What an address of a port that speaks TLS begins with."""

SOCKET_NAME = "skbpool.sock"
SYSTEM_FOLDER = Path("/run/skbpool")
MAX_SOCKET_PATH = 107
"""Bytes of the longest path a Unix socket can have (`sun_path` in unix(7), less the final zero)."""


class AddressError(ValueError):
    """An address that cannot be used; the text says why and what one looks like."""


@dataclass(frozen=True)
class UnixAddress:
    """A Unix socket."""

    path: str
    """Path of the socket file."""

    def __str__(self) -> str:
        return f"unix:{self.path}"

    @property
    def target(self) -> str:
        """The address as gRPC takes it: a URI, where some characters of a path mean something."""
        return f"unix:{urllib.parse.quote(self.path)}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it: always."""
        return True


@dataclass(frozen=True)
class TcpAddress:
    """A TCP port."""

    host: str
    """Host name or address, without brackets."""
    port: int
    """Port; 0: one that the system chooses."""
    tls: bool = False
    """Whether it speaks TLS."""

    def __str__(self) -> str:
        return f"{TLS_SCHEME if self.tls else ''}{self.target}"

    @property
    def target(self) -> str:
        """The address as gRPC takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it: every address of the host is a loopback one.

        Looks the name up. A name that cannot be looked up is not local.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError:
            return False
        hosts = [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]
        return bool(hosts) and all(ipaddress.ip_address(host).is_loopback for host in hosts)


Address = UnixAddress | TcpAddress


def parse_address(text: str) -> Address:
    """Read an address as people write it: `unix:PATH`, `HOST:PORT` or `grpcs://HOST:PORT`.

    Raises:
        AddressError: It is neither; the text shows both forms.
        TypeError: It is no text.
    """
    if not isinstance(text, str):
        raise TypeError(
            "an address is a text, as in 'unix:/run/skbpool/skbpool.sock' or '127.0.0.1:50051', "
            f"not {type(text).__name__}"
        )
    if text.startswith("unix:"):
        return _unix(text, text.removeprefix("unix:"))
    place = text.removeprefix(TLS_SCHEME)
    found = re.fullmatch(r"(?:\[([^\[\]]*:[^\[\]]*)\]|([^\[\]:/\s]+)):([0-9]{1,5})", place)
    if not found or int(found[3]) > 65535 or not _is_host(found[1] or found[2]):
        raise AddressError(
            f"{text!r} is not an address: write unix:PATH or HOST:PORT, as in "
            "unix:/run/skbpool/skbpool.sock, 127.0.0.1:50051 or [::1]:50051"
        )
    return TcpAddress(found[1] or found[2], int(found[3]), tls=place != text)


def _is_host(host: str) -> bool:
    """Whether the name or address can be looked up at all."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return host.isprintable()


def _unix(text: str, path: str) -> UnixAddress:
    if path.startswith("//"):  # unix:///absolute/path, the URL form
        path = path[2:]
    if not path or "\0" in path:
        raise AddressError(f"{text!r} names no socket: write unix:PATH")
    # Two processes rarely have the same working folder.
    path = str(Path(path).absolute())
    if path.startswith("//"):  # which pathlib keeps, and whoever reads it again takes for a URL
        path = path[1:]
    # gRPC takes what a comma separates for several addresses, and addresses to be text.
    if "," in path or any("\udc80" <= c <= "\udcff" for c in path):
        raise AddressError(
            f"{text!r} cannot be reached by clients: use no commas in the path of a socket, and "
            "no bytes that are not UTF-8"
        )
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise AddressError(
            f"the path of a Unix socket has at most {MAX_SOCKET_PATH} bytes, and {path!r} has "
            f"{len(os.fsencode(path))}: choose a shorter one"
        )
    return UnixAddress(path)


def default_listen_address(environ: Mapping[str, str] = os.environ) -> UnixAddress:
    """Choose where a daemon listens that was told nothing, and make the folder if need be.

    Raises:
        AddressError: None of the three places can be used.
    """
    refusals = []
    for folder in _folders(environ):
        try:
            folder.prepare()
            return _unix("", str(folder.path / SOCKET_NAME))
        except OSError as error:
            refusals.append(f"{folder.path}: {error.strerror or error}")
        except AddressError as error:
            refusals.append(str(error))
    raise AddressError(
        f"no folder for a socket can be used ({'; '.join(refusals)}): give --listen unix:PATH"
    )


def find_server(environ: Mapping[str, str] = os.environ) -> Address:
    """Find the daemon a client talks to that was told none.

    That is what SKBPOOL_SERVER says, else the first default socket that is there, else the one
    where a daemon started by this user would listen, so that an error can name it.

    Raises:
        AddressError: SKBPOOL_SERVER holds no address.
    """
    told = environ.get(SERVER_VARIABLE)
    if told:
        try:
            return parse_address(told)
        except AddressError as error:
            raise AddressError(f"{SERVER_VARIABLE}: {error}") from None
    folders = list(_folders(environ))
    for folder in folders:
        if folder.is_trustworthy() and _is_socket(folder.path / SOCKET_NAME):
            return UnixAddress(str(folder.path / SOCKET_NAME))
    for folder in folders:
        if folder.is_usable():
            return UnixAddress(str(folder.path / SOCKET_NAME))
    return UnixAddress(str(folders[-1].path / SOCKET_NAME))


@dataclass(frozen=True)
class _Folder:
    """A folder that may hold the default socket."""

    path: Path
    private: bool
    """It lies where anybody can make folders, so whose it is has to be checked."""
    create: bool
    """It may be made."""
    mode: int = 0o755

    def prepare(self) -> None:
        """Make the folder if it may be made; raise OSError if it cannot be used."""
        if self.create:
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(mode=self.mode)
        if not self.is_trustworthy():
            raise PermissionError(1, f"is not a folder of user {os.getuid()} with mode 0700")
        if not self.path.is_dir():
            raise NotADirectoryError(20, "is not a folder")
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise PermissionError(13, "may not be written to")

    def is_trustworthy(self) -> bool:
        """Whether nobody else can have put a socket there, as far as that matters."""
        if not self.private:
            return True
        try:
            info = self.path.lstat()
        except OSError:
            return False
        owned = info.st_uid == os.getuid() and stat.S_ISDIR(info.st_mode)
        return owned and not info.st_mode & 0o077

    def is_usable(self) -> bool:
        """Whether `prepare` would succeed, as far as can be told without making anything."""
        if self.path.is_dir():
            return self.is_trustworthy() and os.access(self.path, os.W_OK | os.X_OK)
        return self.create and os.access(self.path.parent, os.W_OK | os.X_OK)


def _folders(environ: Mapping[str, str]) -> Iterator[_Folder]:
    yield _Folder(SYSTEM_FOLDER, private=False, create=True)
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_absolute():
        yield _Folder(Path(runtime), private=False, create=False)
    temporary = Path(environ.get("TMPDIR") or tempfile.gettempdir())
    yield _Folder(temporary / f"skbpool-{os.getuid()}", private=True, create=True, mode=0o700)


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
