"""S9: a gigabit Ethernet driver is written on this API.

The emulated card is a driver that posts empty buffers, takes filled ones, replenishes, wraps and
hands on with the very API that everybody has. Here it runs at 1 Gbit/s with 64-byte frames: into a
hub of the same process, and over gRPC into the daemon.
"""

from pathlib import Path

import pytest
import skbpool
from skbpool._native import EmulatedNic, Hub, IngestPort, StampConsumer
from skbpool_processes import Daemon

LINE_RATE = 1_488_095
"""64-byte frames a second on a wire of a gigabit a second: 10^9 / (8 * (64 + 20))."""

SECONDS = 0.5
ON_THE_LINE = 744_047
"""Frames whose turn comes within SECONDS, sent or late."""

STREAM = 9


@pytest.mark.seed
def test_a_gigabit_card_feeds_a_hub_of_this_process() -> None:
    pool = skbpool.Pool(65_536)
    hub = Hub(pool)
    reader = StampConsumer(hub, "reader", stream=STREAM, quota=32_768)
    card = EmulatedNic(rate="1Gbps", size=64, duration=SECONDS, stream=STREAM)
    sequence = 0
    message_bytes = 1 << 18  # far fewer frames than the reader may be behind by
    with IngestPort(hub, "card") as port:
        card.start()
        while (message := card.next_request(message_bytes, 0.001, sequence + 1)) is not None:
            sequence += 1
            port.submit(message)
        landed = port.stats()
    reader.close()
    report, seen = card.report(), reader.report()
    card.stop()
    dropped = [report["dropped"], landed["dropped"], seen["dropped"]]
    unaccounted = report["offered"] - seen["received"] - sum(map(frames, dropped))
    print(
        f"S9: a card at 1 Gbit/s sent {report['offered']} frames in {report['seconds']:.3f} s "
        f"({report['offered'] / report['seconds']:.0f}/s of {LINE_RATE}), {report['late']} were "
        f"late, {seen['received']} were read, dropped {dropped}, lost {unaccounted}"
    )
    assert report["offered"] + report["late"] == ON_THE_LINE, "the line has its rate"
    assert report["offered"] == report["accepted"] + frames(report["dropped"])
    assert landed["frames"] == report["accepted"] - frames(landed["dropped"])
    assert unaccounted == 0
    assert (seen["duplicated"], seen["reordered"], seen["foreign"]) == (0, 0, 0)
    hub.close()
    assert pool.stats().violations == 0


def frames(drops: dict[str, dict[str, int]]) -> int:
    return sum(totals["frames"] for totals in drops.values())


@pytest.mark.seed
@pytest.mark.e2e
def test_a_gigabit_card_feeds_the_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        report = daemon.run(
            "nic", "--rate", "1Gbps", "--size", "64", "--duration", "2s", "--json"
        ).json
    print(
        f"S9: over gRPC {report['offered']} frames were offered, {report['accepted']} accepted "
        f"({report['frames_per_second']:.0f}/s of {LINE_RATE}), dropped {report['dropped']}, "
        f"lost {report['lost']}"
    )
    assert 0 < report["offered"] <= 2 * LINE_RATE
    assert report["offered"] == report["accepted"] + sum(report["dropped"].values())
    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)
