"""Certificates of listeners: read, checked, and read again when their files change.

gRPC asks for them at each handshake. Files that changed are taken if they can be used; otherwise
those before stay and the log says why, once for each state of the files.
"""

import os
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

MAX_FILE_BYTES = 1 << 20
"""Largest file of certificates or keys that is read."""


class TlsError(ValueError):
    """A file that cannot be used for TLS; the text says why."""

    def __init__(self, key: str, text: str):
        super().__init__(text)
        self.key = key
        """Which of `TlsFiles` it is."""


@dataclass(frozen=True)
class TlsFiles:
    """Where the certificates of a listener lie, as PEM files."""

    certificate: str
    """Certificate of the daemon, with those between it and its authority."""
    private_key: str
    """Key of that certificate, without a passphrase."""
    client_ca: str | None = None
    """Authorities whose certificates clients need; None: clients need none."""

    def signature(self) -> tuple[object, ...]:
        """Return what changes when one of the files is written or replaced."""
        found: list[object] = []
        for name in (self.certificate, self.private_key, self.client_ca):
            try:
                info = Path(name).stat() if name else None
            except OSError as error:
                found.append(error.errno)
            else:
                found.append(info and (info.st_ino, info.st_dev, info.st_size, info.st_mtime_ns))
        return tuple(found)


@dataclass(frozen=True)
class TlsTexts:
    """What is in the files."""

    certificate: bytes
    private_key: bytes
    client_ca: bytes | None


def read_tls(files: TlsFiles) -> TlsTexts:
    """Read the files and check that a listener can use them.

    Raises:
        TlsError: One cannot be read or holds no PEM, or key and certificate are no pair.
    """
    texts = TlsTexts(
        _read("certificate", files.certificate),
        _read("private_key", files.private_key),
        _read("client_ca", files.client_ca) if files.client_ca is not None else None,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(cadata=texts.certificate.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError):
        raise TlsError("certificate", f"{files.certificate}: holds no PEM certificate") from None

    def no_passphrase() -> NoReturn:
        raise TlsError(
            "private_key", f"{files.private_key}: has a passphrase: store the key without one"
        )

    # What was read is what is checked, whatever the files hold by now.
    with _as_file(texts.certificate) as certificate, _as_file(texts.private_key) as key:
        try:
            context.load_cert_chain(certificate, key, no_passphrase)
        except ssl.SSLError as error:
            raise TlsError("private_key", _why(files, error)) from None
    if texts.client_ca is not None:
        try:
            context.load_verify_locations(cadata=texts.client_ca.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError):
            raise TlsError("client_ca", f"{files.client_ca}: holds no PEM certificate") from None
    return texts


def _why(files: TlsFiles, error: ssl.SSLError) -> str:
    if "MISMATCH" in str(error):
        return (
            f"{files.private_key}: is not the key of the certificate in {files.certificate}: give "
            "the two that belong together"
        )
    return f"{files.private_key}: holds no PEM private key that can be used ({error.reason})"


def _read(key: str, name: str) -> bytes:
    try:
        # Nobody is waited for who would write into a pipe of that name.
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # of a descriptor
            text = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is no path"
        raise TlsError(key, f"{name}: cannot be read: {reason}") from None
    if len(text) > MAX_FILE_BYTES:
        raise TlsError(key, f"{name}: has more than {MAX_FILE_BYTES} bytes")
    return text


@contextmanager
def _as_file(text: bytes) -> "Iterator[str]":
    """Give a path of a file with that content which no other process sees."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class Certificates:
    """The certificates that one listener uses, kept as new as their files."""

    def __init__(self, listener: str, files: TlsFiles):
        """Read the files; raise TlsError if they cannot be used."""
        self._listener = listener
        self._files = files
        self._lock = threading.Lock()
        self._seen = files.signature()
        self._used = read_tls(files)
        self._given = self._used
        """What gRPC has."""

    def credentials(self) -> "grpc.ServerCredentials":
        """Return what gRPC listens with."""
        import grpc

        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._used),
            self._fetch,  # type: ignore[arg-type]  # which may return None, as its documentation says
            require_client_authentication=self._used.client_ca is not None,
        )

    def move(self, files: TlsFiles) -> None:
        """Use other files, of which a client's authority is one if it was before."""
        with self._lock:
            if files != self._files:
                self._files = files
                self._seen = ()

    def refresh(self) -> bool:
        """Read the files if they changed; return whether others are used from now on."""
        # Slow to import, and the configuration, which needs this module, logs nothing.
        import structlog

        log = structlog.get_logger()
        with self._lock:
            files, seen = self._files, self._files.signature()
            if seen == self._seen:
                return False
            self._seen = seen
            try:
                texts = read_tls(files)
            except TlsError as error:
                log.error(
                    "certificates changed and cannot be used; those before stay",
                    listener=self._listener,
                    file=error.key,
                    reason=str(error),
                )
                return False
            changed = texts != self._used
            self._used = texts
        if changed:
            log.info("certificates reloaded", listener=self._listener)
        return changed

    def _fetch(self) -> "grpc.ServerCertificateConfiguration | None":
        """Answer gRPC, which asks at each handshake; None: what it has stays."""
        self.refresh()
        with self._lock:
            if self._used is self._given:
                return None
            self._given = self._used
            return _configuration(self._given)


def _configuration(texts: TlsTexts) -> "grpc.ServerCertificateConfiguration":
    import grpc

    pair = (texts.private_key, texts.certificate)
    return grpc.ssl_server_certificate_configuration([pair], texts.client_ca)
