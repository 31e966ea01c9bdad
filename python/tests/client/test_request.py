"""Arguments that no request can have: refused here, by name, before anything is sent."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from skbpool import BadPool, Client, OutOfRange, Tls
from skbpool.client.request import request_of
from skbpool.client.verbs.driver import Line
from skbpool.v1 import holder_pb2, pool_pb2


@pytest.fixture
def client() -> Iterator[Client]:
    with Client("unix:/nowhere/skbpool.sock") as unconnected:
        yield unconnected


REFUSED: dict[str, tuple[Callable[[Any], object], type[Exception], str]] = {
    "negative": (
        lambda client: client.create_pool("x", -1),
        OutOfRange,
        r"buffers is 0 to 4294967295, not -1",
    ),
    "large": (
        lambda client: client.create_pool("x", 1 << 5000),
        OutOfRange,
        r"buffers is .*, not a number of more than 127 bits",
    ),
    "order": (lambda client: client.create_pool("x", 1, -1), OutOfRange, r"order is .*, not -1"),
    "text": (lambda client: client.create_pool("x", "8"), TypeError, r"buffers is a whole number"),
    "name": (lambda client: client.create_pool(7, 8), TypeError, r"name is a text, not int"),
    "no text": (lambda client: client.create_pool("\ud800", 8), TypeError, r"name is a text that"),
    "marks": (
        lambda client: client.create_pool("x", 8, watermarks=5),
        TypeError,
        r"\(low, high\), such as \(4, 8\), or None; not 5",
    ),
    "a mark": (
        lambda client: client.create_pool("x", 8, watermarks=(1, -2)),
        OutOfRange,
        r"high is 0 to 4294967295, not -2",
    ),
    "pages": (
        lambda client: client.create_pool("x", 8, huge_pages="always"),
        BadPool,
        r"'never', 'try' or 'require', not 'always'",
    ),
    "session": (
        lambda client: client.revoke_session(session=-1),
        OutOfRange,
        r"session is 0 to 2\^64 - 1, not -1",
    ),
    "quota": (lambda client: client.stamp_reader(1, quota=-1), OutOfRange, r"quota is 0 to"),
    "line_frames": (lambda _: Line(frames=-1).message(), OutOfRange, r"frames is 0 to 2"),
    "line_ring": (lambda _: Line(ring=1 << 40).message(), OutOfRange, r"descriptors is 0 to 42"),
    "line_duration": (
        lambda _: Line(duration=math.inf).message(),
        ValueError,
        r"duration is a number of seconds, not inf",
    ),
    "line_block": (
        lambda _: Line(block_at_most=math.nan).message(),
        ValueError,
        r"block_at_most is a number of seconds, not nan",
    ),
    "tls": (lambda _: Client("127.0.0.1:1", tls=5), TypeError, r"Tls\(ca='ca.crt'\), or None.*int"),  # type: ignore[arg-type]
    "address": (lambda _: Client(5), TypeError, r"an address is a text, as in .* not int"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_request_can_have_is_told(client: Client, case: str) -> None:
    make, kind, told = REFUSED[case]
    with pytest.raises(kind, match=told):
        make(client)


def test_a_request_is_what_it_was_given() -> None:
    made = request_of(pool_pb2.CreatePoolRequest, name="x", buffers=(1 << 32) - 1)
    assert (made.name, made.buffers, made.order) == ("x", (1 << 32) - 1, 0)
    assert request_of(holder_pb2.RevokeSessionRequest, session=1 << 63).session == 1 << 63
    assert Tls(ca="x") == Tls("x")
