"""The interpreter exits with views outstanding: cleanly, and with no free function called twice."""

import subprocess
import sys

import pytest

PRELUDE = """
import atexit, mmap, sys, threading
import skbpool
from skbpool import Pool, SkbBatch, adopt, brought, init_zero_copy_buffer

def free(memory):
    print("freed", len(memory), flush=True)

pool = Pool(8)
"""

CASES = {
    "views of a pool": ("skb = pool.alloc().into_skb(); view = memoryview(skb); del pool", []),
    "a closed pool": ("skb = pool.alloc().into_skb(); pool.close()", []),
    "a batch": ("batch = SkbBatch([adopt(b'ab', free=free).into_skb()])", []),
    "adopted memory": ("skb = adopt(b'abc', free=free).into_skb(); view = memoryview(skb)", []),
    "a header in memory": (
        "skb = init_zero_copy_buffer(mmap.mmap(-1, 4096), free=free).into_skb()",
        [],
    ),
    "released before the end": (
        "skb = adopt(b'abc', free=free).into_skb(); skb.release()",
        ["freed 3"],
    ),
    "released by atexit": (
        "skb = adopt(b'abc', free=free).into_skb(); atexit.register(skb.release)",
        ["freed 3"],
    ),
    "a cycle": (
        "class Node: pass\n"
        "node = Node(); node.self = node; node.skb = adopt(b'abc', free=free).into_skb()",
        [],
    ),
    "a free function that keeps its view": (
        "keep = []\nkeep.append(adopt(b'abc', free=lambda memory: keep.clear()).into_skb())",
        [],
    ),
    "a thread that waits": (
        "buffers = pool.alloc_bulk(8)\n"
        "threading.Thread(target=lambda: pool.alloc(timeout=None), daemon=True).start()",
        [],
    ),
    "an exception": ("skb = adopt(b'abc', free=free).into_skb(); raise SystemExit(0)", []),
    "a forked child": (
        "import os, warnings\n"
        "warnings.simplefilter('ignore')  # threads and fork: the reaper is restarted\n"
        "skb = adopt(b'abc', free=free).into_skb()\n"
        "child = os.fork()\n"
        "if child:\n"
        "    print('child ended with', os.waitpid(child, 0)[1])\n"
        "else:\n"
        "    adopt(b'child', free=free).release()",
        ["freed 5", "child ended with 0"],
    ),
    "released after atexit": (
        # Registered before skbpool's own, so called after it.
        "late.append(adopt(b'abc', free=free).into_skb())",
        ["released late, leaked 1"],
    ),
}

LATE = """
import atexit
late = []

def release_late():
    for skb in late:
        skb.release()
    if late:
        print("released late, leaked", brought().leaked, flush=True)

atexit.register(release_late)
"""


@pytest.mark.parametrize("case", CASES)
def test_exit_is_clean(case: str) -> None:
    code, printed = CASES[case]
    program = LATE + PRELUDE + code
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == printed
