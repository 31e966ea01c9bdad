"""A sender in a process that was forked from its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from skbpool_processes import Daemon

pytestmark = pytest.mark.e2e

# A program of its own: what gRPC does at a fork shall not concern other tests.
PROGRAM = """
import os, signal, sys, warnings
from skbpool import ForkedPool
from skbpool.client import Client

warnings.simplefilter("ignore")
with Client(sys.argv[1]) as client:
    sender = client.ingest()
    sender.send(b"before")
    assert sender.flush().acknowledged == 1
    sender._changed.acquire()  # as if another thread had it at the fork
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        refused = 0
        calls = [lambda: sender.send(b"lost"), sender.flush, sender.close, sender.abort]
        for call in [*calls, lambda: sender.result]:
            try:
                call()
            except ForkedPool as error:
                refused += "make a Client" in str(error)
        os._exit(refused)
    sender._changed.release()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    sender.send(b"after")
    print(sender.close().acknowledged)
"""


def test_a_forked_child_is_told_at_once_and_the_parent_goes_on(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, daemon.address],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.stdout.split(), ended.returncode) == (["5", "2"], 0), ended.stderr
