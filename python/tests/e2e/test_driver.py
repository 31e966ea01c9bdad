"""`skbpool driver`: cards and replays inside the daemon."""

import struct
from pathlib import Path

import pytest
from skbpool_processes import Daemon, run, stats, wait_until

pytestmark = pytest.mark.e2e

KEYS = [
    "name",
    "kind",
    "state",
    "pool",
    "capture",
    "error",
    "offered",
    "accepted",
    "accepted_bytes",
    "unclaimed",
    "dropped",
    "late",
    "wire_bits",
    "seconds",
    "views_out",
    "buffers_out",
]


def write_pcap(path: Path, frames: list[bytes]) -> None:
    """Write a capture whose frames are a microsecond apart."""
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)]
    for number, frame in enumerate(frames):
        records.append(struct.pack("<IIII", 1, number, len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(records))


def test_drivers_come_and_go_by_command(tmp_path: Path) -> None:
    write_pcap(tmp_path / "trace.pcap", [b"first", b"second"])
    with Daemon(tmp_path, "--set", f"driver.capture_directory={tmp_path}") as daemon:
        nobody = daemon.run("driver", "list")
        assert (nobody.code, nobody.stdout) == (0, "no driver is attached\n")
        size = ("--rate", "1Gbps", "--size", "1518", "-c", "1000")
        card = daemon.run("driver", "attach", "card", *size, "--json").json
        assert list(card) == KEYS
        assert (card["name"], card["kind"], card["capture"]) == ("card", "emulated_nic", None)
        again = ("-r", "trace.pcap", "--loops", "3", "--original-timing")
        told = daemon.run("driver", "attach", "again", *again)
        assert told.stdout == "driver again is attached, on pool default\n"

        def finished() -> bool:
            rows = daemon.run("driver", "list", "--json").json["drivers"]
            return [row["state"] for row in rows] == ["finished", "finished"]

        wait_until(finished, "both lines down")
        rows = daemon.run("driver", "list", "--json").json["drivers"]
        assert [(row["name"], row["offered"], row["accepted_bytes"]) for row in rows] == [
            ("card", 1000, 1000 * 1514),
            ("again", 6, 33),
        ]
        table = daemon.run("driver", "list").stdout
        assert all(word in table for word in ("Drivers", "emulated_nic", "again", "finished"))
        assert daemon.run("driver", "detach", "card").stdout == (
            "driver card is detached, after 1,000 frames\n"
        )
        refused = daemon.run("driver", "detach", "card")
        assert (refused.code, "no driver named 'card'" in refused.stderr) == (5, True)
        assert daemon.run("driver", "detach", "again", "--json").json["state"] == "detached"
        assert stats(daemon)["pools"][0]["in_flight"] == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--rate", "fast"), "'fast' is no rate"),
        (("--loops", "2"), "nothing to replay without -r"),
        (("--original-timing",), "nothing to replay without -r"),
        (("-r", "a", "--size", "64"), "leave it out with -r"),
        (("-r", "a", "--stream", "1"), "leave it out with -r"),
        (("-r", "a", "--endless", "--loops", "2"), "leave one out"),
        (("--ring", "65537"), "out of range"),
    ],
)
def test_options_that_say_nothing_are_refused(flags: tuple[str, ...], said: str) -> None:
    done = run("driver", "attach", "card", *flags)
    assert (done.code, said in done.stderr) == (2, True), done
