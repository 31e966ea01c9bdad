"""Listeners: where the daemon can be reached, by whom, and what clients may do there."""

import grp
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from skbpool.addresses import Address, AddressError, TcpAddress, UnixAddress, parse_address

from skbpool_service.config.table import Table
from skbpool_service.tls import TlsError, TlsFiles, read_tls

Role = Literal["observe", "ingest", "allocate", "administer"]
"""What clients may do: look at figures and frames; bring frames in; hold buffers and skbs; make and
close what is everybody's. None of them includes another."""

ROLES: tuple[Role, ...] = get_args(Role)

SOCKET_MODE = "0660"
"""Who may connect to a Unix socket by default: its owner and its group."""

MODE_PATTERN = r"^0?[0-7]{3}$"
"""How the mode of a socket is written."""

MAX_LISTENERS = 64


def wrong_key(key: str, text: str) -> PydanticCustomError:
    """Return the error for `key`, written in full, of what is looked at as a whole."""
    return PydanticCustomError("wrong_key", "{text}", {"text": text, "key": key})


def split(value: object) -> object:
    """Turn a text with commas into a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def from_json(value: object) -> object:
    """Turn a text, as flags and the environment have it, into what it holds as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("is no JSON: in flags and the environment it is written as JSON") from None


Roles = Annotated[list[Role], BeforeValidator(split)]


class TlsSettings(Table):
    """The certificates of a listener, as paths of PEM files.

    Relative ones begin in the folder of the TOML file that names them; in flags and the
    environment, where the daemon was started.
    """

    certificate: str = Field(min_length=1)
    """Certificate of the daemon, with those between it and its authority behind it."""
    private_key: str = Field(min_length=1)
    """Key of that certificate, without a passphrase."""
    client_ca: str | None = Field(default=None, min_length=1)
    """Authorities of clients; with it every client needs a certificate. It stands last, since the
    files are looked at together."""

    @property
    def files(self) -> TlsFiles:
        """The paths."""
        return TlsFiles(self.certificate, self.private_key, self.client_ca)


class ListenerSettings(Table):
    """One address with what holds there."""

    address: str
    """`unix:PATH` or `HOST:PORT`."""
    roles: Roles | None = None
    """What clients may do that come in here. Unset: on a Unix socket, and with client certificates,
    everything; on a loopback address everything but administer; elsewhere observe and ingest."""
    unlisted_names: bool = False
    """Whether clients whose certificate has no name in the table `roles` have the listener's."""
    mode: str | None = Field(default=None, pattern=MODE_PATTERN)
    """Mode of the socket file, in octal digits; unset: 0660. Unix sockets only."""
    group: str | None = Field(default=None, min_length=1)
    """Group of the socket file, by name or number; unset: that of the daemon. Unix sockets only."""
    tls: TlsSettings | None = None
    """Certificates; unset: plaintext. TCP only."""

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parse_address(value)
        return value

    @model_validator(mode="before")
    @classmethod
    def _is_table(cls, value: object) -> object:
        if isinstance(value, Mapping | ListenerSettings):
            return value
        raise ValueError('is a table: write [[listener]] with a line address = "…" below it')

    @property
    def where(self) -> Address:
        """The address, which knows whether it speaks TLS."""
        found = parse_address(self.address)
        if isinstance(found, TcpAddress) and self.tls:
            return TcpAddress(found.host, found.port, tls=True)
        return found

    @property
    def asks_certificates(self) -> bool:
        """Whether clients need a certificate."""
        return self.tls is not None and self.tls.client_ca is not None

    @property
    def socket_mode(self) -> int:
        """Mode of the socket file."""
        return int(self.mode or SOCKET_MODE, 8)

    @property
    def socket_group(self) -> int | None:
        """Number of the socket file's group; None: the daemon's."""
        return None if self.group is None else group_number(self.group)

    @property
    def granted(self) -> frozenset[Role]:
        """What clients may do here."""
        return frozenset(self.roles or ())


def group_number(group: str) -> int:
    """Return the number of a group; raise ValueError if there is none of that name."""
    if re.fullmatch(r"[0-9]{1,9}", group):
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        raise ValueError(
            f"there is no group {group!r} on this machine; make it, or name another"
        ) from None


def default_roles(listener: ListenerSettings) -> list[Role]:
    """Return what clients may do at a listener that does not say so."""
    where = listener.where
    if isinstance(where, UnixAddress) or listener.asks_certificates:
        return list(ROLES)
    if where.is_local:
        return [role for role in ROLES if role != "administer"]
    return ["observe", "ingest"]


def completed(
    listener: ListenerSettings, key: str, *, insecure_any_address: bool
) -> ListenerSettings:
    """Return a listener with everything filled in; `key` is its place in the configuration.

    Raises:
        PydanticCustomError: Something does not fit the address or cannot be used.
    """
    where = listener.where
    if isinstance(where, UnixAddress):
        _check_unix(listener, key)
    else:
        _check_tcp(listener, where, key, insecure_any_address)
    filled: dict[str, Any] = {}
    if listener.roles is None:
        filled["roles"] = default_roles(listener)
    if isinstance(where, UnixAddress):
        filled["mode"] = listener.mode or SOCKET_MODE
    if listener.unlisted_names and not listener.asks_certificates:
        raise wrong_key(
            f"{key}.unlisted_names",
            "is about names of client certificates, which this listener does not ask for: name "
            "tls.client_ca, or leave it out",
        )
    return listener.model_copy(update=filled)


def _check_unix(listener: ListenerSettings, key: str) -> None:
    if listener.tls is not None:
        raise wrong_key(
            f"{key}.tls",
            "is for TCP addresses: a Unix socket does not leave the machine, and mode and group "
            "say who may connect",
        )
    if listener.group is not None:
        try:
            group_number(listener.group)
        except ValueError as error:
            raise wrong_key(f"{key}.group", str(error)) from None


def _check_tcp(
    listener: ListenerSettings, where: TcpAddress, key: str, insecure_any_address: bool
) -> None:
    for name in ("mode", "group"):
        if getattr(listener, name) is not None:
            raise wrong_key(f"{key}.{name}", "is for Unix sockets: a port has no file")
    if listener.tls is not None:
        try:
            read_tls(listener.tls.files)
        except TlsError as error:
            raise wrong_key(f"{key}.tls.{error.key}", str(error)) from None
    elif where.tls:
        raise wrong_key(
            f"{key}.address",
            f"{where} speaks TLS, for which it needs certificates: write [listener.tls] below "
            "[[listener]] with certificate and private_key",
        )
    else:
        try:
            check_reach(where, insecure_any_address)
        except ValueError as error:
            raise wrong_key(f"{key}.address", str(error)) from None


def check_reach(address: Address, insecure_any_address: bool) -> None:
    """Raise ValueError for plaintext that other machines can reach, unless that is wanted."""
    if not address.is_local and not insecure_any_address:
        raise ValueError(
            f"{address} can be reached from other machines, in plaintext: listen on a Unix socket "
            "or a loopback address, give it certificates ([listener.tls] in the TOML file), or say "
            "--insecure-any-address if you want plaintext on the network"
        )


def check_short(text: str) -> None:
    """Raise ValueError for an address of `listen` that cannot stand there."""
    try:
        address = parse_address(text)
    except AddressError as error:
        raise ValueError(str(error)) from None
    if isinstance(address, TcpAddress) and address.tls:
        raise ValueError(
            f"{text} speaks TLS, for which it needs certificates: write it as a [[listener]] with "
            "a table [listener.tls] in the TOML file"
        )


def check_distinct(listeners: list[tuple[str, ListenerSettings]]) -> None:
    """Raise for an address that is named twice; `listeners` come with their keys."""
    seen: dict[Address, str] = {}
    for key, listener in listeners:
        where = parse_address(listener.address)
        if isinstance(where, TcpAddress):
            if where.port == 0:
                continue
            where = TcpAddress(where.host, where.port)
        if where in seen:
            raise wrong_key(key, f"{listener.address} is named twice, in {seen[where]} too")
        seen[where] = key


def check_names(roles: dict[str, list[Role]], info: ValidationInfo) -> None:
    """Raise ValueError for a table of names that nothing asks for."""
    if "listener" not in info.data:
        return  # what is wrong there is told already
    listeners: list[ListenerSettings] = info.data["listener"] or []
    if roles and not any(listener.asks_certificates for listener in listeners):
        raise ValueError(
            "names of client certificates have roles, and no listener asks for certificates: name "
            "tls.client_ca in one, or leave the table out"
        )
