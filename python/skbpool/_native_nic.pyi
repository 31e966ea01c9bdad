"""The part of `skbpool._native` that is of emulated cards; there is no module of this name."""

from os import PathLike
from typing import Any, final

from skbpool._native import Hub, Pool

@final
class EmulatedNic:
    def __new__(
        cls,
        *,
        rate: str,
        size: int = 64,
        frames: int | None = None,
        duration: float | None = None,
        stream: int = 0,
        capture: str | PathLike[str] | None = None,
        loops: int = 1,
        ring: int = 512,
        buffers: int = 4096,
        order: int = 0,
        driver: str = "",
    ) -> EmulatedNic: ...
    def start(self) -> None: ...
    def next_request(self, max_bytes: int, linger: float | None, sequence: int) -> bytes | None: ...
    def report(self) -> dict[str, Any]: ...
    def stop(self) -> None: ...
    def __enter__(self) -> EmulatedNic: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class NicDriver:
    def __new__(
        cls,
        hub: Hub,
        pool: Pool,
        name: str,
        *,
        rate: str,
        size: int = 64,
        stream: int = 0,
        frames: int | None = None,
        duration: float | None = None,
        # A second descriptor of it is made; the file offset is the driver's as long as it is there.
        capture: int | None = None,
        capture_name: str = "",
        loops: int = 1,
        original_timing: bool = False,
        ring: int = 512,
        may_block: float = 0.0,
    ) -> NicDriver: ...
    def report(self) -> dict[str, Any]: ...
    def stop(self) -> None: ...
    def finish(self) -> None: ...
    def close(self) -> None: ...
    def out(self) -> tuple[int, int]: ...
    def __enter__(self) -> NicDriver: ...
    def __exit__(self, *_exception: object) -> None: ...

def parse_rate(text: str) -> tuple[str, int] | None: ...
