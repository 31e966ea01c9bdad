"""What DriverService refuses, and that it then has changed nothing."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from attached import State, attach, detach, listed, replay, write_pcap
from batches import numbered, request
from daemon_support import PATIENCE, Stubs, refusal
from driver import Driver
from skbpool.v1 import driver_pb2, pool_pb2
from skbpool_service.captures import MAX_PATH_BYTES
from skbpool_service.config import load_settings
from skbpool_service.config.load import ConfigError
from skbpool_service.daemon import Daemon

Code = grpc.StatusCode

YEAR = 365 * 86_400

SERVICE = driver_pb2.DESCRIPTOR.services_by_name["DriverService"]


def check_unchanged(daemon: Daemon, stubs: Stubs) -> None:
    """Nothing is attached, and nobody was promised anything."""
    assert listed(stubs) == []
    assert daemon._engine.hub.stats()["drivers"] == []
    assert (stubs.statistics().reserved, stubs.statistics().in_flight) == (0, 0)


@pytest.mark.parametrize("name", ["", "a b", "x" * 64, "ü", "a\n"])
def test_names_are_checked(stubs: Stubs, name: str) -> None:
    for call in (partial(attach, stubs, name), partial(replay, stubs, "trace.pcap", name)):
        assert refusal(call)[0] == Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"frame_size": 63}, Code.OUT_OF_RANGE),
        ({"frame_size": 262_149}, Code.OUT_OF_RANGE),
        ({"frame_size": 2**32 - 1}, Code.OUT_OF_RANGE),
        ({"pool": "nowhere"}, Code.NOT_FOUND),
        ({"line": {"bits_per_second": 0}}, Code.OUT_OF_RANGE),
        ({"line": {"bits_per_second": 10_000_000_001}}, Code.OUT_OF_RANGE),
        ({"line": {"frames_per_second": 0}}, Code.OUT_OF_RANGE),
        ({"line": {"frames_per_second": 14_880_953}}, Code.OUT_OF_RANGE),
        # As many of this size would be more bits than there may be.
        ({"line": {"frames_per_second": 812_744}, "frame_size": 1518}, Code.OUT_OF_RANGE),
        ({"line": {"descriptors": 65_537}}, Code.OUT_OF_RANGE),
        ({"line": {"descriptors": 65_536}}, Code.RESOURCE_EXHAUSTED),
        ({"line": {"duration": {"seconds": 0}}}, Code.OUT_OF_RANGE),
        ({"line": {"duration": {"seconds": -1}}}, Code.INVALID_ARGUMENT),
        ({"line": {"duration": {"seconds": 1, "nanos": 1 - 10**9}}}, Code.INVALID_ARGUMENT),
        ({"line": {"duration": {"seconds": YEAR, "nanos": 1}}}, Code.OUT_OF_RANGE),
        ({"line": {"duration": {"seconds": 2**63 - 1}}}, Code.OUT_OF_RANGE),
        ({"line": {"duration": {"nanos": 10**9}}}, Code.INVALID_ARGUMENT),
        ({"line": {"block_at_most": {"seconds": 1, "nanos": 1}}}, Code.OUT_OF_RANGE),
        ({"line": {"block_at_most": {"nanos": -1}}}, Code.INVALID_ARGUMENT),
    ],
)
def test_a_card_beyond_what_there_is_is_refused(
    daemon: Daemon, stubs: Stubs, fields: dict[str, Any], code: Code
) -> None:
    assert refusal(partial(attach, stubs, **fields))[0] == code
    check_unchanged(daemon, stubs)
    attach(stubs, line={"frames": 1})  # the name is free


def test_what_the_limits_just_allow_is_attached(start) -> None:
    limits = {
        "max_frame_bytes": 1000,
        "max_driver_bits_per_second": 1_000_000,
        "max_driver_frames_per_second": 100,
        "max_driver_block_seconds": 0.5,
        "max_drivers": 1,
    }
    _, stubs = start(limits=limits)
    for fields in (
        {"frame_size": 1004},
        {"line": {"bits_per_second": 1_000_000}},
        {"line": {"frames_per_second": 100}},
        {"line": {"block_at_most": {"nanos": 500_000_000}}},
        {"line": {"duration": {"seconds": YEAR}}},
    ):
        attach(stubs, **fields)
        code, text = refusal(partial(attach, stubs, "another", **fields))
        assert (code, "limits.max_drivers = 1" in text) == (Code.RESOURCE_EXHAUSTED, True)
        detach(stubs)
    for fields in (
        {"frame_size": 1005},
        {"line": {"bits_per_second": 1_000_001}},
        {"line": {"frames_per_second": 101}},
        {"line": {"block_at_most": {"nanos": 500_000_001}}},
    ):
        assert refusal(partial(attach, stubs, **fields))[0] == Code.OUT_OF_RANGE


def test_drivers_that_drain_count_and_stay_listed(start) -> None:
    daemon, stubs = start(limits={"max_drivers": 2})
    with daemon._engine.hub.attach_consumer("keeper", quota=100) as keeper:
        held = []
        for name in ("one", "two"):
            attach(stubs, name, line={"frames": 1})
            keeper.wait(PATIENCE)
            held.append(keeper.poll(1))
            detach(stubs, name)
        code, text = refusal(partial(attach, stubs, "three"))
        assert (code, "those that drain included" in text) == (Code.RESOURCE_EXHAUSTED, True)
        states = [(each.name, each.state, each.views_out) for each in listed(stubs)]
        assert states == [(name, State.DRIVER_STATE_DRAINING, 1) for name in ("one", "two")]
        held.pop(0).release()
        attach(stubs, "three", line={"frames": 1})
        assert [each.name for each in listed(stubs)] == ["two", "three"]


def test_a_name_is_one_drivers(stubs: Stubs) -> None:
    attach(stubs, "one")
    code, text = refusal(partial(attach, stubs, "one"))
    assert (code, "'one' already" in text) == (Code.ALREADY_EXISTS, True)
    ingest = Driver(stubs)
    ingest.send(request(numbered(1), 1, driver="two"))
    assert refusal(partial(attach, stubs, "two"))[0] == Code.ALREADY_EXISTS
    ingest.finish()
    # What is no driver of this service is not its to detach.
    assert refusal(partial(detach, stubs, "two"))[0] == Code.NOT_FOUND
    detach(stubs, "one")
    assert refusal(partial(detach, stubs, "one"))[0] == Code.NOT_FOUND
    attach(stubs, "one", line={"frames": 1})


def test_a_closed_pool_has_no_driver(stubs: Stubs) -> None:
    stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name="own", buffers=2048))
    attach(stubs, pool="own")
    stubs.pool.ClosePool(pool_pb2.ClosePoolRequest(name="own"))
    # Its ring is home only when its thread has noticed.
    code = refusal(partial(attach, stubs, "next", pool="own"))[0]
    assert code in (Code.FAILED_PRECONDITION, Code.NOT_FOUND)


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    """Make a folder of things that are no captures, beside one that is."""
    folder = tmp_path / "captures"
    (folder / "day").mkdir(parents=True)
    write_pcap(tmp_path / "secret.pcap", [b"secret"])
    write_pcap(folder / "good.pcap", [b"good"])
    (folder / "link.pcap").symlink_to(tmp_path / "secret.pcap")
    (folder / "inside.pcap").symlink_to("good.pcap")
    (folder / "out").symlink_to(tmp_path)
    os.mkfifo(folder / "fifo.pcap")
    (folder / "empty.pcap").touch()
    (folder / "text.pcap").write_text("no capture")
    return folder


@pytest.mark.parametrize(
    ("capture", "code", "said"),
    [
        ("../secret.pcap", Code.INVALID_ARGUMENT, "below"),
        ("day/../../secret.pcap", Code.INVALID_ARGUMENT, "below"),
        ("/etc/passwd", Code.INVALID_ARGUMENT, "below"),
        ("", Code.INVALID_ARGUMENT, "below"),
        (".", Code.INVALID_ARGUMENT, "below"),
        ("good.pcap/", Code.INVALID_ARGUMENT, "below"),
        ("good.pcap\0", Code.INVALID_ARGUMENT, "below"),
        ("x" * (MAX_PATH_BYTES + 1), Code.INVALID_ARGUMENT, "1024 bytes"),
        ("x" * MAX_PATH_BYTES, Code.FAILED_PRECONDITION, "too long"),
        ("nothing.pcap", Code.NOT_FOUND, "no capture 'nothing.pcap'"),
        ("-", Code.NOT_FOUND, "no capture"),
        ("link.pcap", Code.FAILED_PRECONDITION, "symbolic link"),
        ("inside.pcap", Code.FAILED_PRECONDITION, "symbolic link"),
        ("out/secret.pcap", Code.FAILED_PRECONDITION, "symbolic link"),
        ("good.pcap/more", Code.FAILED_PRECONDITION, "or a file"),
        ("fifo.pcap", Code.FAILED_PRECONDITION, "no regular file"),
        ("day", Code.FAILED_PRECONDITION, "no regular file"),
        ("empty.pcap", Code.FAILED_PRECONDITION, "the file is empty"),
        ("text.pcap", Code.FAILED_PRECONDITION, "text.pcap: byte 0: no pcap"),
    ],
)
def test_only_captures_below_the_directory_are_replayed(
    start, captures: Path, capture: str, code: Code, said: str
) -> None:
    daemon, stubs = start(driver={"capture_directory": str(captures)})
    refused, text = refusal(partial(replay, stubs, capture))
    assert (refused, said in text) == (code, True), text
    assert str(captures) not in text
    check_unchanged(daemon, stubs)
    assert replay(stubs, "good.pcap").name == "replay"


def test_a_device_is_no_capture(start) -> None:
    _, stubs = start(driver={"capture_directory": "/dev"})
    code, text = refusal(partial(replay, stubs, "zero"))
    assert (code, "no regular file" in text) == (Code.FAILED_PRECONDITION, True)


@pytest.mark.parametrize("directory", ["", "/nowhere/at/all", "/dev/null"])
def test_without_a_directory_nothing_is_replayed(start, directory: str) -> None:
    _, stubs = start(driver={"capture_directory": directory})
    code, text = refusal(partial(replay, stubs, "trace.pcap"))
    assert (code, "driver.capture_directory" in text) == (Code.FAILED_PRECONDITION, True)


def test_an_endless_replay_has_no_number_of_loops(start, captures: Path) -> None:
    _, stubs = start(driver={"capture_directory": str(captures)})
    call = partial(replay, stubs, "good.pcap", loops=2, endless=True)
    assert refusal(call)[0] == Code.INVALID_ARGUMENT


def test_a_directory_is_an_absolute_path() -> None:
    with pytest.raises(ConfigError, match=r"driver.capture_directory: .* no absolute path"):
        load_settings({"driver": {"capture_directory": "captures"}})


def test_a_stopping_daemon_attaches_nothing(daemon: Daemon, stubs: Stubs) -> None:
    daemon._engine.drivers.ask_to_stop()
    assert refusal(partial(attach, stubs))[0] == Code.UNAVAILABLE
    check_unchanged(daemon, stubs)


@pytest.mark.parametrize("method", [each.name for each in SERVICE.methods])
def test_what_is_no_message_is_refused(stubs: Stubs, method: str) -> None:
    call = partial(stubs.raw, f"/{SERVICE.full_name}/{method}", b"\xff\xff")
    assert refusal(call)[0] == Code.INVALID_ARGUMENT
