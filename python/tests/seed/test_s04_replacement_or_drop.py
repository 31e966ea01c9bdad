"""S4: the receive loop finds a replacement before it hands a buffer's frames on, or drops them.

The emulated card posts buffers of a small pool of its own. Whoever reads from it keeps every buffer
until it fetches the frames. The daemon's side is the same: a port lands frames in a pool of which
somebody else holds every buffer.
"""

import pytest
from engine_messages import acknowledged, numbered, request
from skbpool import Pool, PoolExhausted
from skbpool._native import EmulatedNic, Hub, IngestPort
from skbpool_processes import wait_until

pytestmark = pytest.mark.seed

BUFFERS = 64
DESCRIPTORS = 16
MORE = 2000


def pool_empty(card: EmulatedNic) -> int:
    return int(card.report()["dropped"].get("pool_empty", {"frames": 0})["frames"])


def test_a_card_whose_frames_nobody_fetches_drops_and_resumes() -> None:
    with EmulatedNic(rate="100kpps", ring=DESCRIPTORS, buffers=BUFFERS) as card:
        card.start()
        wait_until(lambda: pool_empty(card) > MORE, "no frame is dropped")
        # Nothing was fetched, so what is accepted sits in buffers of the pool.
        held = card.report()["accepted"]
        assert held > 0
        wait_until(lambda: pool_empty(card) > 2 * MORE, "frames are not dropped any more")
        assert card.report()["accepted"] == held, "handed on without a buffer to replace theirs"
        dropped = pool_empty(card)
        sequence = 0
        while card.report()["accepted"] < held + MORE:
            sequence += 1
            assert card.next_request(1 << 18, 0.001, sequence) is not None
        resumed = card.report()["accepted"] - held
        card.stop()
        while card.next_request(1 << 18, 0.001, sequence + 1) is not None:
            sequence += 1
    report = card.report()
    gone = {reason: totals["frames"] for reason, totals in report["dropped"].items()}
    assert report["offered"] == report["accepted"] + sum(gone.values())
    print(
        f"\nS4: {BUFFERS} buffers, {DESCRIPTORS} descriptors, nobody fetches: {held} frames "
        f"accepted, then {dropped} dropped as pool_empty; once they were fetched, {resumed} more "
        f"accepted; of {report['offered']} offered all are accounted for, dropped {gone}"
    )


def test_a_port_whose_pool_is_held_drops_and_resumes() -> None:
    with Pool(512) as pool:
        hub = Hub(pool)
        with IngestPort(hub, "in") as port:
            held = pool.alloc_bulk(pool.stats().free)
            with pytest.raises(PoolExhausted):
                pool.alloc()
            told = acknowledged(port.submit(request(numbered([60] * MORE), 1)))
            landed = port.stats()
            assert (told.accepted, told.acked_through) == (landed["frames"], 1)
            dropped = landed["dropped"]["pool_empty"]["frames"]
            assert set(landed["dropped"]) == {"pool_empty"}
            assert dropped > 0
            assert told.accepted + dropped == MORE
            for buffer in held:
                buffer.release()
            told = acknowledged(port.submit(request(numbered([60] * MORE), 2)))
            later = port.stats()
            assert later["frames"] - landed["frames"] == MORE
            assert later["dropped"] == landed["dropped"]
            print(
                f"\nS4: {len(held)} buffers held: of {MORE} frames {landed['frames']} landed, "
                f"{dropped} were dropped as pool_empty; once the buffers were released, all of "
                f"{MORE} more landed"
            )
        hub.close()
        assert pool.stats().in_flight == 0
        assert pool.stats().violations == 0
        pool.audit()
