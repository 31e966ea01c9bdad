"""HolderService: who holds what, and revoking sessions."""

from functools import partial
from typing import Any

import grpc
import skbpool
from daemon_support import Stubs, eventually, refusal
from driver import Driver
from lease_support import BUFFER, Lease
from skbpool.v1 import frame_pb2, holder_pb2, server_pb2
from skbpool_service.refusal import Refusal
from skbpool_service.rpc.holder import HolderService
from skbpool_service.sessions import Sessions

Code = grpc.StatusCode


def listed(stubs: Stubs) -> list[server_pb2.Holder]:
    return list(stubs.holder.ListHolders(holder_pb2.ListHoldersRequest()).holders)


def revoke(stubs: Stubs, **fields: Any) -> holder_pb2.RevokeSessionResponse:
    return stubs.holder.RevokeSession(holder_pb2.RevokeSessionRequest(**fields))


def test_everybody_is_listed_who_has_most_first(stubs: Stubs) -> None:
    tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="tap"))
    tap.initial_metadata()
    driver = Driver(stubs)
    little, much = Lease(stubs, "little"), Lease(stubs, "much")
    held = much.allocate(5)
    little.make((little.allocate(1)[0], 0, 60))
    much.release(*held[3:])
    names = [(holder.name, holder.count, holder.bytes) for holder in listed(stubs)]
    assert names[:2] == [("much", 3, 3 * BUFFER), ("little", 1, BUFFER)]
    assert ("tap", 0, 0) in names
    first, second = listed(stubs)[:2]
    assert first.kind == server_pb2.HOLDER_KIND_SESSION
    assert (first.peak_count, first.peak_bytes) == (5, 5 * BUFFER)
    assert first.session != second.session != 0
    age = first.oldest_at_least.ToNanoseconds()
    assert 0 < age == first.oldest_at_most.ToNanoseconds()
    assert listed(stubs)[0].oldest_at_least.ToNanoseconds() > age
    driver.finish()
    for stream in (tap, little.stream, much.stream):
        stream.cancel()
    stubs.await_home()
    eventually(lambda: not listed(stubs))


def test_a_revoked_session_holds_nothing_and_is_told_why(stubs: Stubs) -> None:
    lease, other = Lease(stubs, "leaky"), Lease(stubs, "fine")
    buffers = lease.allocate(10)
    lease.make((buffers[0], 0, 10), (buffers[0], 10, 10))
    (theirs,) = other.allocate(1)
    answer = revoke(stubs, name="leaky", reason="held for a week")
    assert (answer.name, answer.handles, answer.bytes) == ("leaky", 11, 10 * BUFFER)
    # All of it is home when the call is answered, and nothing of others.
    assert (stubs.statistics().in_flight, stubs.statistics().reserved) == (1, 1)
    assert refusal(lambda: next(lease.stream)) == (
        Code.ABORTED,
        "the session was revoked by an administrator: held for a week; what it held is home and "
        "its handles are dead, open another one",
    )
    assert refusal(lambda: lease.release(buffers[1]))[0] == Code.NOT_FOUND
    assert refusal(lambda: lease.allocate(1))[0] == Code.NOT_FOUND
    assert refusal(lambda: revoke(stubs, name="leaky"))[0] == Code.NOT_FOUND
    assert other.release(theirs) == 1
    other.stream.cancel()


def test_everything_is_home_before_the_client_is_told() -> None:
    pool, sessions = skbpool.Pool(16), Sessions(max_handles=16)
    told = []

    def end(refusal: Refusal) -> None:
        told.append((refusal.code, refusal.reason, pool.stats().in_flight, len(sessions)))

    sessions.open("other", end)
    session = sessions.open("leaky", end)
    session.table.allocate(pool, 3)
    request = holder_pb2.RevokeSessionRequest(name="leaky")
    assert HolderService(sessions).revoke(request).handles == 3
    assert told == [(Code.ABORTED, "SESSION_REVOKED", 0, 1)]


def test_what_a_revoked_session_delivered_is_the_consumers(stubs: Stubs) -> None:
    tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="tap"))
    tap.initial_metadata()
    lease = Lease(stubs, "source")
    (buffer,) = lease.allocate(1)
    lease.write((buffer, 0, b"frame"))
    assert lease.deliver(lease.make((buffer, 0, 5))).delivered == 1
    revoke(stubs, name="source")
    assert next(tap).batch.frames == b"frame"
    statistics = stubs.server.GetStatistics
    eventually(lambda: not statistics(server_pb2.GetStatisticsRequest()).drivers)
    tap.cancel()


def test_drivers_and_consumers_are_not_revoked(stubs: Stubs) -> None:
    tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name="tap"))
    tap.initial_metadata()
    code, text = refusal(lambda: revoke(stubs, name="tap"))
    assert code == Code.FAILED_PRECONDITION
    assert "'tap' is a consumer" in text
    assert "never revoked" in text
    assert tap.is_active()
    tap.cancel()


def test_a_name_that_two_sessions_have_needs_a_number(stubs: Stubs) -> None:
    one, two = Lease(stubs, "twin"), Lease(stubs, "twin")
    numbers = sorted(holder.session for holder in listed(stubs))
    code, text = refusal(lambda: revoke(stubs, name="twin"))
    assert code == Code.FAILED_PRECONDITION
    assert text.endswith(f"{numbers[0]}, {numbers[1]}")
    assert refusal(lambda: revoke(stubs, name="other", session=numbers[0]))[0] == Code.NOT_FOUND
    assert revoke(stubs, name="twin", session=numbers[0]).session == numbers[0]
    assert revoke(stubs, session=numbers[1]).name == "twin"
    for lease in (one, two):
        assert refusal(partial(next, lease.stream))[0] == Code.ABORTED


def test_requests_that_name_nobody_are_refused(stubs: Stubs) -> None:
    assert refusal(lambda: revoke(stubs))[0] == Code.INVALID_ARGUMENT
    for name in ("nobody", "n" * 5000):
        code, text = refusal(partial(revoke, stubs, name=name))
        assert (code, len(text) < 200) == (Code.NOT_FOUND, True)
    assert refusal(lambda: revoke(stubs, session=(1 << 64) - 1))[0] == Code.NOT_FOUND
    for reason in ("r" * 201, "two\nlines", "ä"):
        code, _ = refusal(partial(revoke, stubs, name="x", reason=reason))
        assert code == Code.INVALID_ARGUMENT
