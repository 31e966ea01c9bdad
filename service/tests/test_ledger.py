"""Totals that never go down, over the real hub."""

import skbpool
from batches import numbered, request
from skbpool._native import Hub, IngestPort
from skbpool_service.ledger import DRIVER, OTHER, Ledger


def ingest(hub: Hub, ledger: Ledger, name: str, frames: int) -> None:
    port = IngestPort(hub, name)
    port.submit(request(numbered(frames), 1).SerializeToString())
    ledger.detach(DRIVER, name, port.close)


def frames(ledger: Ledger) -> dict[str, int]:
    return {label: flow.frames for label, flow in ledger.totals()[1].items()}


def test_totals_stay_with_names_and_add_up() -> None:
    hub = Hub(skbpool.Pool(256))
    ledger = Ledger(hub, max_names=2)
    seen = []
    for name, count in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("d", 5), ("b", 6)]:
        ingest(hub, ledger, name, count)
        seen.append(frames(ledger))
    # The label that nobody has been under for longest made room: b, then a, then c.
    assert seen[2:] == [
        {"a": 4, "b": 2},
        {"a": 4, "c": 4},
        {"c": 4, "d": 5},
        {"d": 5, "b": 6},
    ]


def test_a_name_without_place_is_other_until_it_leaves() -> None:
    hub = Hub(skbpool.Pool(1024))
    ledger = Ledger(hub, max_names=1)
    first, second = IngestPort(hub, "first"), IngestPort(hub, "second")
    ledger.totals()
    for port in (first, second):
        port.submit(request(numbered(3), 1).SerializeToString())
    assert frames(ledger) == {"first": 3, OTHER: 3}
    ledger.detach(DRIVER, "first", first.close)
    ingest(hub, ledger, "third", 2)
    # Its total stays where it was counted, or "other" would go down.
    assert frames(ledger) == {"third": 2, OTHER: 3}
    ledger.detach(DRIVER, "second", second.close)
    assert frames(ledger) == {"third": 2, OTHER: 3}
    ingest(hub, ledger, "second", 1)
    assert frames(ledger) == {"second": 1, OTHER: 3}


def test_names_that_the_daemon_gave_share_a_label() -> None:
    hub = Hub(skbpool.Pool(256))
    ledger = Ledger(hub, max_names=8)
    for number in range(20):
        ingest(hub, ledger, f"driver-{number}", 1)
    ingest(hub, ledger, "driver-x", 1)
    assert frames(ledger) == {"driver": 20, "driver-x": 1}


def test_those_attached_count_under_their_name_too() -> None:
    hub = Hub(skbpool.Pool(256))
    ledger = Ledger(hub, max_names=8)
    ingest(hub, ledger, "a", 2)
    with IngestPort(hub, "a") as port:
        port.submit(request(numbered(5), 1).SerializeToString())
        figures, drivers, _ = ledger.totals()
        assert [driver["name"] for driver in figures["drivers"]] == ["a"]
        assert drivers["a"].frames == 7
        assert drivers["a"].bytes == 420
