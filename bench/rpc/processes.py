"""What processes use, from /proc."""

import os
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """Return the processor time of all threads of a process, those that ended included."""
    return seconds_of(Path(f"/proc/{pid}/stat").read_text())


def seconds_of(stat: str) -> float:
    """Return user and system time from the text of /proc/PID/stat (proc_pid_stat(5))."""
    # The name stands in parentheses and may hold anything; utime and stime are fields 14 and 15.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def anonymous_bytes(pid: int) -> int:
    """Return the memory that a process has of its own, without that of its pools."""
    status = Path(f"/proc/{pid}/status").read_text()
    return anonymous_of(status)


def anonymous_of(status: str) -> int:
    """Return anonymous resident memory in bytes from the text of /proc/PID/status.

    A pool is shared memory, all of it taken at the start, and is not counted here.
    """
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == "RssAnon":
            return int(value.split()[0]) * 1024
    raise ValueError("no RssAnon in the status of a process")
