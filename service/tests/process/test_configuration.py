"""The configuration as the command shows it, and sockets as it asks for them."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import skbpool
from daemon_support import PATIENCE, DaemonProcess, Stubs, eventually
from skbpool.exit_codes import ExitCode

pytestmark = pytest.mark.e2e

TEXT = 'metrics = ""\n[pool]\nbuffers = 256\n[[listener]]\naddress = "unix:{}/d.sock"\n{}\n'


def serve(*arguments: str) -> tuple[int, str, str]:
    """Run the command, which ends by itself."""
    command = [sys.executable, "-m", "skbpool_service", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


def test_a_configuration_is_checked_without_being_used(tmp_path: Path) -> None:
    file = tmp_path / "skbpool.toml"
    file.write_text(TEXT.format(tmp_path, 'mode = "0600"'))
    found = serve("--config", str(file), "--check-config")
    assert found == (ExitCode.OK, "the configuration can be used\n", "")
    file.write_text(TEXT.format(tmp_path, 'mode = "x"'))
    code, output, errors = serve("--config", str(file), "--check-config")
    assert (code, output) == (ExitCode.USAGE, "")
    assert errors.startswith(f"skbpool serve: {file}:6: listener[0].mode: 'x' is not three or four")
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_of_captures_that_is_not_there_is_told(tmp_path: Path) -> None:
    flags = ("--set", f"driver.capture_directory={tmp_path}/captures")
    code, output, errors = serve(*flags, "--check-config")
    assert (code, output) == (ExitCode.OK, "the configuration can be used\n")
    told = f"driver.capture_directory = '{tmp_path}/captures' is no folder"
    assert errors.startswith(f"skbpool serve: warning: {told}")
    listen = ("--metrics", "", "--buffers", "256", "--listen", f"unix:{tmp_path}/d.sock")
    with DaemonProcess(*listen, *flags) as daemon:
        daemon.await_ready()
        daemon.signal(signal.SIGTERM)
        code, _, errors = daemon.finish()
    assert (code, told in errors) == (ExitCode.OK, True)
    (tmp_path / "captures").mkdir()
    assert serve(*flags, "--check-config") == (ExitCode.OK, "the configuration can be used\n", "")


def test_what_is_printed_is_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "skbpool.toml"
    file.write_text(TEXT.format(tmp_path, 'roles = ["observe"]'))
    flags = ("--set", "limits.max_streams=9")
    code, printed, errors = serve("--config", str(file), *flags, "--print-config")
    assert (code, errors) == (ExitCode.OK, "")
    assert "max_streams = 9" in printed
    file.write_text(printed)
    assert serve("--config", str(file), "--print-config") == (ExitCode.OK, printed, "")
    with DaemonProcess("--config", str(file)) as daemon, Stubs(f"unix:{tmp_path}/d.sock") as stubs:
        daemon.await_ready()
        assert stubs.statistics().pool.buffers == 256


def test_connections_have_the_files_that_they_need(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    listen = ("--metrics", "", "--buffers", "256", "--listen", f"unix:{tmp_path}/d.sock")
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        daemon = DaemonProcess(*listen, "--set", "limits.max_connections=300")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with daemon:
        daemon.await_ready()
        text = Path(f"/proc/{daemon.process.pid}/limits").read_text()
        [line] = [line for line in text.splitlines() if line.startswith("Max open files")]
        assert int(line.split()[3]) == 300 + 256


def test_a_socket_has_the_mode_and_group_asked_for(tmp_path: Path) -> None:
    # One that the user belongs to besides its own, if there is one; root may take any.
    group = next((each for each in os.getgroups() if each != os.getgid()), os.getgid())
    group = group if os.getuid() else 1
    file = tmp_path / "skbpool.toml"
    file.write_text(TEXT.format(tmp_path, f'mode = "0640"\ngroup = "{group}"'))
    with DaemonProcess("--config", str(file)) as daemon:
        daemon.await_ready()
        found = (tmp_path / "d.sock").stat()
        assert (found.st_mode & 0o777, found.st_gid) == (0o640, group)
        daemon.signal(signal.SIGTERM)
        assert daemon.finish()[0] == ExitCode.OK
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize("lines", ["console", "json"])
def test_standard_streams_may_be_closed(closed: str, lines: str, tmp_path: Path) -> None:
    socket = tmp_path / "d.sock"
    command = Path(sys.executable).with_name("skbpool")
    flags = f"--listen unix:{socket} --metrics= --log-format {lines}"
    with subprocess.Popen(["sh", "-c", f"exec {command} serve {flags} {closed}"]) as daemon:
        try:
            eventually(lambda: socket.exists() or daemon.poll() is not None)
            with skbpool.Client(f"unix:{socket}") as client:
                eventually(lambda: is_served(client))
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(PATIENCE) == 0
        finally:
            daemon.kill()


def is_served(client: skbpool.Client) -> bool:
    try:
        return bool(client.server_info().version)
    except skbpool.client.ServerUnavailable:
        return False
