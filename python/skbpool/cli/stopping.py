"""Work that Ctrl-C and SIGTERM end in order."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from skbpool.exit_codes import ExitCode

Result = TypeVar("Result")


DONE = b"\0"
"""What is read when the work is done; the numbers of signals are greater."""


def run_apart(work: Callable[[], Result]) -> Result:
    """Return what `work` returns, which runs in a thread of its own. Call it from the main thread.

    Python handles signals in the main thread, between two steps of it, so that must not be busy in
    native code. Nor may it wait for a lock: a signal that comes right before it blocks is not
    noticed. So it waits for bytes, of which the interpreter writes one for every signal.
    """
    results: list[Result] = []
    failures: list[BaseException] = []
    reader, writer = socket.socketpair()
    writer.setblocking(False)

    def worker() -> None:
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)
        finally:
            with contextlib.suppress(OSError):  # a handler ended the wait
                writer.send(DONE)

    # A daemon, so that nothing it hangs in can keep the process.
    thread = threading.Thread(target=worker, name="skbpool-work", daemon=True)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        thread.start()
        while reader.recv(1) != DONE:
            pass  # the handler runs now
    finally:
        signal.set_wakeup_fd(before)
        reader.close()
        writer.close()
    if failures:
        raise failures[0]
    return results[0]


def run_stoppable(work: Callable[[], Result], stop: Callable[[], None]) -> Result:
    """Return what `work` returns; the first SIGINT or SIGTERM calls `stop`, so that it ends early.

    The second one ends the process at once. `work` runs in a thread of its own.
    """
    signals = 0

    def handle(_signal: int, _frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            os._exit(ExitCode.FORCED)
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return run_apart(work)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
