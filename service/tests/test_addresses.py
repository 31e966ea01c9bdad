"""Addresses as people write them, and the default one."""

import os
import socket
from pathlib import Path

import pytest
from skbpool import addresses
from skbpool.addresses import (
    AddressError,
    TcpAddress,
    UnixAddress,
    default_listen_address,
    find_server,
    parse_address,
)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Move all three default places into the test's folder."""
    for name in ("run", "xdg", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(addresses, "SYSTEM_FOLDER", tmp_path / "run" / "skbpool")
    return {"XDG_RUNTIME_DIR": str(tmp_path / "xdg"), "TMPDIR": str(tmp_path / "tmp")}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/a/b.sock", UnixAddress("/a/b.sock")),
        ("unix:///a/b.sock", UnixAddress("/a/b.sock")),
        ("127.0.0.1:50051", TcpAddress("127.0.0.1", 50051)),
        ("[::1]:0", TcpAddress("::1", 0)),
        ("localhost:65535", TcpAddress("localhost", 65535)),
    ],
)
def test_addresses_are_read_and_written(text: str, address: addresses.Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", "unix:", "localhost", ":1", "host:65536", "host:-1", "::1:5", "/a/b.sock", "h:1:2"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="unix:PATH"):
        parse_address(text)


@pytest.mark.parametrize("name", ["a,b.sock", "a\udcff.sock"])
def test_a_path_that_clients_cannot_name_is_refused(name: str) -> None:
    with pytest.raises(AddressError, match="no commas"):
        parse_address(f"unix:/{name}")


def test_a_path_too_long_for_a_socket_is_refused() -> None:
    with pytest.raises(AddressError, match="at most 107 bytes"):
        parse_address(f"unix:/{'a' * 107}")


def test_a_relative_path_means_the_same_in_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_address("unix:a.sock") == UnixAddress(f"{tmp_path}/a.sock")


def test_only_loopback_is_local() -> None:
    assert parse_address("unix:/a").is_local
    assert parse_address("127.0.0.1:1").is_local
    assert parse_address("[::1]:1").is_local
    assert not parse_address("0.0.0.0:1").is_local
    assert not parse_address("192.0.2.1:1").is_local


def test_the_default_is_the_first_place_that_can_be_used(
    places: dict[str, str], tmp_path: Path
) -> None:
    assert default_listen_address(places).path == f"{tmp_path}/run/skbpool/skbpool.sock"
    (tmp_path / "run/skbpool").rmdir()
    (tmp_path / "run").rmdir()
    assert default_listen_address(places).path == f"{tmp_path}/xdg/skbpool.sock"
    del places["XDG_RUNTIME_DIR"]
    address = default_listen_address(places)
    folder = tmp_path / f"tmp/skbpool-{os.getuid()}"
    assert address.path == f"{folder}/skbpool.sock"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_write_to_is_not_trusted(
    places: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "run").rmdir()
    del places["XDG_RUNTIME_DIR"]
    folder = tmp_path / f"tmp/skbpool-{os.getuid()}"
    folder.mkdir(mode=0o700)
    folder.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{folder}/skbpool.sock")
    with pytest.raises(AddressError, match="mode 0700"):
        default_listen_address(places)


def test_clients_find_the_daemon_where_it_listens(places: dict[str, str], tmp_path: Path) -> None:
    assert find_server(places).target == f"unix:{tmp_path}/run/skbpool/skbpool.sock"
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(f"{tmp_path}/xdg/skbpool.sock")
    assert find_server(places).target == f"unix:{tmp_path}/xdg/skbpool.sock"
    assert find_server({**places, "SKBPOOL_SERVER": "[::1]:5"}) == TcpAddress("::1", 5)
    with pytest.raises(AddressError, match=r"^SKBPOOL_SERVER: "):
        find_server({**places, "SKBPOOL_SERVER": "nonsense"})
