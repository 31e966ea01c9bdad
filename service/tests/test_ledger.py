"""Totals that never go down, over the real hub."""

import skbpool
from batches import numbered, request
from skbpool._native import Hub, IngestPort
from skbpool_service.ledger import DRIVER, OTHER, Ledger


def ingest(hub: Hub, ledger: Ledger, name: str, frames: int) -> None:
    port = IngestPort(hub, name)
    port.submit(request(numbered(frames), 1).SerializeToString())
    ledger.detach(DRIVER, name, port.close)


def test_totals_stay_with_names_and_add_up() -> None:
    hub = Hub(skbpool.Pool(256))
    ledger = Ledger(hub, max_names=2)
    seen = []
    for name, frames in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("d", 5), ("b", 6)]:
        ingest(hub, ledger, name, frames)
        seen.append({label: flow.frames for label, flow in ledger.totals()[1].items()})
    assert seen[-1] == {"a": 4, "b": 8, OTHER: 9}
    for label in ("a", "b", OTHER):
        counts = [totals.get(label, 0) for totals in seen]
        assert counts == sorted(counts)
    assert ledger.totals()[1]["a"].unclaimed == 4


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
