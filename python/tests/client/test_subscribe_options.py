"""What a client may ask of its subscription, and what of it is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from skbpool import OutOfRange
from skbpool.client import Client, FailedPrecondition, InvalidRequest, RequestOutOfRange
from skbpool.v1 import server_pb2
from skbpool_processes import Daemon, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon"), "--buffers", "16384") as running:
        yield running


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.address) as connected:
        yield connected


def test_frames_come_cut_and_together(client: Client) -> None:
    with client.subscribe(snapshot_length=20, linger=10.0, max_batch_frames=30) as tap:
        for _ in range(3):
            client.ingest([bytes([number]) * (number + 15) for number in range(10)])
        batch = next(iter(tap))
        told = [(bytes(skb), skb.original_length) for skb in batch]
    once = [((bytes([n]) * (n + 15))[:20], n + 15) for n in range(10)]
    assert told == once * 3


def test_what_is_copied_out_holds_no_buffer_of_the_pool(client: Client) -> None:
    def copied() -> int:
        copies = client.statistics().copies
        return next(it.frames for it in copies if it.stage == server_pb2.COPY_STAGE_COPY_OUT)

    before = copied()
    with client.subscribe(quota=16, policy="copy_out", copy_bytes=8 << 20) as tap:
        frames = [number.to_bytes(4, "big") * 250 for number in range(1000)]
        client.ingest(frames)
        got: list[bytes] = []
        for batch in tap:
            got += [bytes(skb) for skb in batch]
            if len(got) == len(frames):
                break
        assert got == frames
        assert tap.missed == {}
    assert copied() > before
    wait_until(lambda: client.pool_statistics("default").in_flight == 0, "buffers are not home")


@pytest.mark.parametrize(
    ("options", "error", "field"),
    [
        ({"quota": 1 << 30}, RequestOutOfRange, "quota"),
        ({"quota_bytes": 1}, RequestOutOfRange, "quota_bytes"),
        ({"copy_bytes": 4096}, InvalidRequest, "copy_bytes"),
        ({"linger": 3600.0}, RequestOutOfRange, "linger"),
        ({"linger": -1.0}, InvalidRequest, "linger"),
        ({"max_batch_bytes": 10}, RequestOutOfRange, "max_batch_bytes"),
        ({"snapshot_length": 1 << 20}, RequestOutOfRange, "snapshot_length"),
        ({"policy": "block", "block_at_most": 0.1}, FailedPrecondition, "policy"),
    ],
)
def test_a_refusal_names_the_option(
    client: Client, options: dict[str, Any], error: type[Exception], field: str
) -> None:
    with pytest.raises(error) as caught:
        client.subscribe(**options)
    assert getattr(caught.value, "details").fields == (field,)  # noqa: B009


@pytest.mark.parametrize(
    "options",
    [{"policy": "keep"}, {"quota": -1}, {"linger": float("inf")}, {"linger": float("nan")}],
)
def test_what_no_message_can_say(client: Client, options: dict[str, Any]) -> None:
    with pytest.raises(
        (ValueError, OutOfRange), match=r"policy is one of|quota is 0 to|number of seconds"
    ):
        client.subscribe(**options)
