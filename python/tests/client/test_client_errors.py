"""Every way a call can fail is a typed exception that says what to do."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest
import skbpool
from skbpool.addresses import AddressError
from skbpool.client import Client, ServerUnavailable, ServiceError
from skbpool.client.drops import add_drops, drops_of, frames_by_reason, reason_name
from skbpool.v1 import drop_reason_pb2


def test_without_a_daemon_the_error_names_address_and_remedy(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/none.sock"
    with Client(address) as client, pytest.raises(ServerUnavailable) as caught:
        client.server_info()
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    text = str(caught.value)
    assert address in text
    assert "skbpool serve" in text
    assert "No such file" in text


def test_streams_tell_the_same(tmp_path: Path) -> None:
    with Client(f"unix:{tmp_path}/none.sock") as client:
        for attempt in (
            lambda: client.session(),
            lambda: client.stamp_reader(1),
            lambda: client.subscribe(),
            lambda: list(client.ingest_messages([])),
            lambda: client.ingest([bytes(60)]),
        ):
            with pytest.raises(ServerUnavailable, match="skbpool serve"):
                attempt()


def test_service_errors_are_errors_of_the_package() -> None:
    assert issubclass(ServiceError, skbpool.SkbpoolError)
    assert issubclass(ServerUnavailable, ServiceError)


def test_a_bad_address_is_told_at_once() -> None:
    with pytest.raises(AddressError, match="HOST:PORT"):
        Client("nowhere")


def test_the_environment_names_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKBPOOL_SERVER", "127.0.0.1:5")
    with Client() as client:
        assert str(client.address) == "127.0.0.1:5"


def test_the_bare_library_says_what_the_client_needs() -> None:
    program = (
        "import sys; sys.modules['grpc'] = None\n"
        "import skbpool\n"
        "try:\n    skbpool.Client\n"
        "except ImportError as error:\n    print(error)\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert "pip install 'skbpool[client]'" in printed


def test_the_bare_library_does_not_import_grpc() -> None:
    program = "import skbpool, sys; print('grpc' in sys.modules, 'google.protobuf' in sys.modules)"
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert printed.split() == ["False", "False"]


def test_drop_reasons_are_named_as_in_metrics() -> None:
    assert reason_name(drop_reason_pb2.DROP_REASON_RING_FULL) == "ring_full"
    assert reason_name(4711) == "reason_4711"


def test_drops_are_added_up() -> None:
    count = drop_reason_pb2.DropCount
    drops = drops_of(
        [
            count(reason=drop_reason_pb2.DROP_REASON_QUOTA, frames=2, bytes=120),
            count(reason=drop_reason_pb2.DROP_REASON_QUOTA, frames=1, bytes=60),
            count(reason=drop_reason_pb2.DROP_REASON_RING_FULL),
        ]
    )
    add_drops(drops, {"quota": {"frames": 1, "bytes": 1}})
    assert drops["quota"] == {"frames": 4, "bytes": 181}
    assert frames_by_reason(drops) == {"quota": 4}
