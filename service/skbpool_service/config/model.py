"""What can be configured, with units, ranges and defaults.

A key is written the same everywhere: `limits.max_streams` is the flag `--set limits.max_streams=8`,
the environment variable `SKBPOOL_LIMITS__MAX_STREAMS=8`, and in TOML `max_streams = 8` in the table
`[limits]`.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from skbpool._native import MAX_BUFFERS, MAX_HOLDERS, MAX_ORDER
from skbpool.addresses import AddressError, TcpAddress, parse_address

from skbpool_service.config import admission
from skbpool_service.config.driver import DriverLimits, DriverSettings
from skbpool_service.config.listeners import (
    MAX_LISTENERS,
    ListenerSettings,
    Roles,
    check_distinct,
    check_names,
    check_reach,
    check_short,
    completed,
    from_json,
    split,
    wrong_key,
)
from skbpool_service.config.log import LogSettings
from skbpool_service.config.subscribers import SubscriberLimits
from skbpool_service.config.table import Table, no_truth
from skbpool_service.config.watch import WatchSettings

NAME_PATTERN = r"^[A-Za-z0-9._-]{1,63}$"
"""What a pool may be called."""

MESSAGE_OVERHEAD = 1024
"""Bytes that a message needs beside the bytes of a single frame, amply."""

FALLBACK_QUOTA = 32_768
"""Most views that the default quota grants when the configuration does not say."""


SPARE_HOLDERS = 24
"""Holders left to those that left and whose frames others still have, and to other uses."""

MAX_ATTACHED = MAX_HOLDERS - SPARE_HOLDERS
"""Most streams, drivers, and sessions counted twice, together: a stream may attach a driver or
consumer, a session is a holder and may attach a driver, and each of these is accounted by name."""


class PoolSettings(Table):
    """The pool that drivers and consumers share; it exists from the start."""

    name: str = Field(default="default", pattern=NAME_PATTERN)
    """Name of the pool."""
    buffers: int = Field(default=131_072, ge=1, le=MAX_BUFFERS)
    """Number of buffers; their memory is taken at the start."""
    order: int = Field(default=0, ge=0, le=MAX_ORDER)
    """Size of a buffer: 4096 << order bytes."""
    huge_pages: Literal["never", "try", "require"] = "never"
    """Whether the memory lies on huge pages."""
    low_watermark: int | None = Field(default=None, ge=0, le=MAX_BUFFERS)
    """With fewer free buffers the pool is low; 0: only when an allocation finds none. Unset, as is
    high_watermark then: a sixteenth of the buffers, and an eighth."""
    high_watermark: int | None = Field(default=None, ge=0, le=MAX_BUFFERS)
    """With as many free buffers it has recovered; from low_watermark to the buffers there are."""

    @field_validator("high_watermark")
    @classmethod
    def _marks_follow(cls, high: int | None, info: ValidationInfo) -> int | None:
        low, buffers = info.data.get("low_watermark"), info.data.get("buffers", MAX_BUFFERS)
        if (low is None) != (high is None):
            raise ValueError("low_watermark and high_watermark need each other: give both")
        if low is not None and high is not None and not low <= high <= buffers:
            raise ValueError(
                f"{high} is not from low_watermark = {low} to the {buffers} buffers of the pool"
            )
        return high

    @property
    def watermarks(self) -> tuple[int, int] | None:
        """Low and high watermark, in free buffers; None: the defaults."""
        if self.low_watermark is None or self.high_watermark is None:
            return None
        return self.low_watermark, self.high_watermark

    @property
    def buffer_bytes(self) -> int:
        """Size of a buffer."""
        return 4096 << self.order


class Limits(SubscriberLimits, DriverLimits):
    """What the daemon allows; whatever goes beyond is refused."""

    max_message_bytes: int = Field(default=4 << 20, ge=1 << 12, le=1 << 30)
    """Largest message in either direction, in bytes."""
    max_frame_bytes: int = Field(default=262_144, ge=64, le=262_144)
    """Largest frame, in bytes."""
    max_streams: int = Field(default=64, ge=1, le=MAX_ATTACHED - 3)
    """Most streams at a time of those that read, Subscribe and stamp readers. Each may need a
    thread. With max_ingest_streams, max_drivers, and two for each of max_sessions, they are 232 at
    most."""
    max_ingest_streams: int = Field(default=32, ge=1, le=MAX_ATTACHED - 3)
    """Most Ingest streams at a time: readers, however many, keep no driver out. One whose
    connection is half open counts until keepalive ends it, and while as many as may are open, a
    newer stream with its stream_id is refused and has to try again: allow some to spare."""
    max_tool_streams: int = Field(default=32, ge=1, le=4096)
    """Most streams at a time that watch the health or use reflection."""
    max_unary_workers: int = Field(default=64, ge=1, le=1024)
    """Most threads for calls that are answered at once; they are made as they are needed. A call
    holds one while it waits for its request."""
    max_concurrent_rpcs: int = Field(default=1024, ge=8, le=1 << 20)
    """Most calls at a time, on each listener, that run or wait for a thread."""
    max_connections: int = Field(default=512, ge=1, le=1 << 16)
    """Most connections at a time on each listener. A further one is closed at once, whoever has the
    others: where clients that do not trust each other share a listener, one can keep others out."""
    max_metadata_bytes: int = Field(default=16_384, ge=8192, le=1 << 20)
    """Bytes of the headers of a call over which it is refused; some are from half of it on."""
    max_rpcs_per_connection: int = Field(default=1024, ge=8, le=1 << 20)
    """Most calls at a time on one connection; a client waits with further ones."""
    max_sessions: int = Field(default=64, ge=1, le=(MAX_ATTACHED - 2) // 2)
    """Most lease sessions at a time; counted twice, together with max_streams, max_ingest_streams
    and max_drivers 232 at most."""
    max_handles_per_session: int = Field(default=4096, ge=1, le=1 << 24)
    """Most handles, of buffers and skbs together, that a session may hold."""
    max_waiting_calls: int = Field(default=32, ge=0, le=512)
    """Most calls at a time that wait for buffers; never more than half of max_unary_workers, whose
    threads they hold."""
    max_waiting_calls_per_session: int = Field(default=4, ge=1, le=512)
    """Most calls of one session at a time that wait for buffers."""
    max_wait_seconds: float = Field(default=60.0, ge=0, le=3600)
    """Longest that a call may wait for buffers, in seconds."""
    max_quota: int | None = Field(default=None, ge=1, le=1 << 24)
    """Largest quota a consumer may ask for, in views, at most the buffers of the pool. Unset: half
    of these, or what a small one has beside a driver, so that one consumer keeps no driver out."""
    default_quota: int | None = Field(default=None, ge=1, le=1 << 24)
    """Quota of a consumer that asks for none, in views; unset: a quarter of the buffers of the
    pool, at most 32,768."""
    max_pools: int = Field(default=16, ge=1, le=1024)
    """Most pools at a time, the configured one included."""
    max_pool_bytes: int = Field(default=1 << 30, ge=0)
    """Bytes of memory that the pools made by clients may have together."""
    max_watchers: int = Field(default=16, ge=1, le=1024)
    """Most streams at a time that watch pools."""
    max_watcher_events: int = Field(default=1024, ge=1, le=1 << 20)
    """Most events that wait for a watcher which reads slowly; it then misses the oldest."""
    max_metric_names: int = Field(default=64, ge=1, le=10_000)
    """Most drivers and most consumers with a label of their own in the metrics. A new name takes
    the place of the one that left longest ago, whose series ends; "other" is for those without."""
    ingest_credit_bytes: int = Field(default=8 << 20, ge=1 << 16, le=1 << 30)
    """Bytes that an Ingest stream may send ahead of its acknowledgements."""
    max_resumptions: int = Field(default=1024, ge=0, le=1 << 20)
    """Most Ingest streams with a stream_id whose client is away and may resume them; those that
    were left longest ago are forgotten, first of those that were ended in order. Each is a few
    hundred bytes."""
    max_resumption_seconds: float = Field(default=300.0, ge=0, le=86_400)
    """Seconds after which a client that is away can no longer resume its Ingest stream."""
    max_adopted_bytes: int = Field(default=64 << 20, ge=0)
    """Bytes of Ingest messages that may be kept where they lie, instead of being copied into the
    pool, while every consumer is in the daemon; 0: all are copied."""
    max_block_seconds: float = Field(default=0.0, ge=0, le=60)
    """Longest time that a delivery of an Ingest stream waits for consumers that ask for it; 0: none
    may ask. What an inline stamp reader reads, it reads on the threads of Ingest all the same."""
    max_inline_readers: int = Field(default=4, ge=0, le=256)
    """Most inline stamp readers at a time. Each takes of the time of every Ingest stream, and of
    every delivery of a session, for each frame; 0: none, and a consumer slows nobody."""

    @property
    def waiting_calls(self) -> int:
        """Most calls at a time that wait for buffers."""
        return min(self.max_waiting_calls, self.max_unary_workers // 2)

    @field_validator("max_frame_bytes")
    @classmethod
    def _frame_fits_message(cls, value: int, info: ValidationInfo) -> int:
        room = info.data.get("max_message_bytes")
        if room is not None and value + MESSAGE_OVERHEAD > room:
            raise ValueError(
                f"a frame of {value} bytes does not fit a message of max_message_bytes = {room}; "
                f"at most {room - MESSAGE_OVERHEAD} do"
            )
        return value

    @field_validator("max_sessions")
    @classmethod
    def _holders_suffice(cls, value: int, info: ValidationInfo) -> int:
        names = ("max_streams", "max_ingest_streams", "max_drivers")
        others = [(name, info.data[name]) for name in names if name in info.data]
        if len(others) < len(names):  # wrong themselves, which is told
            return value
        if sum(most for _, most in others) + 2 * value > MAX_ATTACHED:
            told = ", ".join(f"{name} = {most}" for name, most in others)
            raise ValueError(
                f"{value} sessions, each with a driver, and {told} are more than the "
                f"{MAX_ATTACHED} holders that can be accounted by name; lower one of them"
            )
        return value

    @field_validator("default_quota")
    @classmethod
    def _default_within_max(cls, value: int | None, info: ValidationInfo) -> int | None:
        most = info.data.get("max_quota")
        if value is not None and most is not None and value > most:
            raise ValueError(f"{value} is more than max_quota = {most}")
        return value


def _check_room(pool: PoolSettings, max_frame_bytes: int) -> None:
    """Refuse a pool that cannot have a driver and a consumer at a time."""
    reserved = admission.pair(pool.buffers, pool.buffer_bytes, max_frame_bytes, quota=1)
    if reserved > pool.buffers:
        least = admission.least_buffers(pool.buffer_bytes, max_frame_bytes)
        raise wrong_key(
            "pool.buffers",
            f"{pool.buffers} buffers of {pool.buffer_bytes} bytes are too few: a driver with "
            f"frames of limits.max_frame_bytes = {max_frame_bytes} and a consumer reserve "
            f"{reserved}; give at least {least} (--buffers {least})",
        )


def _share(pool: PoolSettings, max_frame_bytes: int) -> int:
    """Return half of a pool, or what it has beside a driver if that is less."""
    others = admission.pair(pool.buffers, pool.buffer_bytes, max_frame_bytes, quota=0)
    return min(pool.buffers // 2, pool.buffers - others)


class Settings(BaseSettings):
    """Everything that can be configured. Flags go before the environment, that before the file."""

    model_config = SettingsConfigDict(
        env_prefix="SKBPOOL_", env_nested_delimiter="__", extra="forbid", validate_default=True
    )

    # Above the addresses, whose checks look at it.
    insecure_any_address: bool = False
    """Listen without TLS on addresses that other machines can reach."""
    listen: Annotated[list[str], NoDecode, BeforeValidator(split)] = []
    """Where to listen: `unix:PATH` or `HOST:PORT`, port 0 for one that the system chooses, each
    with the defaults of a listener. Empty, and no listener: a Unix socket at the default place."""
    listener: Annotated[list[ListenerSettings], NoDecode, BeforeValidator(from_json)] = Field(
        default=[], max_length=MAX_LISTENERS
    )
    """Where to listen beside those, with roles, mode and group, or certificates."""
    roles: Annotated[dict[str, Roles], NoDecode, BeforeValidator(from_json)] = {}
    """What clients may do by a name of their certificate, as far as the listener grants it."""
    metrics: str = "127.0.0.1:9464"
    """Where /metrics is served, as `HOST:PORT`; empty: nowhere."""
    shutdown_deadline: float = Field(default=10.0, gt=0, le=3600)
    """Seconds that streams and calls have to end after SIGTERM."""
    keepalive_time: float = Field(default=30.0, ge=1, le=7200)
    """Seconds without traffic after which a connection is asked for a sign of life."""
    keepalive_timeout: float = Field(default=20.0, ge=1, le=7200)
    """Seconds for that sign of life; then the connection, and what it held, is given up."""
    handshake_timeout: float = Field(default=10.0, gt=0, le=600)
    """Seconds that a new connection has to begin to speak HTTP/2, or TLS and then HTTP/2."""
    idle_timeout: float = Field(default=600.0, ge=1, le=86_400)
    """Seconds without a call after which a connection is closed; the next call opens another."""
    request_timeout: float = Field(default=10.0, gt=0, le=3600)
    """Seconds that a call has to send its request; Ingest may wait. While calls wait for a thread
    it is a tenth of a second."""
    pool: PoolSettings = PoolSettings()
    limits: Limits = Limits()
    log: LogSettings = LogSettings()
    watch: WatchSettings = WatchSettings()
    driver: DriverSettings = DriverSettings()

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: object, info: ValidationInfo) -> object:
        return no_truth(cls, value, info)

    @field_validator("listen")
    @classmethod
    def _check_listen(cls, value: list[str], info: ValidationInfo) -> list[str]:
        for text in value:
            check_short(text)
            check_reach(parse_address(text), bool(info.data.get("insecure_any_address")))
        check_distinct([("listen", ListenerSettings(address=text)) for text in value])
        return value

    @field_validator("listener")
    @classmethod
    def _complete(
        cls, value: list[ListenerSettings], info: ValidationInfo
    ) -> list[ListenerSettings]:
        insecure = bool(info.data.get("insecure_any_address"))
        full = [
            completed(listener, f"listener.{place}", insecure_any_address=insecure)
            for place, listener in enumerate(value)
        ]
        short = [("listen", ListenerSettings(address=text)) for text in info.data.get("listen", ())]
        check_distinct(
            short + [(f"listener.{place}.address", each) for place, each in enumerate(full)]
        )
        return full

    @field_validator("roles")
    @classmethod
    def _check_roles(cls, value: dict[str, Roles], info: ValidationInfo) -> dict[str, Roles]:
        check_names(value, info)
        return value

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, value: str, info: ValidationInfo) -> str:
        if value:
            try:
                address = parse_address(value)
            except AddressError:
                address = None
            if not isinstance(address, TcpAddress) or address.tls:
                raise ValueError(
                    f"{value!r} is not HOST:PORT, where /metrics is served: write for instance "
                    "127.0.0.1:9464 or [::1]:9464, or nothing for nowhere"
                )
            if not address.is_local and not info.data.get("insecure_any_address"):
                raise ValueError(
                    f"{address} can be reached from other machines, and metrics are served in "
                    "plaintext to whoever asks: serve them on a loopback address, where a scraper "
                    "or a proxy with TLS fetches them, or say --insecure-any-address if everybody "
                    "may read them"
                )
        return value

    @field_validator("limits")
    @classmethod
    def _fill_quotas(cls, limits: Limits, info: ValidationInfo) -> Limits:
        pool = info.data.get("pool")
        buffers = pool.buffers if pool else MAX_BUFFERS
        if pool:
            _check_room(pool, limits.max_frame_bytes)
        for key in ("default_quota", "max_quota"):
            quota = getattr(limits, key)
            if quota is not None and quota > buffers:
                raise wrong_key(
                    f"limits.{key}",
                    f"{quota} views are more than pool.buffers = {buffers}, of which a consumer "
                    "reserves its quota: none could ever be admitted; lower it, raise "
                    "pool.buffers, or leave it out for a quota that fits",
                )
        share = _share(pool, limits.max_frame_bytes) if pool else buffers // 2
        most = limits.max_quota or max(share, limits.default_quota or 1)
        fallback = min(max(buffers // 4, 1), FALLBACK_QUOTA, most)
        return limits.model_copy(
            update={"max_quota": most, "default_quota": limits.default_quota or fallback}
        )

    @property
    def listeners(self) -> list[ListenerSettings]:
        """Every listener, those of `listen` first; none: one at the default place."""
        short = (ListenerSettings(address=text) for text in self.listen)
        return [
            *(completed(each, "listen", insecure_any_address=True) for each in short),
            *self.listener,
        ]

    @property
    def max_quota(self) -> int:
        """Largest quota a consumer may ask for, in views."""
        assert self.limits.max_quota is not None  # filled by the validator
        return self.limits.max_quota

    @property
    def default_quota(self) -> int:
        """Quota of a consumer that asks for none, in views."""
        assert self.limits.default_quota is not None  # filled by the validator
        return self.limits.default_quota

    @property
    def quota_follows_pool(self) -> bool:
        """Whether the default quota is less than usual, because the pool is small."""
        share = _share(self.pool, self.limits.max_frame_bytes)
        return self.default_quota == min(max(self.pool.buffers // 4, 1), share) < FALLBACK_QUOTA

    @property
    def default_fits_beside_driver(self) -> bool:
        """Whether the pool has room for a driver and a consumer that asks for no quota."""
        pool, quota = self.pool, self.default_quota
        frame = self.limits.max_frame_bytes
        return admission.pair(pool.buffers, pool.buffer_bytes, frame, quota) <= pool.buffers
