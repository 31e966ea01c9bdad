"""Streams that are open, by the context of their call."""

import threading

import grpc

from skbpool_service.refusal import Refusal
from skbpool_service.rpc.call import Stream


class OpenStreams:
    """Finds the stream of a call, for who has only its context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._streams: dict[grpc.ServicerContext, Stream] = {}

    def add(self, stream: Stream) -> None:
        """Know `stream` until its call is over. To be called by its handler."""
        stream.on_end(lambda: self._discard(stream))
        with self._lock:
            self._streams[stream.context] = stream

    def _discard(self, stream: Stream) -> None:
        with self._lock:
            del self._streams[stream.context]

    def end(self, context: grpc.ServicerContext, refusal: Refusal) -> None:
        """End a call with `refusal`; one that is about to begin is cancelled."""
        with self._lock:
            stream = self._streams.get(context)
        if stream is None:
            context.cancel()
        else:
            stream.end(refusal)
