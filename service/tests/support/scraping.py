"""What a daemon of this process exposes."""

import urllib.request
from typing import Any

from daemon_support import Stubs
from prometheus_client.parser import text_string_to_metric_families as parse_text
from skbpool.v1 import frame_pb2
from skbpool_service.daemon import Daemon


def fetch(daemon: Daemon, accept: str = "text/plain") -> str:
    """Return the page in one of its formats."""
    assert daemon.metrics_url is not None
    with urllib.request.urlopen(
        urllib.request.Request(daemon.metrics_url, headers={"Accept": accept})
    ) as response:
        return response.read().decode()


def scrape(daemon: Daemon) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(fetch(daemon))
        for sample in family.samples
    }


def value(daemon: Daemon, name: str, **labels: str) -> float:
    """Return one sample."""
    return scrape(daemon)[name, frozenset(labels.items())]


def subscribed(stubs: Stubs, **fields: Any) -> Any:
    """Subscribe, and return the stream once it is served."""
    stream = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(**fields))
    stream.initial_metadata()
    return stream
