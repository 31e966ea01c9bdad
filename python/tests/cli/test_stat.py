"""What `skbpool stat` shows to people."""

import pytest
from google.protobuf.duration_pb2 import Duration
from skbpool.cli.drop_reasons import MEANINGS
from skbpool.cli.stat import HELP, as_dict, show
from skbpool.v1 import drop_reason_pb2, pool_pb2, server_pb2


def test_every_reason_for_a_drop_has_a_meaning() -> None:
    names = drop_reason_pb2.DropReason.keys()
    reasons = {name.removeprefix("DROP_REASON_").lower() for name in names}
    assert set(MEANINGS) == reasons - {"unspecified"}
    for reason, meaning in MEANINGS.items():
        assert reason in HELP
        assert meaning in HELP


def test_people_see_what_is_reserved_and_why_frames_were_dropped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pool = pool_pb2.PoolStatistics(
        pool=pool_pb2.Pool(name="default", buffers=4096, buffer_bytes=4096), reserved=2561
    )
    drop = drop_reason_pb2.DropCount(reason=drop_reason_pb2.DROP_REASON_DETACHED, frames=523)
    figures = as_dict(server_pb2.GetStatisticsResponse(pools=[pool], drops=[drop]))
    assert figures["pools"][0]["reserved"] == 2561
    show(figures)
    shown = capsys.readouterr().out
    assert "reserved" in shown
    assert "2,561" in shown
    assert "523 detached" in shown
    assert f"detached: {MEANINGS['detached']}" in shown


def test_people_see_who_held_what_what_was_copied_and_that_a_pool_is_low(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pool = pool_pb2.PoolStatistics(
        pool=pool_pb2.Pool(name="default", buffers=4096), low_watermark=256, is_low=True
    )
    keeper = server_pb2.Holder(
        name="keeper",
        kind=server_pb2.HOLDER_KIND_SESSION,
        count=3,
        peak_count=7,
        peak_bytes=28_672,
        oldest_at_least=Duration(seconds=12, nanos=300_000_000),
        oldest_at_most=Duration(seconds=13),
        session=4,
    )
    idle = server_pb2.Holder(name="idle", kind=server_pb2.HOLDER_KIND_DRIVER)
    copies = [
        server_pb2.CopyCount(stage=server_pb2.COPY_STAGE_LAND, frames=12, bytes=720),
        server_pb2.CopyCount(stage=server_pb2.COPY_STAGE_ENCODE),
    ]
    figures = as_dict(
        server_pb2.GetStatisticsResponse(pools=[pool], holders=[keeper, idle], copies=copies)
    )
    assert figures["holders"][0] == {
        "name": "keeper",
        "kind": "session",
        "count": 3,
        "bytes": 0,
        "peak_count": 7,
        "peak_bytes": 28_672,
        "oldest_at_least": 12.3,
        "oldest_at_most": 13.0,
        "session": 4,
        "gone": False,
    }
    assert figures["copies"] == {
        "land": {"frames": 12, "bytes": 720},
        "encode": {"frames": 0, "bytes": 0},
    }
    assert figures["pools"][0]["is_low"]
    for row in figures["pools"] + figures["holders"]:
        assert all(key in HELP for key in row)
    show(figures)
    shown = capsys.readouterr().out
    printed = [line.split() for line in shown.splitlines()]
    assert ["keeper", "session", "3", "0", "7", "28,672", "12.3", "s"] in printed
    assert ["idle", "driver", "0", "0", "0", "0", "-"] in printed
    assert ["land", "12", "720"] in printed
    assert "encode" not in shown
    assert "default is low: fewer than 256 buffers were free" in shown


def test_the_tables_fit_a_terminal_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    million = 1_000_000
    pool = pool_pb2.PoolStatistics(
        pool=pool_pb2.Pool(
            name="default",
            buffers=million,
            buffer_bytes=4096,
            state=pool_pb2.POOL_STATE_OPEN,
        ),
        free=million,
        cached=million,
        in_flight=million,
        reserved=million,
    )
    consumer = server_pb2.ConsumerStatistics(
        name="consumer-12", frames=10**9, bytes=10**12, held=32_768, quota=32_768
    )
    holder = server_pb2.Holder(
        name="consumer-12",
        kind=server_pb2.HOLDER_KIND_CONSUMER,
        count=32_768,
        bytes=32_768 * 4096,
        peak_count=32_768,
        peak_bytes=32_768 * 4096,
        oldest_at_least=Duration(seconds=1234),
    )
    shown = as_dict(
        server_pb2.GetStatisticsResponse(pools=[pool], consumers=[consumer], holders=[holder])
    )
    show(shown)
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    heads = ["pool", "buffers", "each", "free", "cached", "flight", "reserved", "state"]
    assert heads in printed
    row = ["default", "1,000,000", "4,096", *["1,000,000"] * 4, "open"]
    assert row in printed
    row = ["consumer-12", "consumer", *["32,768", "134,217,728"] * 2, "21", "min"]
    assert row in printed
    assert ["consumer", "frames", "bytes", "held", "quota", "missed"] in printed
    figures = ["1,000,000,000", "1,000,000,000,000", "32,768", "32,768", "0"]
    assert ["consumer-12", *figures] in printed
