"""Link types in the messages of a capture, and what is said about them."""

import pytest
from skbpool._native import FrameEncoder
from skbpool.cli.link_type import NAMES, LinkTypeNotice, link_type_of
from skbpool.v1 import frame_batch_pb2, frame_pb2


def message(link_type: int, frames: int = 3) -> bytes:
    encoder = FrameEncoder(1 << 20, "eth0")
    for number in range(frames):
        encoder.push(bytes(100 + number), 5 + number, 200, link_type, 7)
    made = encoder.flush()
    assert made is not None
    return made


@pytest.mark.parametrize("link_type", [0, 1, 105, 127, 128, 276, 65535])
def test_it_is_read_from_what_either_encoder_makes(link_type: int) -> None:
    assert link_type_of(message(link_type)) == link_type
    batch = frame_batch_pb2.FrameBatch(
        frames=bytes(300), length=[300], base_time_ns=1 << 60, link_type=link_type, sequence=9
    )
    request = frame_pb2.IngestRequest(batch=batch, driver="eth0")
    assert link_type_of(request.SerializeToString()) == link_type


def test_a_message_without_frames_has_none() -> None:
    assert link_type_of(b"") == 0
    assert link_type_of(frame_pb2.IngestRequest(driver="eth0").SerializeToString()) == 0


@pytest.mark.parametrize(
    ("number", "name"), [(10, "FDDI"), (147, "USER0"), (162, "USER15"), (251, "BLUETOOTH_LE_LL")]
)
def test_common_ones_have_names(number: int, name: str) -> None:
    assert NAMES[number] == name


def test_each_is_told_once_and_ethernet_never(capsys: pytest.CaptureFixture[str]) -> None:
    notice = LinkTypeNotice()
    for link_type in (1, 105, 1, 105, 60000, 60000):
        notice.look_at(message(link_type))
    told = capsys.readouterr()
    assert told.out == ""
    first, second = told.err.splitlines()
    assert "link type 105 (IEEE802_11), not Ethernet" in first
    assert "link type 60000, not Ethernet" in second
