"""What owns memory is neither pickled nor copied: nobody else could have the reference."""

import copy
import pickle
from collections.abc import Callable

import pytest
from skbpool import Pool, SkbBatch

OWNERS: dict[str, Callable[[Pool], object]] = {
    "Pool": lambda pool: pool,
    "Buffer": Pool.alloc,
    "Armed": lambda pool: pool.alloc().arm(1),
    "Fill": lambda pool: pool.alloc().fill(),
    "Skb": lambda pool: pool.alloc().into_skb(),
    "SkbBatch": lambda pool: SkbBatch([pool.alloc().into_skb()]),
    "FiveTuples": lambda pool: SkbBatch([pool.alloc().into_skb()]).five_tuples(),
    "Reservation": lambda pool: pool.reserve(1, "somebody")[0],
}


@pytest.mark.parametrize("name", OWNERS)
def test_no_protocol_pickles_it_and_nothing_copies_it(pool: Pool, name: str) -> None:
    owner = OWNERS[name](pool)
    in_flight = pool.stats().in_flight
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match=f"cannot pickle '.*{name}' object"):
            pickle.dumps(owner, protocol)
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=f"cannot pickle '.*{name}' object"):
            duplicate(owner)
    assert pool.stats().in_flight == in_flight
