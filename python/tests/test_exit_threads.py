"""The interpreter exits while daemon threads are in the middle of calls into the package."""

import subprocess
import sys

import pytest

RUNS = 40

# When the main thread ends, the others are in the middle of whatever they do most of the time.
THREADS = """
import threading
import skbpool

busy = threading.Semaphore(0)
pool = skbpool.Pool(1)
buffer = pool.alloc()

def work(*_):
    for _ in range(200):
        pass
    return 0

def loop():
    for _ in range(100):
        turn()
    busy.release()
    while True:
        try:
            turn()
        except RuntimeError:  # nothing is adopted once the interpreter exits
            pass

%s

for _ in range(4):
    threading.Thread(target=loop, daemon=True).start()
for _ in range(4):
    busy.acquire()
"""

TURNS = {
    "free functions of buffers": """
def turn():
    skbpool.adopt(b"x", free=work)
""",
    "free functions of views": """
def turn():
    memoryview(skbpool.adopt(b"x", free=work).into_skb())
""",
    "figures and exceptions": """
def turn():
    pool.stats()
    try:
        pool.alloc()
    except skbpool.PoolExhausted:
        pass
""",
    "arguments": """
class Number:
    __index__ = work

    def __float__(self):
        return float(work())

def turn():
    pool.reserve(Number(), "nobody")
    try:
        pool.alloc(Number())
    except skbpool.PoolExhausted:
        pass
""",
    "finalizers of garbage": """
import gc

gc.set_threshold(1)  # the collector runs whenever an object is made

class Garbage:
    def __init__(self):
        self.itself = self

    __del__ = work

def turn():
    Garbage()
    skbpool.adopt(b"x")
    pool.stats()
""",
}


@pytest.mark.parametrize("turn", TURNS)
def test_the_process_ends_as_if_it_had_no_threads(turn: str) -> None:
    program = THREADS % TURNS[turn]
    codes = []
    for _ in range(RUNS):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, check=False, timeout=30)
        codes.append(done.returncode)
    assert codes == [0] * RUNS
