"""The usual mistakes at a Python prompt, and what objects say of themselves."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import skbpool.aio
from skbpool import Client, OutOfRange
from skbpool.client import Line, NotFound, Session
from skbpool_processes import Daemon

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.fixture(scope="module")
def client(daemon: Daemon) -> Client:
    return daemon.client


CALLS: dict[str, tuple[Callable[[Any], object], type[Exception], str]] = {
    "close_pool": (lambda it: it.close_pool(5), TypeError, r"^name is a text, not int$"),
    "statistics": (lambda it: it.pool_statistics(5), TypeError, r"^name is a text, not int$"),
    "detach": (lambda it: it.detach_driver(5), TypeError, r"^name is a text, not int$"),
    "session": (lambda it: it.session(5), TypeError, r"^name is a text, not int$"),
    "line": (lambda it: it.attach_nic("x", "1Gbps"), TypeError, r"^line is a Line, as in Line"),
    "rate": (lambda it: it.attach_nic("x", Line(5)), TypeError, r"^rate is a text.* not int$"),  # type: ignore[arg-type]
    "linger": (lambda it: it.subscribe(linger="x"), TypeError, r"^linger is a number of seconds"),
    "timeout": (lambda _: Client(timeout="5"), TypeError, r"^timeout is a number of seconds"),  # type: ignore[arg-type]
    "no timeout": (lambda _: Client(timeout=0), ValueError, r"^timeout is more than 0"),
    "no loop": (lambda _: skbpool.aio.Client(), RuntimeError, r"inside a running loop"),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_call_names_the_argument_that_is_wrong(client: Client, case: str) -> None:
    use, kind, told = CALLS[case]
    with pytest.raises(kind, match=told):
        use(client)


LEASES: dict[str, tuple[Callable[[Any, int], object], type[Exception], str]] = {
    "text": (lambda it, buffer: it.write(buffer, "x"), TypeError, r"bytes-like object, not str"),
    "number": (lambda it, buffer: it.write(buffer, 5), TypeError, r"bytes-like object, not int"),
    "handle": (lambda it, _: it.write("b", b"x"), TypeError, r"^buffer is a whole number, not str"),
    "offset": (lambda it, buffer: it.write(buffer, b"x", -1), OutOfRange, r"^offset is 0 to"),
    "length": (lambda it, buffer: it.make_skb(buffer, -1), OutOfRange, r"^length is 0 to"),
    "views": (lambda it, buffer: it.make_skbs([buffer]), TypeError, r"^views are Views"),
    "one": (lambda it, buffer: it.release(buffer), TypeError, r"as in \[handle\], not \d+$"),
    "names": (lambda it, _: it.deliver(["x"]), TypeError, r"^handles are an iterable of numbers"),
    "wait": (lambda it, _: it.allocate(timeout="1"), TypeError, r"^timeout is a number of seconds"),
}


@pytest.mark.parametrize("case", LEASES)
def test_a_lease_names_the_argument_that_is_wrong(client: Client, case: str) -> None:
    use, kind, told = LEASES[case]
    with client.session() as session:
        (buffer,) = session.allocate()
        with pytest.raises(kind, match=told):
            use(session, buffer)
        assert session.release([buffer]) == 1


def test_a_session_that_is_closed_lends_nothing(daemon: Daemon, client: Client) -> None:
    session: Session = client.session("mine")
    session.close()
    with pytest.raises(NotFound, match="the session was closed"):
        session.allocate()

    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as other:
            lender = other.session("mine")
            with pytest.raises(ValueError, match="not open"):
                await lender.allocate()
            async with lender:
                pass
            with pytest.raises(NotFound, match="the session was closed"):
                await lender.allocate()

    asyncio.run(test())


def test_objects_say_what_they_are(daemon: Daemon, client: Client) -> None:
    with client.session("mine") as session:
        assert repr(session) == "<Session 'mine'>"
    assert repr(session) == "<Session 'mine' closed>"
    with client.subscribe() as tap:
        assert repr(tap) == "<Subscription open, missed {}>"
    assert repr(tap) == "<Subscription closed, missed {}>"
    with client.ingest() as sender:
        sender.send(b"one")
    assert repr(sender) == "<Sender 1 given, 1 acknowledged, 0 waiting, 0 lost>"

    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as other:
            assert repr(other.session("mine")) == "<Session 'mine' not open>"
            assert repr(other.ingest()) == "<Sender not open>"
            assert repr(other.subscribe()) == "<Subscription not open, missed {}>"

    asyncio.run(test())
