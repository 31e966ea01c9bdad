"""skbpool.v1.WatchService: telling watchers what happens to pools and holders."""

import threading
from collections.abc import Iterator
from concurrent.futures import Executor

from skbpool.v1 import watch_pb2

from skbpool_service.refusal import stopping
from skbpool_service.rpc.call import Gate, Stream, first, parse
from skbpool_service.rpc.convert import holder_message
from skbpool_service.rpc.farewell import Farewell
from skbpool_service.rpc.table import MethodTable
from skbpool_service.watch.feed import Backlog, Event
from skbpool_service.watch.observer import HolderEvent, Observer

SERVICE = watch_pb2.DESCRIPTOR.services_by_name["WatchService"].full_name
MAX_REQUEST_BYTES = 4096

EVENTS = 8
"""Most events of a response, whatever their names: they fit the smallest message there may be."""


class WatchService:
    """The service over one observer; `max_events` wait for a watcher at most."""

    def __init__(self, observer: Observer, max_events: int, threads: Executor, gate: Gate):
        self._observer = observer
        self._max_events = max_events
        self._threads = threads
        self._gate = gate
        self._lock = threading.Lock()
        self._stopping = False
        self._watchers: set[_Watcher] = set()
        # Those that have not asked yet.
        self._before = Farewell()

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_streaming(SERVICE, "WatchPools", self._gate, self.watch)

    def watch(self, stream: Stream, requests: Iterator[bytes]) -> None:
        """Serve WatchPools: returns, and a thread is taken when there is something to send."""
        self._before.add(stream)
        parse(watch_pb2.WatchPoolsRequest, first(requests, MAX_REQUEST_BYTES))
        watcher = _Watcher(stream, self._max_events, self._threads)
        stream.on_end(lambda: self._forget(watcher))
        self._before.discard(stream)
        with self._lock:
            if self._stopping:
                raise stopping()
            self._watchers.add(watcher)
        watcher.open(self._observer)

    def _forget(self, watcher: "_Watcher") -> None:
        self._observer.leave(watcher.backlog)
        with self._lock:
            self._watchers.discard(watcher)

    def stop(self) -> None:
        """Tell every watcher that the daemon stops; one that reads nothing is not waited for."""
        self._before.stop()
        with self._lock:
            self._stopping = True
            for watcher in self._watchers:
                self._threads.submit(watcher.finish)


class _Watcher:
    """One WatchPools stream."""

    def __init__(self, stream: Stream, max_events: int, threads: Executor):
        self._stream = stream
        self._sending = threading.Lock()
        self.backlog = Backlog(max_events, lambda: threads.submit(self.drain))

    def open(self, observer: Observer) -> None:
        """Have it told what happens from now on."""
        with self._sending:
            observer.join(self.backlog)
            self._stream.open()

    def drain(self) -> None:
        """Send everything there is."""
        try:
            with self._sending:
                while self._stream.is_active:
                    missed, events = self.backlog.take(EVENTS)
                    if not events:
                        return
                    response = watch_pb2.WatchPoolsResponse(
                        missed=missed, events=map(_message, events)
                    )
                    self._stream.send(response.SerializeToString())
        except Exception as error:
            self._stream.end(error)

    def finish(self) -> None:
        """Send the end."""
        with self._sending:
            self._stream.end(stopping())


def _message(event: Event) -> watch_pb2.PoolEvent:
    message = watch_pb2.PoolEvent(
        kind=watch_pb2.PoolEventKind.Value(f"POOL_EVENT_KIND_{event.kind.upper()}"),
        pool=event.pool,
        in_flight=event.in_flight,
    )
    message.time.FromNanoseconds(event.time)
    if isinstance(event, HolderEvent):
        message.holder.CopyFrom(holder_message(event.holder))
    return message
