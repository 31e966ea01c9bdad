"""Messages that an IngestPort keeps instead of copying them."""

import os
import sys
import time

import pytest
import skbpool
from engine_messages import numbered, request
from skbpool._native import AdoptionBudget, Hub, IngestPort, StampConsumer, Subscription

BIG = [1000] * 20
"""Lengths of the frames of a message that is worth adopting."""


def _all_is_given_back(budget: AdoptionBudget) -> None:
    """Wait until the reaper has had the interpreter lock."""
    end = time.monotonic() + 30
    while budget.taken:
        assert time.monotonic() < end
        os.sched_yield()


def test_a_message_that_everybody_has_read_is_let_go_of_at_once() -> None:
    pool = skbpool.Pool(2048)
    hub = Hub(pool)
    budget = AdoptionBudget(1 << 20)
    with (
        StampConsumer(hub, "inline", stream=1, quota=256, inline=True) as reader,
        IngestPort(hub, "in", adopt=budget) as port,
    ):
        message = request(numbered(BIG))
        before = sys.getrefcount(message)
        brought = skbpool.brought().brought
        port.submit(message)
        assert reader.report()["foreign"] == len(BIG)
        assert skbpool.brought().brought == brought + 1
        assert budget.taken == 0
        assert sys.getrefcount(message) == before
        # A small one is copied, for less.
        port.submit(request(numbered([5])))
        assert reader.report()["foreign"] == len(BIG) + 1
        assert skbpool.brought().brought == brought + 1
    assert pool.stats().in_flight == 0


def test_beyond_the_budget_messages_are_copied() -> None:
    pool = skbpool.Pool(2048)
    hub = Hub(pool)
    message = request(numbered(BIG))
    budget = AdoptionBudget(len(message))
    reader = StampConsumer(hub, "stopped", stream=1, quota=256, inline=True)
    reader.stop()
    with IngestPort(hub, "in", adopt=budget) as port:
        port.submit(message)
        assert (budget.taken, pool.stats().in_flight) == (len(message), 0)
        port.submit(message)
        assert budget.taken == len(message)
        assert pool.stats().in_flight > 0
        reader.close()
        _all_is_given_back(budget)
    assert pool.stats().in_flight == 0


def test_the_budget_comes_back_when_the_message_is_gone() -> None:
    hub = Hub(skbpool.Pool(2048))
    message = request(numbered(BIG))
    budget = AdoptionBudget(len(message))
    interval = sys.getswitchinterval()
    # Nobody gets the interpreter lock but from a call that lets it go.
    sys.setswitchinterval(1000)
    try:
        with IngestPort(hub, "in", adopt=budget) as port:
            for _ in range(1000):
                reader = StampConsumer(hub, "stopped", stream=1, quota=256, inline=True)
                reader.stop()
                port.submit(message)
                assert budget.taken == len(message)
                reader.close()
                # Closing lets the lock go, and the reaper may have had it since.
                waiting, taken = skbpool.brought().waiting, budget.taken
                assert taken == (len(message) if waiting else 0)
                if waiting:
                    break
            else:
                pytest.fail("the reaper was always first")
    finally:
        sys.setswitchinterval(interval)
    _all_is_given_back(budget)


def test_what_a_subscriber_takes_out_is_copied() -> None:
    pool = skbpool.Pool(2048)
    hub = Hub(pool)
    budget = AdoptionBudget(1 << 20)
    with (
        Subscription(hub, "out", quota=256, max_message_bytes=1 << 20),
        IngestPort(hub, "in", adopt=budget) as port,
    ):
        port.submit(request(numbered(BIG)))
        assert budget.taken == 0
        assert pool.stats().in_flight > 0
