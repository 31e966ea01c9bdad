"""What `skbpool holder` and `skbpool lease` show."""

import pytest
from skbpool.cli.holder import COLUMNS, age, as_dicts, show
from skbpool.v1 import server_pb2


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.0000123, "12.3 µs"),
        (0.35, "350 ms"),
        (42.0, "42 s"),
        (180.0, "3 min"),
        (18_000.0, "5.0 h"),
    ],
)
def test_ages_for_people(seconds: float | None, shown: str) -> None:
    assert age(seconds) == shown


def test_the_table_fits_a_terminal_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    holder = server_pb2.Holder(
        name="session-12",
        kind=server_pb2.HOLDER_KIND_SESSION,
        count=10_000,
        bytes=40_960_000,
        peak_count=10_000,
        peak_bytes=40_960_000,
        session=12,
    )
    holder.oldest_at_least.FromSeconds(42)
    gone = server_pb2.Holder(name="old", kind=server_pb2.HOLDER_KIND_CONSUMER, gone=True)
    show("Holders", as_dicts([holder, gone]))
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    many, size = "10,000", "40,960,000"
    assert ["session-12", "session", "12", many, size, "42", "s", many, size] in printed
    assert ["old", "(gone)", "consumer", "0", "0", "0", "0"] in printed
    assert len(COLUMNS) == 5
