"""What can be configured of drivers that run inside the daemon."""

from pathlib import PurePosixPath

from pydantic import Field, field_validator

from skbpool_service.config.table import Table


class DriverSettings(Table):
    """Emulated cards and replays that administrators attach."""

    capture_directory: str = ""
    """Folder below which captures may be replayed, as an absolute path; empty: none may."""

    @field_validator("capture_directory")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if value and not PurePosixPath(value).is_absolute():
            raise ValueError(f"{value!r} is no absolute path; write it from the root on")
        return value


class DriverLimits(Table):
    """What drivers may do; part of the table `limits`."""

    max_drivers: int = Field(default=8, ge=0, le=64)
    """Most drivers at a time, emulated cards and replays: those that are attached, which have a
    thread each, and those that were detached and whose frames are out."""
    max_driver_bits_per_second: int = Field(default=10_000_000_000, ge=1, le=1_000_000_000_000)
    """Highest rate of a driver's line, in bits on the wire a second."""
    max_driver_frames_per_second: int = Field(default=14_880_952, ge=1, le=1_488_095_238)
    """Highest rate of a driver's line that is told in frames a second."""
    max_driver_block_seconds: float = Field(default=1.0, ge=0, le=10)
    """Longest that a delivery of a driver may wait for consumers that ask for it, in seconds; 0:
    none may. Detaching it may take so long."""
