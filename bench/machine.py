"""What figures were measured on, and what is free to measure with."""

import os
import platform
from pathlib import Path
from typing import TypedDict

HUGE_PAGE_KB = 2048


class Machine(TypedDict):
    """Processor, kernel and load; nothing that names the machine."""

    cpu: str
    cores: int | None
    kernel: str
    load_average: list[float]


def describe() -> Machine:
    """Return what this machine is, and how busy it is now."""
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_average": load(),
    }


def load() -> list[float]:
    """Return the load averages of the last 1, 5 and 15 minutes."""
    return [round(average, 2) for average in os.getloadavg()]


def cpu_model(cpuinfo: str) -> str:
    """Return the model's name from the text of /proc/cpuinfo."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def free_huge_mib(meminfo: str) -> int:
    """Return how many MiB of huge pages of 2 MiB are free, from the text of /proc/meminfo."""
    fields = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    size_kb = int(fields.get("Hugepagesize", "0 kB").split()[0])
    free = int(fields.get("HugePages_Free", "0").split()[0])
    return free * size_kb // 1024 if size_kb == HUGE_PAGE_KB else 0


def has_huge_pages(needed_mib: int) -> bool:
    """Return whether there are as many huge pages for both sides at once."""
    return free_huge_mib(Path("/proc/meminfo").read_text()) >= needed_mib
