"""The interpreter exits while Python code runs below a call into the package, one of each kind.

Everything that PyO3 made is entered in one way, so a kind stands for all its functions: methods
with and without arguments, functions, properties, constructors, lengths, buffer exports.
"""

import subprocess
import sys

import pytest

# `stay` is called from within `call`, on a thread that never comes back from there.
PROGRAM = """
import _thread, gc, time
from collections.abc import Sequence

import skbpool
from skbpool import _native as native

inside = _thread.allocate_lock()
inside.acquire()

main = _thread.get_ident()

def stay(*_, **__):
    if _thread.get_ident() == main:
        return  # of no call: it is the exit that collects garbage
    inside.release()
    while True:
        time.sleep(0.001)

class Asked(Sequence):
    __index__ = __float__ = __fspath__ = __getitem__ = __len__ = stay

pool = skbpool.Pool(256)
hub = native.Hub(pool)
released = pool.alloc()
released.release()

def card():
    return native.EmulatedNic(rate="1Gbps", frames=1)

def call():
    %s

_thread.start_new_thread(call, ())
if not inside.acquire(timeout=20):
    raise SystemExit("nothing was called")
gc.disable()
"""

ARGUMENTS = {
    "a function's": "skbpool.init_zero_copy_buffer(bytearray(4096), order=Asked())",
    "a pool's": "skbpool.Pool(Asked())",
    "a watermark": "skbpool.Pool(16, watermarks=(1, Asked()))",
    "a quota in bytes": "hub.attach_consumer('a', quota=1, quota_bytes=Asked())",
    "a wait in seconds": "hub.attach_driver('a', may_block=Asked())",
    "a timeout": "pool.alloc(Asked())",
    "views": "pool.alloc().arm(Asked())",
    "a card's": "native.EmulatedNic(rate='1Gbps', order=Asked())",
    "a request's size": "card().next_request(Asked(), 0, 1)",
    "a request's number": "card().next_request(1000, 0, Asked())",
    "a message's size": "native.FrameEncoder(Asked())",
    "a frame's time": "native.FrameEncoder(1000).push(b'frame', Asked())",
    "a quota": "native.Subscription(hub, 'a', quota=Asked(), max_message_bytes=1000)",
    "a token": "native.Bell().ring(Asked())",
    "a stream": "native.StampConsumer(hub, 'a', stream=Asked(), quota=1)",
    "credit": "native.IngestPort(hub, 'a', credit_bytes=Asked())",
    "a path": "native.CaptureWriter(Asked())",
    "a poll's size": "hub.attach_consumer('a', quota=1).poll(Asked())",
    "a sequence": "native.LeasePort(hub, 'a').deliver(Asked())",
}

# What stands in for a class is called with the figures, or the message.
ANSWERS = {
    "a method with arguments": "skbpool.errors.BufferReleased = stay; released.arm(1)",
    "a method without arguments": "skbpool.errors.BufferReleased = stay; released.fill()",
    "a function with arguments": (
        "skbpool.errors.MalformedBatch = stay; native.decode_subscribe(b'x')"
    ),
    "a function without arguments": "skbpool.stats.BroughtStats = stay; skbpool.brought()",
    "a property": "skbpool.errors.BufferReleased = stay; released.order",
    "a constructor": "skbpool.errors.BadPool = stay; skbpool.Pool(0)",
    "a length": "skbpool.errors.BufferReleased = stay; len(released)",
    "a length by its name": "skbpool.errors.BufferReleased = stay; released.__len__()",
    "a buffer's export": "skbpool.errors.BufferReleased = stay; memoryview(released)",
}

# Until Python 3.12 the collector runs whenever an object is made, and calls `stay`.
GARBAGE = """
    class Garbage:
        __del__ = stay
    garbage = Garbage()
    garbage.itself = garbage
    del garbage
    many = [[] for _ in range(50)]
    gc.set_threshold(1)
    gc.enable()
    %s"""

COLLECTED = {
    "a list": "pool.reserve(4, 'somebody')",
    "figures": "hub.stats()",
    "an argument of a wrong type": "pool.reserve('1', 'somebody')",
    "an argument too many": "pool.reserve(1, 'somebody', 3)",
    "a value that is refused": "pool.alloc(-1.0)",
    "an export that is refused": "pool.alloc().fill().write(None)",
}


def exits_in_order(call: str) -> None:
    command = [sys.executable, "-c", PROGRAM % call]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ARGUMENTS)
def test_while_an_argument_is_asked(name: str) -> None:
    exits_in_order(ARGUMENTS[name])


@pytest.mark.parametrize("name", ANSWERS)
def test_while_an_answer_is_made(name: str) -> None:
    exits_in_order(ANSWERS[name])


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="finalizers run between instructions")
@pytest.mark.parametrize("name", COLLECTED)
def test_while_garbage_is_finalized(name: str) -> None:
    exits_in_order(GARBAGE % COLLECTED[name])
