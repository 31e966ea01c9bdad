"""Telling streams that the daemon stops."""

import threading

from skbpool_service.refusal import stopping
from skbpool_service.rpc.call import Stream


class Farewell:
    """Streams that are told at once when the daemon stops, also those that come later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopping = False
        self._streams: set[Stream] = set()

    def add(self, stream: Stream) -> None:
        """Have `stream` told, until it ends; raise Refusal if the daemon is stopping.

        To be called by its handler, before it waits for a request.
        """
        stream.on_end(lambda: self.discard(stream))
        with self._lock:
            if self._stopping:
                raise stopping()
            self._streams.add(stream)

    def discard(self, stream: Stream) -> None:
        """Somebody else tells `stream` from now on."""
        with self._lock:
            self._streams.discard(stream)

    def stop(self) -> None:
        """Tell every stream the end."""
        with self._lock:
            self._stopping = True
            streams = list(self._streams)
        for stream in streams:
            stream.end(stopping())
