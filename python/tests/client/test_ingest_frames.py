"""Client.ingest with frames: what it takes, what it refuses, and a real daemon."""

import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import skbpool
from skbpool import Client
from skbpool.client import Acknowledgement, Frame
from skbpool_processes import Daemon

pytestmark = pytest.mark.e2e

FRAME = b"one frame." * 6


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.fixture(scope="module")
def address(daemon: Daemon) -> str:
    return daemon.address


def a_batch() -> skbpool.SkbBatch:
    buffer = skbpool.Pool(8).alloc()
    memoryview(buffer)[: len(FRAME)] = FRAME
    return skbpool.SkbBatch([buffer.into_skb(0, len(FRAME))])


ONE: dict[str, Callable[[], Any]] = {
    "bytes": lambda: FRAME,
    "memoryview": lambda: memoryview(FRAME),
    "array": lambda: array.array("B", FRAME),
    "Frame": lambda: Frame(FRAME, 1),
    "skb": lambda: a_batch()[0],
    "batch": a_batch,
    "list": lambda: [FRAME],
    "tuple of Frames": lambda: (Frame(FRAME, 1),),
    "iterator": lambda: iter([FRAME]),
}


@pytest.mark.parametrize("form", ONE)
def test_one_frame_in_any_form_arrives_as_one(address: str, form: str) -> None:
    with Client(address) as client, client.subscribe() as tap:
        done = client.ingest(ONE[form]())
        assert (done.acked_through, done.accepted, done.dropped) == (1, 1, {})
        assert [bytes(skb) for skb in next(iter(tap))] == [FRAME]


def test_no_frames_are_none(address: str) -> None:
    with Client(address) as client:
        assert client.ingest([]) == client.ingest(iter(())) == Acknowledgement()


OPTIONS = {"linger": 0.1, "deadline": 5.0, "max_buffered_bytes": 1 << 20, "resend": False}


def refused_beside_frames(name: str) -> tuple[Callable[[Any], object], type[Exception], str]:
    return (
        lambda client: client.ingest([FRAME], **{name: OPTIONS[name]}),
        TypeError,
        rf"^{name} is an option of the Sender .* client\.ingest\({name}=…\)",
    )


REFUSED: dict[str, tuple[Callable[[Any], object], type[Exception], str]] = {
    **{name: refused_beside_frames(name) for name in OPTIONS},
    "options that mean no": (lambda it: it.ingest([], linger=0), TypeError, "^linger is an option"),
    "no frames": (lambda it: it.ingest(None), TypeError, "^frames are .* not NoneType$"),
    "text": (lambda it: it.ingest("frame"), TypeError, "^frames are .* not str$"),
    "number": (lambda it: it.ingest(5), TypeError, "^frames are .* not int$"),
    "numbers": (lambda it: it.ingest([5]), TypeError, "bytes-like object is required, not 'int'"),
    "driver": (lambda it: it.ingest([FRAME], driver=5), TypeError, "^driver is a text, not int$"),
    "a sender's driver": (lambda it: it.ingest(driver=5), TypeError, "^driver is a text, not int$"),
    "a sender's linger": (lambda it: it.ingest(linger="1"), TypeError, "linger is 0 or more sec"),
    "a sender's deadline": (
        lambda it: it.ingest(deadline=0),
        ValueError,
        "deadline more than 0 seconds",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_told(address: str, case: str) -> None:
    use, kind, told = REFUSED[case]
    with Client(address) as client, pytest.raises(kind, match=told):
        use(client)


def test_a_message_that_is_none_is_told(address: str) -> None:
    with Client(address) as client, pytest.raises(TypeError, match="IngestRequest, not str"):
        list(client.ingest_messages(["message"]))  # type: ignore[list-item]


def test_frames_before_one_that_is_none_are_sent(address: str) -> None:
    with Client(address) as client, client.subscribe() as tap:
        for frames in ([FRAME, 5], iter([FRAME, 5])):
            with pytest.raises(TypeError, match="bytes-like"):
                client.ingest(frames)  # type: ignore[arg-type]
            assert [bytes(skb) for skb in next(iter(tap))] == [FRAME]
