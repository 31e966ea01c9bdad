"""What `skbpool nic` does: a card is made, drives the daemon, and its report is printed."""

import threading
from dataclasses import dataclass
from pathlib import Path

from skbpool._native import EmulatedNic
from skbpool.cli.capture_stream import Capture, open_capture
from skbpool.cli.failure import Failure, bad_value
from skbpool.cli.nic_progress import progress
from skbpool.cli.nic_report import NicReport, show
from skbpool.cli.nic_run import NicRun
from skbpool.cli.options import server_address
from skbpool.cli.output import print_json
from skbpool.cli.stopping import run_apart, run_stoppable
from skbpool.client import Client
from skbpool.errors import CaptureError
from skbpool.exit_codes import ExitCode

SILENCE = 0.1
"""Seconds after the line's time that a capture's stream may still be waited for."""


@dataclass(frozen=True)
class Line:
    """What the line carries, as it was asked for."""

    rate: str
    size: int
    duration: float | None
    frames: int | None
    capture: Path | None
    loops: int

    @property
    def unpaced(self) -> bool:
        """Whether the line is as fast as the daemon."""
        return self.rate.strip().lower() == "max"


def drive(line: Line, name: str, server: str | None, json: bool) -> None:
    """Drive the daemon and print the report.

    Raises:
        typer.BadParameter: The rate is none.
        Failure: The capture cannot be read, or is damaged, after what came before was sent.
        ServiceError: The daemon refused or is gone.
    """
    if line.capture is None:
        _drive(line, None, name, server, json)
    else:
        with open_capture(line.capture) as capture:
            _drive(line, capture, name, server, json)


def _drive(line: Line, capture: Capture | None, name: str, server: str | None, json: bool) -> None:
    with Client(server_address(server)) as client:
        run = NicRun(client, line)
        # Apart, since a stream may be silent before its header too.
        card = run_apart(lambda: make_card(line, capture, run.stream))

        def stop() -> None:
            if capture is not None:
                capture.stop()  # first, since the card may be waiting for it
            card.stop()

        def work() -> NicReport:
            with progress(card, line.duration, line.frames):
                return run.drive(card, name)

        clock = _end_on_time(line, capture)
        try:
            report = run_stoppable(work, stop)
        finally:
            clock.cancel()
    finish(report, capture, json)


def _end_on_time(line: Line, capture: Capture | None) -> threading.Timer:
    """See to it that a stream which is silent does not outlast the line."""
    end = capture.stop if capture is not None else lambda: None
    clock = threading.Timer((line.duration or 0.0) + SILENCE, end)
    clock.daemon = True
    if line.duration is not None:
        clock.start()
    return clock


def make_card(line: Line, capture: Capture | None, stream: int) -> EmulatedNic:
    """Make the card; what it refuses is a matter of the command line or of the capture."""
    # At max the line waits for the daemon, and what is queued is only late. At a rate it goes on
    # while a busy machine keeps the sender from running: 0.7 s of 64-byte frames at 1 Gbit/s.
    buffers = 4_096 if line.unpaced else 16_384
    try:
        return EmulatedNic(
            rate=line.rate,
            buffers=buffers,
            size=line.size,
            frames=line.frames,
            duration=line.duration,
            stream=stream,
            capture=None if capture is None else capture.path,
            loops=line.loops,
        )
    except CaptureError as error:
        text = str(error) if capture is None else capture.named(str(error))
        raise Failure(text, ExitCode.CAPTURE) from None
    except ValueError as error:  # everything else was looked at before
        raise bad_value("--rate", str(error)) from None


def finish(report: NicReport, capture: Capture | None, json: bool) -> None:
    """Print the report, and fail if the capture was damaged."""
    if json:
        print_json(report.as_dict())
    else:
        show(report)
    if capture is None or capture.was_cut:
        return
    error = capture.failure or report.capture_error
    if error is not None:
        sent = f"{report.accepted:,} frames before it were sent"
        raise Failure(f"{capture.named(error)}; {sent}", ExitCode.CAPTURE)
