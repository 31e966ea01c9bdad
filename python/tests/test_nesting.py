"""Views of views of views: letting the outermost go releases all of them, in bounded stack."""

import subprocess
import sys

import pytest
from skbpool import Skb, adopt

DEEP = """
import sys
import skbpool

DEPTH = 200_000
called = 0

def free(memory):
    global called
    called += 1

outermost = memoryview(b"x")
for _ in range(DEPTH):
    buffer = skbpool.adopt(outermost, free=free)
    outermost = {nest}
del buffer
assert called == 0
outermost = None
assert called == DEPTH, called
brought = skbpool.brought()
assert brought.returned == DEPTH, brought
"""

NESTS = {
    "buffers": "buffer",
    "memoryviews of buffers": "memoryview(buffer)",
    "memoryviews of views": "memoryview(buffer.into_skb())",
}


@pytest.mark.parametrize("nest", NESTS)
def test_any_depth_is_released(nest: str) -> None:
    program = DEEP.format(nest=NESTS[nest])
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_released_from_within_a_free_function_it_is_gone_when_release_returns() -> None:
    """A few levels are let go of at once, each before the one around it."""
    order: list[str] = []
    views: list[Skb] = []

    def nested(level: int) -> Skb:
        def free(memory: object) -> None:
            order.append(f"{level} begins")
            if level:
                views[level - 1].release()
            order.append(f"{level} ends")

        return adopt(b"x", free=free).into_skb()

    views += [nested(level) for level in range(3)]
    views[2].release()
    begins = [f"{level} begins" for level in (2, 1, 0)]
    assert order == [*begins, *(f"{level} ends" for level in range(3))]


def test_every_free_function_is_called_once_with_its_memory() -> None:
    called: list[int] = []
    views: list[Skb] = []

    def free(memory: bytes) -> None:
        level = int(memory)
        called.append(level)
        for view in views[level + 1 : level + 3]:
            view.release()

    views += [adopt(b"%d" % level, free=free).into_skb() for level in range(500)]
    views[0].release()
    assert sorted(called) == list(range(500))
