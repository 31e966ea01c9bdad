"""Numbers on the command line of a benchmark, checked before anything is built or measured."""

import argparse
import math

MOST_ROUNDS = 1000
MOST_SECONDS = 86_400.0


def rounds(text: str) -> int:
    """Return a number of rounds."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST_ROUNDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rounds: 1 to {MOST_ROUNDS}")
    return int(text)


def seconds(text: str) -> float:
    """Return a length of time."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no length of time: more than 0 to {MOST_SECONDS:g} seconds"
        )
    return number
