"""The HTTP endpoint /metrics."""

import threading
from collections.abc import Callable
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from skbpool.addresses import TcpAddress

from skbpool_service.listen import listen_error


def new_registry() -> CollectorRegistry:
    """Return a registry with the metrics of the process."""
    # When a series began is not worth a series of its own.
    disable: Callable[[], None] = disable_created_metrics
    disable()
    registry = CollectorRegistry(auto_describe=False)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


class Endpoint:
    """Serves a registry over HTTP, a thread a scrape."""

    def __init__(self, address: TcpAddress, registry: CollectorRegistry):
        """Bind and serve; raise ListenError if the address cannot be used."""
        self._server: WSGIServer
        self._thread: threading.Thread
        try:
            self._server, self._thread = start_http_server(address.port, address.host, registry)
        except OSError as error:
            raise listen_error(address, error) from None
        self.address = TcpAddress(address.host, self._server.server_port)

    @property
    def url(self) -> str:
        """Where the metrics are."""
        return f"http://{self.address}/metrics"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
