"""What `skbpool nic` does: a card is made, drives the daemon, and its report is printed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from skbpool._native import EmulatedNic
from skbpool.cli.capture_stream import Capture, open_capture
from skbpool.cli.failure import Failure, bad_value
from skbpool.cli.nic_progress import progress
from skbpool.cli.nic_report import NicReport, show
from skbpool.cli.nic_run import NicRun
from skbpool.cli.options import server_address
from skbpool.cli.output import counted, print_json
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
        ServiceError: The daemon refused or is gone, after the report of what it had acknowledged.
    """
    if line.capture is None:
        _drive(line, None, name, server, json)
    else:
        with open_capture(line.capture) as capture:
            _drive(line, capture, name, server, json)


def _drive(line: Line, capture: Capture | None, name: str, server: str | None, json: bool) -> None:
    with Client(server_address(server)) as client, _end_on_time(line, capture):
        run = NicRun(client, line)
        # Apart, since a stream may be silent before its header too.
        card = run_apart(lambda: make_card(line, capture, run.stream))
        if card is None:
            client.server_info()  # whether there is a daemon shall not go unnoticed
            report = NicReport.of_nothing()
        else:
            report = _send(run, card, line, capture, name)
    finish(report, capture, json)


def _send(
    run: NicRun, card: EmulatedNic, line: Line, capture: Capture | None, name: str
) -> NicReport:
    def stop() -> None:
        if capture is not None:
            capture.stop()  # first, since the card may be waiting for it
        card.stop()

    def work() -> NicReport:
        with progress(card, line.duration, line.frames):
            return run.drive(card, name)

    return run_stoppable(work, stop)


@contextmanager
def _end_on_time(line: Line, capture: Capture | None) -> Iterator[None]:
    """See to it that a stream which is silent, before its header too, does not outlast the line."""
    if capture is None or line.duration is None:
        yield
        return
    clock = threading.Timer(line.duration + SILENCE, capture.stop)
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()


def make_card(line: Line, capture: Capture | None, stream: int) -> EmulatedNic | None:
    """Make the card; what it refuses is a matter of the command line or of the capture.

    Returns:
        None if the capture's time was up before its header had come.
    """
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
        if capture is not None and capture.was_cut:
            return None
        text = str(error) if capture is None else capture.named(str(error))
        raise Failure(text, ExitCode.CAPTURE) from None
    except ValueError as error:  # everything else was looked at before
        raise bad_value("--rate", str(error)) from None


def finish(report: NicReport, capture: Capture | None, json: bool) -> None:
    """Print the report, and fail if the run did or if the capture was damaged."""
    if json:
        print_json(report.as_dict())
    else:
        show(report)
    if report.failure is not None:
        raise report.failure
    if capture is None or capture.was_cut:
        return
    error = capture.failure or report.capture_error
    if error is not None:
        were = "was" if report.accepted == 1 else "were"
        sent = f"{counted(report.accepted, 'frame')} before it {were} sent"
        raise Failure(f"{capture.named(error)}; {sent}", ExitCode.CAPTURE)
