"""The daemon: engine, listeners, metrics, and how they start and stop."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import structlog
from skbpool.addresses import TcpAddress, default_listen_address, parse_address

from skbpool_service import __version__
from skbpool_service.config import ListenerSettings, Settings
from skbpool_service.config.listeners import ROLES
from skbpool_service.connections import Stalled, close_all
from skbpool_service.dispatch import Dispatcher
from skbpool_service.engine import Engine
from skbpool_service.first_pool import FirstPool
from skbpool_service.listen import Listener, bind
from skbpool_service.metrics.collector import EngineCollector
from skbpool_service.metrics.endpoint import Endpoint, new_registry
from skbpool_service.metrics.rpc import RpcMetrics
from skbpool_service.rpc.acknowledge import Later
from skbpool_service.rpc.call import Gate
from skbpool_service.rpc.door import Door, Rules
from skbpool_service.rpc.driver import DriverService
from skbpool_service.rpc.frame import FrameService
from skbpool_service.rpc.health import HealthService
from skbpool_service.rpc.holder import HolderService
from skbpool_service.rpc.laggards import Laggards
from skbpool_service.rpc.lease import LeaseService
from skbpool_service.rpc.pool import PoolService
from skbpool_service.rpc.reflection import ReflectionService
from skbpool_service.rpc.server import ServerService
from skbpool_service.rpc.stamp import StampService
from skbpool_service.rpc.table import MethodTable
from skbpool_service.rpc.watch import WatchService
from skbpool_service.rpc.workers import Workers
from skbpool_service.sessions import Sessions
from skbpool_service.watch.observer import Observer

log = structlog.get_logger()

REFUSERS = 4
"""Threads of the stream pool beyond what all limits together admit: they refuse what is over."""

PATIENCE = 0.5
"""Seconds that a stopping daemon waits for Ingest streams to finish the batch they are at, and for
health watchers to be told."""

CLOSING = 1.0
"""Seconds of the shutdown deadline that are kept back for closing what did not end by itself."""


class Service(Protocol):
    """A gRPC service."""

    def register(self, table: MethodTable) -> None:
        """Add its methods to the table."""


class Daemon:
    """One engine and everything that serves it. Used once: start, then stop.

    Raises at the start, and leaves nothing behind:
        ListenError: An address cannot be used.
        AddressError: There is no default address.
        SkbpoolError: The configured pool cannot be made.
    """

    def __init__(self, settings: Settings, first_pool: FirstPool | None = None):
        self.settings = settings
        self._first_pool = first_pool or FirstPool(settings.pool)
        self.listeners: list[Listener] = []
        self.doors: list[Door] = []
        """What clients may do at each of them."""
        self.metrics: Endpoint | None = None
        # What `stop` undoes, the last first.
        self._undo: list[Callable[[], object]] = []

    def __enter__(self) -> "Daemon":
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def addresses(self) -> list[str]:
        """Where it listens, chosen ports included."""
        return [str(listener.address) for listener in self.listeners]

    @property
    def methods(self) -> list[str]:
        """Every method it answers, as `package.Service/Method`."""
        return self._table.methods

    @property
    def metrics_url(self) -> str | None:
        """Where its metrics are; None if they are switched off."""
        return self.metrics.url if self.metrics else None

    def start(self) -> None:
        """Bind everything, make the pool, and serve."""
        try:
            self._start()
        except BaseException:
            self._undo_all()
            raise
        self._health.set(serving=True)
        log.info(
            "serving",
            version=__version__,
            listen=self.addresses,
            metrics=self.metrics_url,
            pool=self.settings.pool.name,
            buffers=self.settings.pool.buffers,
            order=self.settings.pool.order,
        )

    def _start(self) -> None:
        settings, limits = self.settings, self.settings.limits
        registry = new_registry()
        recorder = RpcMetrics(registry)
        gates = {
            "max_streams": Gate("max_streams", limits.max_streams, "streams that read"),
            "max_ingest_streams": Gate(
                "max_ingest_streams", limits.max_ingest_streams, "Ingest streams"
            ),
            "max_copy_out_streams": Gate(
                "max_copy_out_streams", limits.max_copy_out_streams, "subscribers that copy out"
            ),
            "max_inline_readers": Gate(
                "max_inline_readers", limits.max_inline_readers, "inline stamp readers"
            ),
            "max_sessions": Gate("max_sessions", limits.max_sessions, "sessions"),
            "max_tool_streams": Gate("max_tool_streams", limits.max_tool_streams, "tools' streams"),
            "max_watchers": Gate("max_watchers", limits.max_watchers, "watchers of pools"),
        }
        streams = limits.max_streams + limits.max_ingest_streams
        streams += limits.max_sessions + limits.max_tool_streams
        streams += limits.max_watchers
        # The reaper first, hence shut down last: it cleans up after the others' calls.
        reaper = self._threads(1, "reaper")
        # An Ingest stream holds a thread, and needs another one while it is told something later.
        stream_threads = self._threads(streams + limits.max_ingest_streams + REFUSERS, "stream")
        workers = Workers(limits.max_unary_workers, "unary")
        self._undo.append(workers.shutdown)
        laggards = Laggards(settings.request_timeout, workers)
        stream_laggards = Laggards(settings.request_timeout)
        table = MethodTable(
            recorder, laggards, stream_laggards, stream_threads, reaper, limits.max_message_bytes
        )
        self._table = table
        # Addresses come first: they are wrong more often than the pool, which is made meanwhile.
        if settings.metrics:
            address = parse_address(settings.metrics)
            assert isinstance(address, TcpAddress)  # the configuration was checked
            self.metrics = Endpoint(address, registry)
            self._undo.append(self.metrics.close)
        for wanted in settings.listeners or [_default_listener()]:
            door = Door(table, str(wanted.where), Rules.of(wanted, settings.roles))
            listener = bind(wanted, settings, [door], workers)
            self.doors.append(door)
            self.listeners.append(listener)
            self._undo.append(listener.remove_socket)
            self._undo.append(partial(_end, listener))
        engine = Engine(settings, self._first_pool.take())
        self._undo.append(engine.close)
        dispatcher = Dispatcher(stream_threads)
        later = Later(stream_threads)
        self._sessions = sessions = Sessions(limits.max_handles_per_session)
        self._engine = engine
        readers, drivers = gates["max_streams"], gates["max_ingest_streams"]
        copying = gates["max_copy_out_streams"]
        self._frames = FrameService(engine, dispatcher, later, drivers, readers, copying)
        self._leases = LeaseService(engine, sessions, gates["max_sessions"])
        self._stamps = StampService(engine, readers, gates["max_inline_readers"])
        observer = Observer(engine, sessions)
        self._watches = WatchService(
            observer, limits.max_watcher_events, stream_threads, gates["max_watchers"]
        )
        services: list[Service] = [
            ServerService(engine, sessions),
            PoolService(engine.pools, observer),
            HolderService(sessions),
            self._leases,
            self._frames,
            self._stamps,
            self._watches,
            DriverService(engine),
        ]
        for service in services:
            service.register(table)
        names = sorted({method.partition("/")[0] for method in table.methods})
        tools = gates["max_tool_streams"]
        self._health = HealthService(names, stream_threads, tools)
        self._health.register(table)
        ReflectionService([*names, "grpc.health.v1.Health"], tools).register(table)
        recorder.expect(table.methods)
        registry.register(EngineCollector(engine, sessions, gates))
        self._gates = gates
        patience = settings.keepalive_time + settings.keepalive_timeout
        stalled = Stalled([listener.bound for listener in self.listeners], patience)
        for thread in (dispatcher, later, laggards, stream_laggards, stalled, observer):
            thread.start()
            self._undo.append(thread.stop)
        for listener in self.listeners:
            listener.server.start()

    def take_over_settings(self) -> None:
        """Have what changed in the settings hold for whatever begins from now on."""
        self._sessions.max_handles = self.settings.limits.max_handles_per_session
        # Without any, there is the one at the default place, where nothing changes.
        wanted = self.settings.listeners
        for settings, listener, door in zip(
            wanted, self.listeners, self.doors, strict=bool(wanted)
        ):
            door.renew(Rules.of(settings, self.settings.roles))
            if listener.certificates is not None and settings.tls is not None:
                listener.certificates.move(settings.tls.files)
                listener.certificates.refresh()

    def stop(self) -> None:
        """Refuse what is new, let what is open end until the deadline, then end it, and leave.

        Frames that were accepted are delivered to the subscribers that read, or counted as dropped.
        A second call finds nothing to do.
        """
        if not self._undo:
            return
        seconds = self.settings.shutdown_deadline
        seconds -= min(CLOSING, seconds / 2)
        deadline = time.monotonic() + seconds
        log.info("stopping", deadline_seconds=self.settings.shutdown_deadline)
        self._health.set(serving=False)
        for listener in self.listeners:
            # Returns at once; what is open after the deadline is cancelled.
            listener.server.stop(seconds)
        # Beside each other, since a client that reads nothing holds up whoever tells it something.
        tellers = [
            threading.Thread(target=tell, daemon=True)
            for tell in (self._stop_frames, self._leases.stop, self._stamps.stop)
        ]
        for teller in tellers:
            teller.start()
        for teller in tellers:
            teller.join(max(deadline - time.monotonic(), 0))
        self._await_streams(deadline)
        self._health.stop()
        self._watches.stop()
        self._gates["max_watchers"].wait_empty(PATIENCE)
        self._gates["max_tool_streams"].wait_empty(PATIENCE)
        self._undo_all()
        log.info("stopped")

    def _stop_frames(self) -> None:
        self._engine.drivers.ask_to_stop()
        self._frames.stop_ingest(PATIENCE)
        self._engine.drivers.stop(PATIENCE)
        # Nothing comes in any more; subscribers get what is queued for them, then the end.
        self._engine.close()

    def _await_streams(self, deadline: float) -> None:
        """Wait until only streams of tools are open, or the deadline has passed."""
        waiting = ("max_ingest_streams", "max_streams", "max_sessions")
        for gate in map(self._gates.__getitem__, waiting):
            if not gate.wait_empty(max(deadline - time.monotonic(), 0)):
                log.warning("streams did not end in time and are cancelled", open=gate.inside)

    def _threads(self, most: int, name: str) -> ThreadPoolExecutor:
        executor = ThreadPoolExecutor(most, thread_name_prefix=name)
        self._undo.append(executor.shutdown)
        return executor

    def _undo_all(self) -> None:
        while self._undo:
            undo = self._undo.pop()
            try:
                undo()
            except Exception:
                log.exception("stopping failed in part")


def _default_listener() -> ListenerSettings:
    """Choose where a daemon listens that was told nothing; raise AddressError if it cannot."""
    return ListenerSettings(address=str(default_listen_address()), roles=list(ROLES))


def _end(listener: Listener) -> None:
    """End every call of a server, and wait until it is gone."""
    gone = listener.server.stop(0)  # None would wait here
    # gRPC does not end a call while a write waits for a client that has stopped reading.
    if not gone.wait(CLOSING / 2):
        closed = close_all(listener.bound)
        log.warning("clients that read nothing are cut off", connections=closed)
        if not gone.wait(CLOSING):
            log.warning("gRPC does not end, as where no thread can be had, and is left behind")
