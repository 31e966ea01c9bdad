"""The signals that the daemon answers."""

import os
import queue
import signal
import socket
import threading

from skbpool.exit_codes import ExitCode


class Signals:
    """SIGTERM and SIGINT, the second of which ends the process at once, and SIGHUP.

    A handler in Python runs in the main thread between any two steps, where it may find every lock
    taken by the very thread it interrupts, and it does not run while that thread is blocked in C.
    So the interpreter only writes a byte for each signal, and a thread reads them.
    """

    def __init__(self) -> None:
        self._came: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        threading.Thread(target=self._read, name="signals", daemon=True).start()

    def next(self) -> int:
        """Wait for a signal and return its number; of SIGHUPs that wait there is one."""
        return self._came.get()

    def _read(self) -> None:
        stopping = False
        while True:
            for number in self._reader.recv(64):
                if number == signal.SIGHUP:
                    if self._came.empty():
                        self._came.put(number)
                    continue
                if stopping:
                    os._exit(ExitCode.FORCED)
                stopping = True
                self._came.put(number)
