"""TLS of the client: which authority it trusts, and the certificate that says who it is."""

import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import grpc

from skbpool.addresses import Address, AddressError, TcpAddress, UnixAddress

CA_VARIABLE = "SKBPOOL_TLS_CA"
CERTIFICATE_VARIABLE = "SKBPOOL_TLS_CERTIFICATE"
PRIVATE_KEY_VARIABLE = "SKBPOOL_TLS_PRIVATE_KEY"
"""Environment variables that name the files, for a client that is given none."""


class TlsError(AddressError):
    """TLS cannot be spoken to this address, or not with these files; the text says why."""


@dataclass(frozen=True)
class Tls:
    """What a client speaks TLS with, as paths of PEM files.

    `Tls()` trusts the authorities that gRPC comes with and shows no certificate.

    Attributes:
        ca: Authorities that may have signed the daemon's certificate; None: those gRPC comes with.
        certificate: Certificate of this client, with those between it and its authority; None:
            none.
        private_key: Key of that certificate, without a passphrase.
        server_name: Name that the daemon's certificate has to be for; None: the host of the
            address.
    """

    ca: str | None = None
    certificate: str | None = None
    private_key: str | None = None
    server_name: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Tls | None":
        """Return what SKBPOOL_TLS_CA, _CERTIFICATE and _PRIVATE_KEY say; None: nothing.

        Args:
            environ: Where they are looked up; None: the environment of this process.
        """
        environ = os.environ if environ is None else environ
        names = (CA_VARIABLE, CERTIFICATE_VARIABLE, PRIVATE_KEY_VARIABLE)
        files = [environ.get(name) or None for name in names]
        return cls(*files) if any(files) else None

    def credentials(self) -> grpc.ChannelCredentials:
        """Return them as gRPC takes them; reads the files once.

        Raises:
            TlsError: A file cannot be read or used, or one of certificate and key is missing.
        """
        if (self.certificate is None) != (self.private_key is None):
            raise TlsError("a client's certificate and its private key need each other: give both")
        ca, certificate, key = map(_read, (self.ca, self.certificate, self.private_key))
        # gRPC takes anything, and then fails to connect without a reason.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca is not None:
            try:
                context.load_verify_locations(self.ca)
            except ssl.SSLError:
                raise TlsError(f"{self.ca}: holds no PEM certificate") from None
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.private_key, _no_passphrase)
            except ssl.SSLError:
                raise TlsError(
                    f"{self.certificate} and {self.private_key}: are no PEM certificate and the "
                    "key that belongs to it, stored without a passphrase"
                ) from None
        return grpc.ssl_channel_credentials(ca, key, certificate)

    @property
    def options(self) -> Sequence[tuple[str, str]]:
        """What a channel needs to be told beside the credentials."""
        name = self.server_name
        return () if name is None else (("grpc.ssl_target_name_override", name),)


def secured(address: Address, tls: Tls | None) -> tuple[Address, Tls | None]:
    """Return `address` as it is spoken to, and with what; None: plaintext.

    A TCP address is spoken to in TLS if it says so (`grpcs://`), if `tls` is given, or if the
    environment names files for it.

    Raises:
        TlsError: `tls` for a Unix socket.
        TypeError: `tls` is something else.
    """
    if tls is not None and not isinstance(tls, Tls):
        raise TypeError(
            "tls is a skbpool.Tls, as in Tls(ca='ca.crt'), or None for what the environment says; "
            f"not {type(tls).__name__}"
        )
    if isinstance(address, UnixAddress):
        if tls is not None:
            raise TlsError(f"{address} is a Unix socket, which speaks no TLS: leave tls out")
        return address, None
    tls = tls or Tls.from_environment() or (Tls() if address.tls else None)
    return TcpAddress(address.host, address.port, tls=tls is not None), tls


def open_channel(
    address: Address, tls: Tls | None, options: Sequence[tuple[str, object]]
) -> grpc.Channel:
    """Return a channel to an address as `secured` returns it; connects when it is first used."""
    if tls is None:
        return grpc.insecure_channel(address.target, options=options)
    options = (*options, *tls.options)
    return grpc.secure_channel(address.target, tls.credentials(), options=options)


def _read(name: str | None) -> bytes | None:
    if name is None:
        return None
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise TlsError(f"{name}: cannot be read: {error.strerror or error}") from None


def _no_passphrase() -> NoReturn:
    raise ssl.SSLError("the key has a passphrase")
