"""What people write for durations and addresses."""

import pytest
import typer
from skbpool.cli.options import (
    byte_size,
    name_of_a,
    parse_duration,
    server_address,
    whole_number,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10.0),
        ("10", 10.0),
        ("1.5m", 90.0),
        ("2min", 120.0),
        ("500ms", 0.5),
        ("1ms", 0.001),
        ("1000us", 0.001),
        ("24h", 86_400.0),
        (" 3 S ", 3.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "ten", "-1s", "1e3s", "1s2", "1d", "1..5s", "nan", "infs"]
)
def test_no_durations(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0s", "0", "999us", "25h", "9" * 400 + "s"])
def test_durations_out_of_range(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="out of range"):
        parse_duration(text)


def test_whole_numbers() -> None:
    parse = whole_number(1, 10, "frames")
    # A default is parsed too.
    assert [parse(text) for text in ("1", " 10 ", "+7")] + [parse(5)] == [1, 10, 7, 5]


@pytest.mark.parametrize("text", ["", "many", "1.5", "1e3", "٣", "9" * 5000])
def test_no_whole_numbers(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no integer: give 1 to 10 frames"):
        whole_number(1, 10, "frames")(text)


@pytest.mark.parametrize("text", ["0", "-1", "11", "9" * 400])
def test_whole_numbers_out_of_range(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is out of range: 1 to 10 frames"):
        whole_number(1, 10, "frames")(text)


def test_sizes() -> None:
    parse = byte_size(0, 1 << 40)
    sizes = {"0": 0, "4096": 4096, "1b": 1, "64KiB": 65_536, " 3 k ": 3072, "2M": 2 << 20}
    assert {text: parse(text) for text in sizes} == sizes
    assert parse("1GiB") == 1 << 30
    assert parse(7) == 7


@pytest.mark.parametrize("text", ["", "KiB", "1.5MiB", "-1", "1e3", "1 2", "1TB", "٣", "9" * 21])
def test_no_sizes(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no size"):
        byte_size(0, 1 << 40)(text)


@pytest.mark.parametrize("text", ["0", "4097", "1M"])
def test_sizes_out_of_range(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is out of range: 1 to 4096 bytes"):
        byte_size(1, 4096)(text)


def test_an_empty_name_is_none() -> None:
    assert name_of_a("driver")("eth0") == "eth0"
    with pytest.raises(typer.BadParameter, match="leave the option out"):
        name_of_a("driver")("")


def test_the_flag_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKBPOOL_SERVER", "127.0.0.1:5")
    assert server_address("127.0.0.1:6") == "127.0.0.1:6"
    assert server_address(None) == "127.0.0.1:5"


def test_a_bad_address_names_where_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        server_address("nowhere")
    assert caught.value.param_hint == "'--server'"
    monkeypatch.setenv("SKBPOOL_SERVER", "nowhere")
    with pytest.raises(typer.BadParameter) as caught:
        server_address(None)
    assert caught.value.param_hint == "'SKBPOOL_SERVER'"
