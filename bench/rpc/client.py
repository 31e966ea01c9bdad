"""The client of the benchmark: one process, the same code for both servers.

    python bench/rpc/client.py

Reads a job a line as JSON from its standard input, `{"job": NAME, ...}`, and answers each with a
line of JSON, `{"error": TEXT}` if it failed. Ends when its input does.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What stands beside this folder, and nothing in it: some modules are named as libraries are.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rpc.bulk import echo, ingest, latency  # noqa: E402
from rpc.unary import unary  # noqa: E402

JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    "ingest": ingest,
    "echo": echo,
    "latency": latency,
    "unary": unary,
}


def processor_seconds() -> float:
    """Return the processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Do jobs."""
    for line in sys.stdin:
        asked = json.loads(line)
        before, begun = processor_seconds(), time.monotonic()
        try:
            answer = JOBS[asked.pop("job")](**asked)
            answer["client_cpu"] = processor_seconds() - before
            answer["job_seconds"] = time.monotonic() - begun
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
