"""`skbpool serve` as a process: what it prints, how it starts, and how it ends."""

import fcntl
import os
import queue
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
import skbpool
from batches import frames_of, numbered, request
from daemon_support import DaemonProcess, Stubs, eventually
from skbpool.exit_codes import ExitCode
from skbpool.v1 import frame_pb2, server_pb2

pytestmark = pytest.mark.e2e

SMALL = ("--buffers", "1024", "--metrics", "127.0.0.1:0")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/daemon.sock"


def serve(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a daemon that should end by itself."""
    with DaemonProcess(*arguments, environment=environment) as daemon:
        return daemon.finish()


def open_streams(daemon: DaemonProcess, limit: str) -> int:
    """Return how many streams a running daemon counts against a limit."""
    with urllib.request.urlopen(daemon.ready["metrics"]) as response:
        found = re.search(
            rf'^skbpool_open_streams{{limit="{limit}"}} (\d+)', response.read().decode(), re.M
        )
    assert found
    return int(found[1])


def test_it_prints_where_it_listens_and_ends_on_sigterm(path: str, tmp_path: Path) -> None:
    with DaemonProcess(*SMALL, "--listen", path, "--listen", "127.0.0.1:0") as daemon:
        daemon.await_ready()
        assert daemon.ready["ready"] is True
        assert daemon.ready["pid"] == daemon.process.pid
        assert daemon.ready["listen"][0] == path
        for address in daemon.ready["listen"]:
            with Stubs(address) as stubs:
                assert stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest()).version
        with urllib.request.urlopen(daemon.ready["metrics"]) as response:
            assert b"skbpool_build_info" in response.read()
        assert (tmp_path / "daemon.sock").stat().st_mode & 0o777 == 0o660
        daemon.signal(signal.SIGTERM)
        code, _, errors = daemon.finish()
    assert code == ExitCode.OK, errors
    assert not (tmp_path / "daemon.sock").exists()


def test_it_prints_lines_for_people(path: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "skbpool_service", *SMALL, "--listen", path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"listening on {path}\n"
        assert process.stdout.readline().startswith("metrics on http://127.0.0.1:")
        assert process.stdout.readline() == "READY\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == ExitCode.OK, errors
    finally:
        process.kill()
        process.communicate()


def test_accepted_frames_are_delivered_before_it_ends(path: str) -> None:
    with DaemonProcess(*SMALL, "--listen", path) as daemon, Stubs(path) as stubs:
        daemon.await_ready()
        tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(quota=200))
        tap.initial_metadata()
        list(stubs.frame.Ingest(iter([request(numbered(150), 1)])))
        daemon.signal(signal.SIGTERM)
        got: list[bytes] = []
        for response in tap:
            got += frames_of(response.batch)
        assert got == numbered(150)
        assert daemon.finish()[0] == ExitCode.OK


def test_a_client_that_stopped_reading_does_not_keep_it(path: str) -> None:
    arguments = (*SMALL, "--listen", path, "--shutdown-deadline", "1")
    with DaemonProcess(*arguments) as daemon, Stubs(path) as stubs:
        daemon.await_ready()
        tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(quota=200))
        tap.initial_metadata()
        # More than flow control lets through to somebody who takes nothing.
        frames = [bytes(60_000)] * 20
        for sequence in range(1, 30):
            list(stubs.frame.Ingest(iter([request(frames, sequence)])))
        daemon.signal(signal.SIGTERM)
        code, _, errors = daemon.finish()
        assert code == ExitCode.OK, errors
        assert "did not end in time" in errors


@pytest.mark.parametrize(
    "method",
    [
        "FrameService/Ingest",
        "FrameService/Subscribe",
        "LeaseService/OpenSession",
        "StampService/AttachStampReader",
    ],
)
def test_streams_that_sent_nothing_are_told_and_do_not_keep_it(path: str, method: str) -> None:
    arguments = ("--shutdown-deadline", "600", "--set", "request_timeout=600")
    with DaemonProcess(*SMALL, "--listen", path, *arguments) as daemon, Stubs(path) as stubs:
        daemon.await_ready()
        silence: queue.Queue[None] = queue.Queue()
        call: Any = stubs.channel.stream_stream(f"/skbpool.v1.{method}")
        stream = call(iter(silence.get, None))
        try:
            limit = {"Ingest": "max_ingest_streams", "OpenSession": "max_sessions"}.get(
                method.partition("/")[2], "max_streams"
            )
            eventually(lambda: open_streams(daemon, limit) == 1)
            daemon.signal(signal.SIGTERM)
            with pytest.raises(grpc.RpcError) as refused:
                list(stream)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
            assert "stopping" in str(refused.value.details())
            code, _, errors = daemon.finish()
        finally:
            silence.put(None)
    assert (code, "Traceback" in errors) == (ExitCode.OK, False), errors


def test_a_second_signal_ends_it_at_once(path: str) -> None:
    arguments = (*SMALL, "--listen", path, "--shutdown-deadline", "600")
    with DaemonProcess(*arguments) as daemon, Stubs(path) as stubs:
        daemon.await_ready()
        tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(quota=200))
        tap.initial_metadata()
        frames = [bytes(60_000)] * 20
        for sequence in range(1, 30):
            list(stubs.frame.Ingest(iter([request(frames, sequence)])))
        daemon.signal(signal.SIGTERM)
        assert daemon.process.stderr is not None
        for line in daemon.process.stderr:
            if "stopping" in line:
                break
        daemon.signal(signal.SIGTERM)
        assert daemon.finish()[0] == ExitCode.FORCED


def test_a_busy_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for listen, metrics in ((address, ""), ("127.0.0.1:0", address)):
            code, output, errors = serve("--listen", listen, "--metrics", metrics)
            assert (code, output) == (ExitCode.ADDRESS, "")
            assert errors.splitlines() == [
                f"skbpool serve: {address}: is in use; stop who uses it, or choose another "
                "(port 0: any)"
            ]


def test_the_socket_of_a_running_daemon_is_left_alone(path: str) -> None:
    with DaemonProcess(*SMALL, "--listen", path) as daemon:
        daemon.await_ready()
        code, _, errors = serve(*SMALL, "--listen", path)
        assert code == ExitCode.ADDRESS
        assert "is in use by a running daemon" in errors
        with Stubs(path) as stubs:
            assert stubs.statistics().pool.name == "default"


@pytest.mark.parametrize("length", [0, 106])
def test_a_socket_that_is_another_daemons_by_now_is_left_alone(length: int) -> None:
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        file = Path(folder) / ("d" * max(length - len(folder) - len("//socket"), 1)) / "socket"
        assert len(str(file)) == length or not length
        file.parent.mkdir()
        _replace_and_stop(f"unix:{file}", file)


def test_a_folder_that_somebody_locked_keeps_no_daemon_from_starting(path: str) -> None:
    folder = os.open(Path(path.removeprefix("unix:")).parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with DaemonProcess("--buffers", "256", "--metrics", "", "--listen", path) as daemon:
            daemon.await_ready()
            daemon.signal(signal.SIGTERM)
            assert daemon.finish()[0] == 0
    finally:
        os.close(folder)


def _replace_and_stop(path: str, file: Path) -> None:
    arguments = ("--buffers", "256", "--metrics", "", "--listen", path)
    with DaemonProcess(*arguments) as first:
        first.await_ready()
        file.unlink()
        with DaemonProcess(*arguments) as second, Stubs(path) as stubs:
            second.await_ready()
            first.signal(signal.SIGTERM)
            assert first.finish()[0] == 0
            assert stubs.statistics().pool.buffers == 256
            second.signal(signal.SIGTERM)
            assert second.finish()[0] == 0
    assert list(file.parent.iterdir()) == []


def test_of_daemons_that_start_at_once_one_gets_the_socket(path: str) -> None:
    arguments = ("--buffers", "256", "--metrics", "", "--listen", path)
    with ExitStack() as stack:
        daemons = [stack.enter_context(DaemonProcess(*arguments)) for _ in range(4)]
        lines = [daemon.process.stdout.readline() for daemon in daemons if daemon.process.stdout]
        assert sum(map(bool, lines)) == 1
        for daemon, line in zip(daemons, lines, strict=True):
            if line:
                daemon.signal(signal.SIGTERM)
            code, _, errors = daemon.finish()
            assert code == (0 if line else 3), errors
            assert line or "in use" in errors
    assert list(Path(path.removeprefix("unix:")).parent.iterdir()) == []


@pytest.mark.parametrize("name", ["a%20b.sock", "q?x=1#y.sock", "a b.sock", "ä:1.sock"])
def test_a_path_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    path = f"unix:{tmp_path}/{name}"
    with DaemonProcess("--buffers", "256", "--metrics", "", "--listen", path) as daemon:
        daemon.await_ready()
        assert [file.name for file in tmp_path.iterdir()] == [name]
        with skbpool.Client(path) as client:
            assert client.server_info()
        daemon.signal(signal.SIGTERM)
        assert daemon.finish()[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_the_socket_of_a_killed_daemon_is_replaced(path: str, tmp_path: Path) -> None:
    with DaemonProcess(*SMALL, "--listen", path) as daemon:
        daemon.await_ready()
        daemon.signal(signal.SIGKILL)
        daemon.finish()
    assert (tmp_path / "daemon.sock").is_socket()
    with DaemonProcess(*SMALL, "--listen", path) as daemon, Stubs(path) as stubs:
        daemon.await_ready()
        assert stubs.statistics().pool.name == "default"


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--buffers", "0"), ExitCode.USAGE, "pool.buffers: "),
        (("--buffers", "64"), ExitCode.USAGE, "(--buffers 129)"),
        (("--set", "limits.max_streams=x"), ExitCode.USAGE, "limits.max_streams: "),
        (("--set", "nonsense"), ExitCode.USAGE, "write KEY=VALUE"),
        (("--listen", "nonsense"), ExitCode.USAGE, "is not an address"),
        (("--listen", "0.0.0.0:0"), ExitCode.USAGE, "--insecure-any-address"),
        (("--config", "/nowhere.toml"), ExitCode.USAGE, "/nowhere.toml: cannot be read"),
        (("--listen", "unix:/nowhere/d.sock"), ExitCode.ADDRESS, "there is no folder /nowhere"),
        (("--listen", "unix:/proc/d.sock"), ExitCode.ADDRESS, "No such file or directory; listen"),
        (
            ("--buffers", "16777215", "--order", "10"),
            ExitCode.FAILURE,
            "bytes of memory and",
        ),
        (
            ("--buffers", "8000000", "--huge-pages", "require"),
            ExitCode.FAILURE,
            "sysctl -w vm.nr_hugepages=15625",
        ),
        (
            ("--buffers", "4096", "--set", "limits.default_quota=5000"),
            ExitCode.USAGE,
            "limits.default_quota: 5000 views are more than pool.buffers = 4096",
        ),
    ],
)
def test_what_cannot_be_is_one_line_and_an_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: ExitCode, line: str
) -> None:
    where = () if "--listen" in arguments else ("--listen", f"unix:{tmp_path}/d.sock")
    ended, output, errors = serve("--metrics", "", *where, *arguments)
    assert (ended, output) == (code, "")
    assert line in errors
    assert len(errors.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_flag_is_a_usage_error() -> None:
    code, _, errors = serve("--no-such-flag")
    assert code == ExitCode.USAGE
    assert "--no-such-flag" in errors


def test_a_file_in_the_way_is_not_removed(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    code, _, errors = serve("--metrics", "", "--listen", f"unix:{file}")
    assert code == ExitCode.ADDRESS
    assert "is no socket" in errors
    assert file.read_text() == "mine"


def test_settings_come_from_environment_and_file(tmp_path: Path) -> None:
    file = tmp_path / "skbpool.toml"
    file.write_text('metrics = ""\n[pool]\nname = "mine"\nbuffers = 70\n')
    path = f"unix:{tmp_path}/d.sock"
    environment = {"SKBPOOL_LISTEN": path, "SKBPOOL_POOL__ORDER": "1", "SKBPOOL_CONFIG": str(file)}
    with DaemonProcess(environment=environment) as daemon, Stubs(path) as stubs:
        daemon.await_ready()
        assert daemon.ready["metrics"] is None
        pool = stubs.statistics("mine").pool
        assert (pool.buffers, pool.buffer_bytes) == (70, 8192)


def test_systemd_is_told(path: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with DaemonProcess(*SMALL, "--listen", path, environment=environment) as daemon:
            assert b"READY=1" in supervisor.recv(4096).split(b"\n")
            daemon.signal(signal.SIGTERM)
            assert supervisor.recv(4096) == b"STOPPING=1"
            daemon.finish()


def test_random_bytes_on_the_port_change_nothing() -> None:
    dice = random.Random(7)
    with DaemonProcess(*SMALL, "--listen", "127.0.0.1:0") as daemon:
        daemon.await_ready()
        host, port = daemon.address.split(":")
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        for number in range(50):
            with socket.create_connection((host, int(port))) as peer:
                head = preface if number % 2 else b""
                peer.sendall(head + dice.randbytes(dice.randrange(1, 5000)))
        for _ in range(3):
            with socket.create_connection((host, int(port))) as peer:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with Stubs(daemon.address) as stubs:
            assert stubs.statistics().in_flight == 0
        daemon.signal(signal.SIGTERM)
        code, _, errors = daemon.finish()
    assert code == ExitCode.OK
    assert "Traceback" not in errors


def test_logs_are_json_when_asked(path: str) -> None:
    import json

    with DaemonProcess(*SMALL, "--listen", path, "--log-format", "json") as daemon:
        daemon.await_ready()
        daemon.signal(signal.SIGTERM)
        _, _, errors = daemon.finish()
    lines = [json.loads(line) for line in errors.splitlines()]
    quota = "default quota follows the size of the pool"
    assert [line["event"] for line in lines] == ["serving", quota, "stopping", "stopped"]
    assert lines[0]["listen"] == [path]
    assert (lines[1]["quota"], lines[1]["buffers"]) == (256, 1024)
