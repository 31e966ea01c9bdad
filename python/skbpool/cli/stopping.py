"""Work that Ctrl-C and SIGTERM end in order."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from skbpool.exit_codes import ExitCode

Result = TypeVar("Result")


def run_stoppable(work: Callable[[], Result], stop: Callable[[], None]) -> Result:
    """Return what `work` returns; the first SIGINT or SIGTERM calls `stop`, so that it ends early.

    The second one ends the process at once. `work` runs in a thread of its own: Python handles
    signals in the main thread, which must not be busy in native code for that.
    """
    signals = 0
    results: list[Result] = []
    failures: list[BaseException] = []
    done = threading.Event()

    def handle(_signal: int, _frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        if signals > 1:
            os._exit(ExitCode.FORCED)
        stop()

    def worker() -> None:
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)
        finally:
            done.set()

    # A daemon, so that nothing it hangs in can keep the process.
    thread = threading.Thread(target=worker, name="skbpool-work", daemon=True)
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        thread.start()
        done.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if failures:
        raise failures[0]
    return results[0]
