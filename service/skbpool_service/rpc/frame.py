"""skbpool.v1.FrameService: frames in and out, a whole message at a time.

The bytes of a message go to Rust and come from it as they are; nothing here looks at a frame.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import grpc
import skbpool
import structlog
from skbpool._native import (
    AdoptionBudget,
    IngestPort,
    IngestProgress,
    Subscription,
    ingest_opening,
)
from skbpool.v1 import frame_pb2

from skbpool_service.copy_memory import CopyMemory
from skbpool_service.dispatch import Dispatcher
from skbpool_service.engine import Engine
from skbpool_service.ledger import CONSUMER, DRIVER
from skbpool_service.refusal import RETRY_SECONDS, Refusal, stopping
from skbpool_service.rpc.acknowledge import Acknowledgements, Later
from skbpool_service.rpc.call import Gate, Stream, check_size, first, parse
from skbpool_service.rpc.farewell import Farewell
from skbpool_service.rpc.resumption import Entry, Resumptions
from skbpool_service.rpc.subscribe_options import SubscribeOptions, read_options
from skbpool_service.rpc.table import MethodTable

log = structlog.get_logger()

SERVICE = frame_pb2.DESCRIPTOR.services_by_name["FrameService"].full_name

PATIENCE = 1.0
"""Seconds that an Ingest stream has to hand over to a newer one, and again once it is cancelled."""


class FrameService:
    """The service over one engine."""

    def __init__(
        self,
        engine: Engine,
        dispatcher: Dispatcher,
        later: Later,
        drivers: Gate,
        readers: Gate,
        copying: Gate,
    ):
        self._engine = engine
        self._later = later
        self._dispatcher = dispatcher
        self._drivers = drivers
        self._readers = readers
        self._copying = copying
        self._limits = engine.settings.limits
        self._copy_memory = CopyMemory(self._limits)
        self._adopted = AdoptionBudget(self._limits.max_adopted_bytes)
        self._lock = threading.Lock()
        self._ingesting: set[_Ingest] = set()
        self._resumptions = Resumptions(self._limits)
        self._stopping = False
        # Those that have not asked for anything yet; the hub ends the others.
        self._before_subscribing = Farewell()

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_streaming(SERVICE, "Ingest", self._drivers, self.ingest, may_idle=True)
        table.add_streaming(SERVICE, "Subscribe", self._readers, self.subscribe)

    def ingest(self, stream: Stream, requests: Iterator[bytes]) -> None:
        """Serve Ingest: holds its thread, since grpcio reads requests by waiting for them."""
        ingest = _Ingest(stream, self._engine, self._later)
        # Before the first message: a client may take its time for that.
        with self._lock:
            if self._stopping:
                raise stopping()
            self._ingesting.add(ingest)
        try:
            self._ingest(ingest, stream, requests)
        finally:
            with self._lock:
                self._ingesting.discard(ingest)
        stream.end()

    def _ingest(self, ingest: "_Ingest", stream: Stream, requests: Iterator[bytes]) -> None:
        credit = self._limits.ingest_credit_bytes
        stream.send(frame_pb2.IngestResponse(credit=credit).SerializeToString())
        message = next(requests, None)
        if message is None:  # closed without a word
            return
        check_size(message, self._limits.max_message_bytes)
        asked, stream_id = ingest_opening(message)
        name = self._engine.name(asked, DRIVER)
        port = partial(
            IngestPort,
            self._engine.hub,
            name,
            max_frame_bytes=self._limits.max_frame_bytes,
            credit_bytes=credit,
            may_block=self._limits.max_block_seconds,
            adopt=self._adopted,
        )
        entry, known = None, False
        if stream_id:
            with self._resumptions.entering(stream_id, ingest) as entry:
                known = entry.known
                ingest.attach(port(resume=entry.progress), name)
        else:
            ingest.attach(port(), name)
        log.info("ingest begins", driver=name, resumed=known)
        error: Exception | None = None
        done = False
        try:
            if entry is not None:
                ingest.tell(self._resumption(entry, known=known))
            done = ingest.run(itertools.chain([message], requests))
        except Exception as raised:
            error = raised
            raise
        finally:
            # Before the client learns the end, so that whoever asks then sees the buffers home.
            frames = ingest.detach()
            if entry is not None:
                self._resumptions.leave(entry, ingest, ingest.progress, done=done)
            log.info("ingest ends", driver=name, frames=frames, error=_told(error))

    def _resumption(self, entry: Entry, *, known: bool) -> frame_pb2.IngestResumption:
        instance_id = self._resumptions.instance_id
        return frame_pb2.IngestResumption(
            known=known, instance_id=instance_id, beginning=entry.beginning
        )

    def subscribe(self, stream: Stream, requests: Iterator[bytes]) -> None:
        """Serve Subscribe: returns, and the dispatcher has it go on when frames arrive."""
        self._before_subscribing.add(stream)
        most = self._limits.max_message_bytes
        request = parse(frame_pb2.SubscribeRequest, first(requests, most))
        name = self._engine.name(request.name, CONSUMER)
        options = read_options(request, self._engine)
        self._take_copy_memory(stream, options.copy_bytes)
        token = self._dispatcher.token()
        subscription = self._subscription(name, options, token)
        self._engine.quotas.watch(name, subscription.quota_events())
        self._before_subscribing.discard(stream)
        subscriber = _Subscriber(
            stream, subscription, lambda seconds: self._dispatcher.call_later(token, seconds)
        )
        log.info("subscription begins", consumer=name, quota=options.quota, policy=options.policy)

        def close() -> None:
            self._dispatcher.unregister(token)
            with subscriber.lock:
                self._engine.detach(subscription, CONSUMER, name)
            log.info("subscription ends", consumer=name, frames=subscription.stats()["frames"])

        stream.on_end(close)
        self._dispatcher.register(token, subscriber.drain)
        stream.open()
        subscriber.drain()

    def _take_copy_memory(self, stream: Stream, size: int) -> None:
        """Take what a subscriber needs for its copies until its stream ends; raise Refusal."""
        if size:
            self._copying.enter()
            stream.on_end(self._copying.leave)
            self._copy_memory.take(size)
            stream.on_end(lambda: self._copy_memory.give_back(size))

    def _subscription(self, name: str, options: SubscribeOptions, token: int) -> Subscription:
        try:
            return Subscription(
                self._engine.hub,
                name,
                quota=options.quota,
                policy=options.policy,
                bell=self._dispatcher.bell,
                token=token,
                **options.settings,
            )
        except skbpool.PoolMemory as error:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            raise Refusal(code, "OUT_OF_MEMORY", str(error)) from None

    def stop_ingest(self, patience: float) -> None:
        """Tell every Ingest stream that the daemon stops, after the batch it is at.

        Waits `patience` seconds for all of them together. Those that were to subscribe are told
        too.
        """
        self._before_subscribing.stop()
        with self._lock:
            self._stopping = True
            ingesting = list(self._ingesting)
        # All of them first: those that are busy then tell it themselves.
        for ingest in ingesting:
            ingest.stopping.set()
        deadline = time.monotonic() + patience
        for ingest in ingesting:
            ingest.stop(max(deadline - time.monotonic(), 0))


class _Ingest:
    """One Ingest stream."""

    def __init__(self, stream: Stream, engine: Engine, later: Later):
        self._stream = stream
        self._engine = engine
        limits = engine.settings.limits
        self._max_message_bytes = limits.max_message_bytes
        self._later = later
        self._busy = threading.Lock()
        self._acks = Acknowledgements(stream.send, limits.ingest_credit_bytes)
        self._port: IngestPort | None = None
        self._attached = False
        self._name = ""
        self.stopping = threading.Event()
        """Whether the client is to be told that the daemon stops, after the batch it is at."""

    def attach(self, port: IngestPort, name: str) -> None:
        """Have messages land by `port`, which is the driver `name`."""
        self._port, self._name, self._attached = port, name, True

    @property
    def progress(self) -> IngestProgress:
        """What was handled so far."""
        assert self._port is not None
        return self._port.progress()

    def detach(self) -> int:
        """Have nothing more land; return how many frames did. A second time does nothing more."""
        with self._busy:
            return self._detach()

    def _detach(self) -> int:
        assert self._port is not None
        if self._attached:
            self._attached = False
            self._engine.detach(self._port, DRIVER, self._name)
        return int(self._port.stats()["frames"])

    def hand_over(self) -> IngestProgress:
        """End for a newer stream of the same client; return what was handled.

        Raises:
            Refusal: A batch is being delivered, and takes long.
        """
        if not self._busy.acquire(timeout=PATIENCE):
            # A client that reads no acknowledgements, as one whose connection is lost.
            self._stream.context.cancel()
            if not self._busy.acquire(timeout=PATIENCE):
                raise Refusal(
                    grpc.StatusCode.UNAVAILABLE,
                    "STREAM_BUSY",
                    "the older stream with this stream_id handles a batch still; try again",
                    retry_after=RETRY_SECONDS,
                )
        try:
            self._detach()
            progress = self.progress
        finally:
            self._busy.release()
        text = "a newer stream with the same stream_id goes on in place of this one"
        self._stream.end(Refusal(grpc.StatusCode.ABORTED, "STREAM_TAKEN_OVER", text))
        return progress

    def tell(self, resumption: frame_pb2.IngestResumption) -> None:
        """Tell the client where it goes on."""
        with self._busy:
            if self._attached and self._stream.is_active:
                assert self._port is not None
                response = frame_pb2.IngestResponse.FromString(self._port.greeting())
                response.resumption.CopyFrom(resumption)
                self._stream.send(response.SerializeToString())

    def run(self, requests: Iterator[bytes]) -> bool:
        """Have every message land and acknowledge it; return whether the client ended it."""
        assert self._port is not None
        try:
            for message in requests:
                check_size(message, self._max_message_bytes)
                with self._busy:
                    if not self._attached or not self._stream.is_active:
                        return False
                    if self.stopping.is_set():
                        self._tell_stop()
                        return False
                    if not self._acks.add(len(message), self._port.submit(message)):
                        return False
                    owed = self._acks.is_owed and not self._acks.is_awaited
                    self._acks.is_awaited |= owed
                    urgent = self._acks.is_little_owed
                    if self.stopping.is_set():
                        self._tell_stop()
                        return False
                if owed:
                    self._later.submit(self._acknowledge, urgent)
            return self._stream.is_active
        finally:
            # Whatever ends the stream: what landed before is acknowledged.
            self._flush()

    def _acknowledge(self) -> None:
        with self._busy:
            self._acks.is_awaited = False
            if self._stream.is_active:
                self._acks.flush()
            if self.stopping.is_set():
                self._tell_stop()

    def _flush(self) -> None:
        with self._busy:
            if self._stream.is_active:
                self._acks.flush()

    def stop(self, patience: float) -> None:
        """Tell the client the end, unless it is busy for longer: then its own thread tells it."""
        if self._busy.acquire(timeout=patience):
            try:
                self._tell_stop()
            finally:
                self._busy.release()

    def _tell_stop(self) -> None:
        self._acks.flush()
        text = "the daemon is stopping; what was acknowledged is accepted, send the rest later"
        self._stream.end(stopping(text))


class _Subscriber:
    """One Subscribe stream."""

    def __init__(
        self,
        stream: Stream,
        subscription: Subscription,
        call_later: Callable[[float], None],
    ):
        self._stream = stream
        self._subscription = subscription
        self._call_later = call_later
        self._is_called = False
        self.lock = threading.Lock()
        """Held by whoever sends, one thread at a time."""

    def drain(self) -> None:
        """Send everything there is, then have the bell call when there is more.

        Whoever comes while another thread does so has that one look again, and waits for nothing.
        """
        self._is_called = True
        while self._is_called and self.lock.acquire(blocking=False):
            try:
                self._is_called = False
                self._drain()
            except Exception as error:
                self._stream.end(error)
            finally:
                self.lock.release()

    def _drain(self) -> None:
        while self._stream.is_active:
            message = self._subscription.next_message()
            if message is not None:
                self._stream.send(message)
                continue
            if self._subscription.finished:
                self._stream.end()
                return
            # Asked before: a wait that is over by then is seen by `arm`.
            lingers_for = self._subscription.lingers_for
            if self._subscription.arm() and not self._subscription.finished:
                if lingers_for is not None:
                    self._call_later(lingers_for)
                return


def _told(error: Exception | None) -> str | None:
    if isinstance(error, grpc.RpcError):
        return "the client is gone"
    return None if error is None else str(error) or type(error).__name__
