"""S3: N views of one buffer, freed exactly once, when the last goes, in whatever order they go."""

import itertools
import threading

import pytest
from skbpool import Skb, adopt

pytestmark = pytest.mark.seed

VIEWS = 4


def views_of(freed: list[bytes]) -> list[Skb]:
    with adopt(bytes(64 * VIEWS), free=freed.append).arm(VIEWS) as armed:
        return [armed.skb(64 * number, 60) for number in range(VIEWS)]


def test_freed_with_the_last_view_in_every_order() -> None:
    orders = list(itertools.permutations(range(VIEWS)))
    for order in orders:
        freed: list[bytes] = []
        skbs = views_of(freed)
        for position, number in enumerate(order):
            assert len(freed) == 0
            assert skbs[number].references == VIEWS - position
            skbs[number].release()
        assert len(freed) == 1
    print(f"\nS3: {VIEWS} views released in all {len(orders)} orders; freed once in each")


def test_freed_once_by_threads() -> None:
    rounds = 200
    for _ in range(rounds):
        freed: list[bytes] = []
        start = threading.Barrier(VIEWS)

        def release(skb: Skb, start: threading.Barrier = start) -> None:
            start.wait()
            skb.release()

        threads = [threading.Thread(target=release, args=(skb,)) for skb in views_of(freed)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(freed) == 1
    print(f"\nS3: {VIEWS} threads released one view each, {rounds} times; freed once each time")
