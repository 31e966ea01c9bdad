"""TLS and client certificates over real sockets, and certificates that change."""

import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import skbpool
from certificates import Authority
from secure_daemon import daemon_with, named, port
from skbpool.client import ServerUnavailable, Tls, TlsError
from skbpool.exit_codes import ExitCode
from skbpool_service.daemon import Daemon
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep certificates of the person who runs the tests out of them."""
    for name in ("SKBPOOL_TLS_CA", "SKBPOOL_TLS_CERTIFICATE", "SKBPOOL_TLS_PRIVATE_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def version(address: str, tls: Tls | None) -> str:
    with skbpool.Client(address, tls=tls) as client:
        return client.server_info().version


def shown(daemon: Daemon) -> str:
    """Return the certificate that a new handshake shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    host, number = daemon.addresses[0].removeprefix("grpcs://").split(":")
    with (
        socket.create_connection((host, int(number)), timeout=20) as plain,
        context.wrap_socket(plain) as wrapped,
    ):
        return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True) or b"")


def first_in(file: str) -> str:
    return Path(file).read_text().partition("-----END")[0]


def test_a_client_that_trusts_the_authority_is_served(authority: Authority) -> None:
    with daemon_with(port(authority)) as daemon:
        [address] = daemon.addresses
        assert address.startswith("grpcs://127.0.0.1:")
        assert version(address, Tls(authority.client_ca))
        # The same without the scheme: what is given says that TLS is meant.
        assert version(address.removeprefix("grpcs://"), Tls(authority.client_ca))
        with pytest.raises(
            ServerUnavailable, match=r"grpcs://.*CERTIFICATE_VERIFY_FAILED.*--tls-ca"
        ):
            version(address, None)
        with pytest.raises(ServerUnavailable, match=rf"speaks TLS, write {address} and name"):
            version(address.removeprefix("grpcs://"), None)


def test_tls_to_a_port_that_speaks_none_is_told(authority: Authority) -> None:
    with daemon_with({"address": "127.0.0.1:0"}) as daemon:
        [address] = daemon.addresses
        with pytest.raises(ServerUnavailable, match=r"speaks no TLS: name it without grpcs://"):
            version(f"grpcs://{address}", Tls(authority.client_ca))


def test_a_certificate_for_another_name_is_not_taken(authority: Authority) -> None:
    with daemon_with(port(authority)) as daemon:
        [address] = daemon.addresses
        assert version(address, Tls(authority.client_ca, server_name="localhost"))
        with pytest.raises(ServerUnavailable):
            version(address, Tls(authority.client_ca, server_name="example.org"))


def test_a_client_needs_a_certificate_where_an_authority_is_named(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    foreign = named(Authority(tmp_path / "other"), "client")
    listener = port(authority, client_ca=True, unlisted_names=True)
    with daemon_with(listener) as daemon:
        [address] = daemon.addresses
        assert version(address, named(authority, "client"))
        for refused in (
            Tls(authority.client_ca),
            Tls(authority.client_ca, foreign.certificate, foreign.private_key),
        ):
            with pytest.raises(ServerUnavailable, match="want a certificate of yours"):
                version(address, refused)
        assert version(address, named(authority, "client"))


def test_certificates_that_change_are_used_from_the_next_handshake_on(
    authority: Authority,
) -> None:
    with daemon_with(port(authority)) as daemon, capture_logs() as logs:
        tls = Tls(authority.client_ca)
        with skbpool.Client(daemon.addresses[0], tls=tls) as before:
            assert before.server_info()
            assert first_in(authority.certificate) in shown(daemon)
            old = first_in(authority.certificate)
            authority.renew()
            new = first_in(authority.certificate)
            assert new != old
            assert new in shown(daemon)
            # Whoever is connected stays so.
            assert before.server_info()
        assert version(daemon.addresses[0], tls)
    assert [line["event"] for line in logs if "certif" in line["event"]] == [
        "certificates reloaded"
    ]


def test_files_that_cannot_be_used_leave_the_ones_before(authority: Authority) -> None:
    with daemon_with(port(authority)) as daemon, capture_logs() as logs:
        old = first_in(authority.certificate)
        key = Path(authority.private_key).read_bytes()
        authority.renew()
        Path(authority.private_key).write_bytes(key)  # the renewal is half done
        for _ in range(3):
            assert old in shown(daemon)
        Path(authority.certificate).unlink()
        assert old in shown(daemon)
        authority.renew()
        assert first_in(authority.certificate) in shown(daemon)
        assert version(daemon.addresses[0], Tls(authority.client_ca))
    told = [(line["event"], line.get("file")) for line in logs if "certif" in line["event"]]
    cannot = "certificates changed and cannot be used; those before stay"
    assert told == [
        (cannot, "private_key"),
        (cannot, "certificate"),
        ("certificates reloaded", None),
    ]


def test_another_authority_of_clients_holds_from_the_next_handshake_on(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    listener = port(authority, client_ca=True, unlisted_names=True)
    clients = tmp_path / "clients.crt"
    clients.write_bytes(Path(authority.client_ca).read_bytes())
    listener["tls"]["client_ca"] = str(clients)
    before, after = named(authority, "client"), named(other, "client")
    after = Tls(authority.client_ca, after.certificate, after.private_key)
    with daemon_with(listener) as daemon:
        [address] = daemon.addresses
        assert version(address, before)
        clients.write_bytes(Path(other.client_ca).read_bytes())
        with pytest.raises(ServerUnavailable):
            version(address, before)
        assert version(address, after)


def test_the_environment_names_the_files(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKBPOOL_TLS_CA", authority.client_ca)
    with daemon_with(port(authority), {"address": f"unix:{authority.folder}/s"}) as daemon:
        for address in (*daemon.addresses, daemon.addresses[0].removeprefix("grpcs://")):
            assert version(address, None)


def test_what_a_client_cannot_speak_tls_with_is_told(authority: Authority) -> None:
    ca, key = authority.client_ca, authority.private_key
    for address, tls, complaint in (
        ("unix:/a", Tls(), "unix:/a is a Unix socket, which speaks no TLS"),
        ("127.0.0.1:1", Tls("/nowhere"), "/nowhere: cannot be read: No such file"),
        ("127.0.0.1:1", Tls(key), f"{key}: holds no PEM certificate"),
        ("127.0.0.1:1", Tls(ca, ca), "need each other: give both"),
        ("127.0.0.1:1", Tls(ca, ca, key), f"{ca} and {key}: are no PEM certificate and the key"),
    ):
        with pytest.raises(TlsError, match=complaint):
            skbpool.Client(address, tls=tls)


@pytest.mark.e2e
def test_the_command_takes_the_files_as_flags(authority: Authority) -> None:
    listener = port(authority, client_ca=True, unlisted_names=True)
    with daemon_with(listener) as daemon:
        mine = named(authority, "client")
        flags = {"--tls-ca": mine.ca, "--tls-certificate": mine.certificate}
        flags["--tls-private-key"] = mine.private_key
        command = [sys.executable, "-m", "skbpool.cli"]
        given = [str(word) for pair in flags.items() for word in pair]
        for arguments, code in ((given, ExitCode.OK), ([], ExitCode.UNREACHABLE)):
            words = [*command, *arguments, "stat", "--json", "--server", daemon.addresses[0]]
            done = subprocess.run(words, capture_output=True, text=True, timeout=30)
            assert done.returncode == code, done.stderr
