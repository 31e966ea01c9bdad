"""Addresses with anything in them: one that reads the same again, or what is wrong in one line."""

import random
from pathlib import Path

from mutator import mutated
from skbpool.addresses import (
    MAX_SOCKET_PATH,
    Address,
    AddressError,
    TcpAddress,
    UnixAddress,
    parse_address,
)

CORPUS = Path(__file__).parent / "corpus" / "addresses.txt"
"""An address a line; behind a `!` what is none. Escapes as in Python."""

ROUNDS = 400
"""Mutations of each address of the corpus."""

WORDS = ["unix:", "[", "]", ":", "//", "::1", "%eth0", "65536", "..", ",", "\udc80", "a" * 64]


def cases() -> list[tuple[str, bool]]:
    """Return the texts of the corpus, and whether each is an address."""
    found = []
    for line in CORPUS.read_text(encoding="ascii").splitlines():
        text = line.encode().decode("unicode_escape")
        found.append((text.removeprefix("!"), not text.startswith("!")))
    return found


def accepted(text: str) -> bool:
    """Whether `text` is an address, after looking at what it is, or at how it is refused."""
    try:
        address = parse_address(text)
    except AddressError as error:
        refusal = str(error)
    else:
        assert_sound(address)
        return True
    assert refusal.isprintable(), text
    return False


def assert_sound(address: Address) -> None:
    """Assert that an address reads the same again and can be used."""
    assert parse_address(str(address)) == address
    address.target.encode()
    if isinstance(address, UnixAddress):
        assert Path(address.path).is_absolute()
        assert 0 < len(address.path.encode()) <= MAX_SOCKET_PATH
        assert "\0" not in address.path
        assert address.is_local
    else:
        assert isinstance(address, TcpAddress)
        assert 0 <= address.port <= 65535
        assert address.host.isprintable()
        address.host.encode("idna")


def test_corpus() -> None:
    for text, is_address in cases():
        assert accepted(text) == is_address, text
    print(f"{len(cases())} addresses replayed")
    assert len(cases()) > 20


def test_mutated_addresses() -> None:
    dice = random.Random(1)
    counts = {True: 0, False: 0}
    for text, _ in cases():
        for _ in range(ROUNDS):
            counts[accepted(mutated(dice, text, WORDS))] += 1
    print(f"{counts[True]} mutated addresses read, {counts[False]} refused")
    assert min(counts.values()) > 1000
