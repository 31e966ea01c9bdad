"""Log lines on their way to standard error: who logs waits for no reader.

```text
 who logs ─► rendered ─► queue, so many lines ─► a thread writes ─► standard error
                           │ full: counted                     │    (who reads it may never do so)
                           └── one line tells how many ◄───────┘ once there is room
```
"""

import logging
import os
import queue
import select
from logging.handlers import QueueHandler, QueueListener

import structlog

log = structlog.get_logger()


class LogQueue(QueueHandler):
    """Renders lines and has a thread write them to `file`; `most` of them wait for it at most."""

    def __init__(self, most: int, file: int):
        self._lines: queue.Queue[logging.LogRecord] = queue.Queue(most)
        super().__init__(self._lines)
        self._no_room = 0
        self._told = 0
        self._few = most // 2
        self._writer = _Writer(self, self._lines, file)

    @property
    def lost(self) -> int:
        """Lines that found no room, or could not be written."""
        return self._no_room + self._writer.failed

    def start(self) -> None:
        """Begin to write."""
        self._writer.start()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Have `record` written, or count it. Called with the handler's lock."""
        try:
            self._lines.put_nowait(record)
        except queue.Full:
            self._no_room += 1

    def tell_lost(self) -> None:
        """Log how many lines found no room since it was told last, if half of it is free."""
        lines = self._no_room - self._told
        if lines and self._lines.qsize() <= self._few:
            self._told += lines
            # As an error: that lets every level through.
            log.error("lines of this log are lost, since standard error was not read", lines=lines)

    def flush_within(self, seconds: float) -> bool:
        """Wait until everything is written, `seconds` at most; return whether it is.

        The thread is left to itself: one that is stuck in a write ends with the process.
        """
        with self._lines.all_tasks_done:
            return self._lines.all_tasks_done.wait_for(
                lambda: not self._lines.unfinished_tasks, seconds
            )


class _Writer(QueueListener):
    """Writes past `sys.stderr`, whose lock the interpreter would wait for when it ends."""

    def __init__(self, owner: LogQueue, lines: queue.Queue[logging.LogRecord], file: int):
        super().__init__(lines)
        self._owner = owner
        self._file = file
        self.failed = 0

    def handle(self, record: logging.LogRecord) -> None:
        """Write a line, however long that takes."""
        line = f"{record.getMessage()}\n".encode(errors="backslashreplace")
        try:
            while line:
                line = line[self._write(line) :]
        except OSError:  # the reader is gone, the disk is full, …
            self.failed += 1
        self._owner.tell_lost()

    def _write(self, line: bytes) -> int:
        try:
            return os.write(self._file, line)
        except BlockingIOError:  # who shares the file made it so
            select.select([], [self._file], [])
            return 0
