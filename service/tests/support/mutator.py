"""Texts changed a little, the same way in every run."""

import random
from collections.abc import Sequence

ODD = [*"\0\r\n\t\x7f\u2028é\"'\\#=.", "\U0001f980", ""]
"""Characters that mean something, or nothing that anybody expects."""


def mutated(dice: random.Random, text: str, words: Sequence[str]) -> str:
    """Return `text` with one to four things wrong; `words` are what is written in its place."""
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(text) + 1)
        end = min(len(text), at + dice.randrange(1, 12))
        match dice.randrange(6):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + dice.choice(ODD) + text[at:]
            case 2:
                text = text[:at] + dice.choice(words) + text[at:]
            case 3:
                text = text[:at] + dice.choice(words) + text[end:]
            case 4:
                text = text[:at] + text[at:end] * dice.choice((2, 3, 50)) + text[end:]
            case _:
                pieces = text.split("\n")
                dice.shuffle(pieces)
                text = "\n".join(pieces)
    return text


def mutate(dice: random.Random, message: bytes) -> bytes:
    """Return `message` with a few things wrong."""
    data = bytearray(message)
    for _ in range(dice.randint(1, 4)):
        kind = dice.randrange(4)
        at = dice.randrange(len(data) or 1)
        if kind == 0 and data:
            data[at] ^= 1 << dice.randrange(8)
        elif kind == 1 and data:
            data[at] = dice.choice((0, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del data[at : at + dice.randrange(1, 40)]
        else:
            data[at:at] = dice.randbytes(dice.randrange(1, 12))
    return bytes(data)
