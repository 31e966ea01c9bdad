"""Captures that come through pipes, which may be silent for as long as they like."""

import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from capture_parser import read_capture
from skbpool.cli.capture_stream import CaptureStream
from skbpool_processes import Daemon, Finished, Process, run, stats, wait_until

pytestmark = pytest.mark.e2e

FRAMES = 6
UNREACHABLE, CAPTURE = 4, 6
ENDED = {signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM}
"""Exit codes before it has begun; a shell shows the second as 143."""


def capture(link_type: int = 1) -> bytes:
    """Return a pcap file of a few frames."""
    records = (
        struct.pack("<4I", 1_700_000_000, number, 60, 60) + bytes([number]) * 60
        for number in range(FRAMES)
    )
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type)
    return header + b"".join(records)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "trace.fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def writer(fifo: Path) -> Iterator[int]:
    """Return the other end of the FIFO, which stays open until the test is over."""
    descriptor = os.open(fifo, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def await_open(process: Process, fifo: Path) -> None:
    """Wait until the process has the FIFO open."""
    folder = Path(f"/proc/{process.process.pid}/fd")

    def links() -> Iterator[str]:
        for entry in folder.iterdir():
            try:
                yield str(entry.readlink())
            except FileNotFoundError:  # closed meanwhile
                continue

    wait_until(lambda: str(fifo) in links(), "it does not open the FIFO")


def await_read(writer: int) -> None:
    """Wait until nothing that was written is left in the FIFO."""

    def left() -> int:
        (count,) = struct.unpack("i", fcntl.ioctl(writer, termios.FIONREAD, bytes(4)))
        return int(count)

    wait_until(lambda: left() == 0, "it does not read the FIFO")


@pytest.mark.parametrize("number", ENDED)
def test_a_fifo_that_nobody_writes_to_can_be_given_up(
    daemon: Daemon, fifo: Path, number: signal.Signals
) -> None:
    with daemon.start("nic", "-r", str(fifo)) as card:
        await_open(card, fifo)
        card.signal(number)
        ended = card.finish(20)
    assert (ended.code, ended.stdout, ended.stderr) == (ENDED[number], "", "")


@pytest.mark.parametrize("number", ENDED)
def test_half_a_header_can_be_given_up(
    daemon: Daemon, fifo: Path, writer: int, number: signal.Signals
) -> None:
    with daemon.start("nic", "-r", str(fifo)) as card:
        os.write(writer, capture()[:10])
        await_open(card, fifo)
        await_read(writer)
        card.signal(number)
        ended = card.finish(20)
    assert (ended.code, ended.stdout, ended.stderr) == (ENDED[number], "", "")


@pytest.mark.parametrize("number", ENDED)
@pytest.mark.parametrize("bytes_more", [0, 20], ids=["between frames", "inside a frame"])
def test_a_signal_ends_a_silent_stream_with_its_report(
    daemon: Daemon, fifo: Path, writer: int, number: signal.Signals, bytes_more: int
) -> None:
    data = capture()
    with daemon.start("nic", "-r", str(fifo), "--json") as card:
        os.write(writer, data + data[24 : 24 + bytes_more])
        await_open(card, fifo)
        await_read(writer)
        wait_until(lambda: bool(stats(daemon)["drivers"]), "the card does not start")
        card.signal(number)
        ended = card.finish(20)
    assert ended.stderr == ""
    assert ended.json["accepted"] == ended.json["offered"] <= FRAMES


def test_a_silent_stream_does_not_outlast_the_duration(
    daemon: Daemon, fifo: Path, writer: int
) -> None:
    os.write(writer, capture())
    ended = daemon.run("nic", "-r", str(fifo), "--duration", "300ms", "--json")
    assert ended.json["offered"] == ended.json["accepted"] == FRAMES
    assert ended.stderr == ""


@pytest.mark.parametrize("begun", [b"", capture()[:10]], ids=["nothing", "half a header"])
@pytest.mark.parametrize("source", ["fifo", "-"])
def test_a_stream_without_a_header_does_not_outlast_the_duration(
    daemon: Daemon, fifo: Path, writer: int, source: str, begun: bytes
) -> None:
    os.write(writer, begun)
    arguments = ("--duration", "300ms", "--json")
    if source == "fifo":
        ended = daemon.run("nic", "-r", str(fifo), *arguments)
    else:
        command = [sys.executable, "-m", "skbpool.cli", "nic", "-r", "-", *arguments]
        ran = subprocess.run(
            [*command, "--server", daemon.address],
            stdin=writer,
            capture_output=True,
            text=True,
            timeout=45,
            check=False,
        )
        ended = Finished(ran.returncode, ran.stdout, ran.stderr)
    assert ended.json["offered"] == ended.json["accepted"] == 0
    assert ended.stderr == ""


def test_a_fifo_without_a_writer_does_not_outlast_the_duration(daemon: Daemon, fifo: Path) -> None:
    ended = daemon.run("nic", "-r", str(fifo), "--duration", "300ms")
    assert ended.code == 0, ended
    assert "0 frames" in ended.stdout
    alone = run("nic", "-r", str(fifo), "--duration", "1ms", "--server", "unix:/nowhere/s.sock")
    assert alone.code == UNREACHABLE
    assert "no daemon answers" in alone.stderr


def test_a_clock_that_is_late_writes_into_nobodys_file(fifo: Path, tmp_path: Path) -> None:
    stream = CaptureStream(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), str(fifo))
    kept = os.dup(0)
    try:
        with stream:
            pass
    finally:
        os.dup2(kept, 0)
        os.close(kept)
    # The numbers of its descriptors are free again, so that this takes all of them.
    others = [os.open(tmp_path / f"{number}", os.O_RDWR | os.O_CREAT) for number in range(8)]
    stream.stop()
    sizes = [os.fstat(other).st_size for other in others]
    for other in others:
        os.close(other)
    assert sizes == [0] * len(others)


def nic(daemon: Daemon, *arguments: str, given: bytes) -> "subprocess.CompletedProcess[str]":
    """Run `skbpool nic` with something on its standard input, through a pipe."""
    ended = subprocess.run(
        [sys.executable, "-m", "skbpool.cli", "nic", "--server", daemon.address, *arguments],
        input=given,
        capture_output=True,
        timeout=45,
        check=False,
    )
    told = ended.stdout.decode(), ended.stderr.decode()
    return subprocess.CompletedProcess(ended.args, ended.returncode, *told)


@pytest.mark.parametrize("loops", [1, 3])
def test_standard_input_is_replayed(daemon: Daemon, tmp_path: Path, loops: int) -> None:
    out, original = tmp_path / "out.pcapng", tmp_path / "in.pcap"
    original.write_bytes(capture())
    count = str(loops * FRAMES)
    with daemon.start("subscribe", "-w", str(out), "-c", count) as subscriber:
        subscriber.stderr.wait_for("subscribed")
        ended = nic(daemon, "-r", "-", "--loops", str(loops), "--json", given=capture())
        assert subscriber.finish().code == 0
    assert (ended.returncode, ended.stderr) == (0, "")
    assert read_capture(out) == read_capture(original) * loops


def test_a_frame_is_out_before_the_next_is_written(daemon: Daemon) -> None:
    data = capture()
    header, records = data[:24], data[24:]
    size = len(records) // FRAMES
    command = [sys.executable, "-m", "skbpool.cli", "nic", "--server", daemon.address, "-r", "-"]
    with (
        daemon.client.subscribe() as tap,
        subprocess.Popen(
            [*command, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        ) as card,
    ):
        assert card.stdin is not None
        try:
            card.stdin.write(header)
            batches = iter(tap)
            for number in range(FRAMES):
                record = records[number * size : (number + 1) * size]
                # In two writes, as a busy writer's pipe may cut it.
                card.stdin.write(record[:30])
                card.stdin.write(record[30:])
                assert [bytes(skb) for skb in next(batches)] == [record[16:]]
            told, _ = card.communicate(timeout=45)
        finally:
            card.kill()
    report = json.loads(told)
    assert (card.returncode, report["offered"], report["accepted"]) == (0, FRAMES, FRAMES)


def test_frames_beyond_the_count_are_left_to_the_writer(daemon: Daemon) -> None:
    ended = nic(daemon, "-r", "-", "-c", "4", "--json", given=capture() * 2_000)
    assert ended.returncode == 0, ended
    assert '"accepted": 4' in ended.stdout


@pytest.mark.parametrize("source", ["fifo", "-"])
def test_a_damaged_stream_is_named_as_it_was_given(daemon: Daemon, fifo: Path, source: str) -> None:
    data = capture()[:-10]
    if source == "fifo":
        feeder = threading.Thread(target=fifo.write_bytes, args=[data])
        feeder.start()
        ended = daemon.run("nic", "-r", str(fifo))
        feeder.join()
        code, told, name = ended.code, ended.stderr, str(fifo)
    else:
        piped = nic(daemon, "-r", "-", given=data)
        code, told, name = piped.returncode, piped.stderr, "standard input"
    assert code == CAPTURE
    assert told.startswith(f"skbpool: {name}: byte {24 + 5 * 76}: cut off")
    assert told.count("\n") == 1


def test_nothing_on_standard_input_is_an_empty_capture(daemon: Daemon) -> None:
    ended = nic(daemon, "-r", "-", given=b"")
    assert ended.returncode == CAPTURE
    assert ended.stderr.startswith("skbpool: standard input: byte 0: the file is empty")


def test_another_link_type_is_told_and_passes(daemon: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "radio.pcap"
    path.write_bytes(capture(link_type=105))
    ended = daemon.run("nic", "-r", str(path), "--json")
    assert ended.json["accepted"] == FRAMES
    assert ended.stderr.count("\n") == 1
    assert "link type 105 (IEEE802_11), not Ethernet" in ended.stderr
