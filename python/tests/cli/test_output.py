"""How figures look to people."""

import pytest
from skbpool.cli.output import counted, reasons, seconds, table, with_unit


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0.000 bit/s"), (999, "999.000 bit/s"), (1e9, "1.000 Gbit/s"), (1.4e6, "1.400 Mbit/s")],
)
def test_units(number: float, text: str) -> None:
    assert with_unit(number, "bit/s") == text


@pytest.mark.parametrize(
    ("duration", "text"), [(2, "2 s"), (0.0123, "12.3 ms"), (312e-6, "312 µs"), (5e-9, "5 ns")]
)
def test_durations(duration: float, text: str) -> None:
    assert seconds(duration) == text


def test_reasons() -> None:
    assert reasons({}) == "0"
    assert reasons({"ring_full": 2044, "quota": 3}) == "2,044 ring_full, 3 quota"


def test_one_is_no_plural() -> None:
    assert [counted(number, "frame") for number in (0, 1, 2044)] == [
        "0 frames",
        "1 frame",
        "2,044 frames",
    ]


def test_names_are_no_markup() -> None:
    from io import StringIO

    from rich.console import Console

    made = table("Holders", "holder", "kind")
    made.add_row("[red]eth0[/red]", "driver")
    out = StringIO()
    Console(file=out, markup=False, width=80).print(made)
    assert "[red]eth0[/red]" in out.getvalue()
