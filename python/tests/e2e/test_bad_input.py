"""Whatever is wrong with a command line is told in one line, with a documented exit code."""

import socket
from pathlib import Path

import pytest
import typer
from skbpool.cli.options import name_of_a
from skbpool_processes import Daemon, run, stats

pytestmark = pytest.mark.e2e

USAGE, ADDRESS, UNREACHABLE, REFUSED, CAPTURE = 2, 3, 4, 5, 6

# What is run, its exit code, and words that its one line has to hold.
CASES: list[tuple[str, int, list[str]]] = [
    ("frobnicate", USAGE, ["frobnicate", "--help"]),
    ("--frobnicate", USAGE, ["--frobnicate", "--help"]),
    ("nic --frobnicate", USAGE, ["--frobnicate", "skbpool nic --help"]),
    ("subscribe --frobnicate", USAGE, ["--frobnicate"]),
    ("stat --frobnicate", USAGE, ["--frobnicate"]),
    ("serve --frobnicate", USAGE, ["--frobnicate"]),
    ("nic extra", USAGE, ["extra"]),
    ("nic --rate", USAGE, ["--rate"]),
    ("nic --rate fast", USAGE, ["'--rate': 'fast'", "1Gbps"]),
    ("nic --rate 1", USAGE, ["unit"]),
    ("nic --rate 0bps", USAGE, ["out of range", "1Tbps"]),
    ("nic --rate 2Tbps", USAGE, ["out of range", "1Tbps"]),
    ("nic --rate 0pps", USAGE, ["out of range"]),
    ("nic --size 63", USAGE, ["--size", "out of range", "64 to 262148"]),
    ("nic --size 262149", USAGE, ["--size", "out of range", "64 to 262148"]),
    ("nic --size -1", USAGE, ["--size", "out of range"]),
    ("nic --size many", USAGE, ["'--size': 'many'", "integer", "64 to 262148"]),
    ("nic --duration", USAGE, ["--duration", "skbpool nic --help"]),
    ("serve --buffers", USAGE, ["--buffers", "skbpool serve --help"]),
    ("nic --duration never", USAGE, ["'--duration': 'never'", "no duration", "10s"]),
    ("nic --duration 0s", USAGE, ["out of range", "24h"]),
    ("nic --duration 25h", USAGE, ["out of range", "24h"]),
    ("nic --count 0", USAGE, ["--count", "out of range"]),
    ("nic --name=", USAGE, ["'--name'", "leave the option out"]),
    ("subscribe --name=", USAGE, ["'--name'", "leave the option out"]),
    ("nic --loops 2", USAGE, ["--loops", "-r"]),
    ("nic -r x.pcap --loops 0", USAGE, ["--loops"]),
    ("nic -r x.pcap --size 64", USAGE, ["--size", "-r"]),
    (
        "nic -r {tmp}/none.pcap --server {server}",
        CAPTURE,
        ["none.pcap: cannot be opened: No such file"],
    ),
    ("nic -r {tmp} --server {server}", CAPTURE, ["{tmp}", "directory"]),
    ("subscribe -w {tmp}/none/out.pcapng --server {server}", CAPTURE, ["out.pcapng", "No such"]),
    ("subscribe -w {tmp} --server {server}", CAPTURE, ["{tmp}", "directory"]),
    ("subscribe -c 0", USAGE, ["--count"]),
    ("subscribe --quota -1", USAGE, ["--quota"]),
    ("subscribe --quota 4000000000 --server {server}", REFUSED, ["quota", "max_quota"]),
    ("subscribe --json -w -", USAGE, ["--json"]),
    ("nic --name a,b", USAGE, ["'--name': a driver's name is 1 to 63", "not 'a b'"]),
    ("subscribe --name two\nlines", USAGE, ["consumer's name", r"not 'two\nlines'"]),
    ("subscribe --name " + 300 * "x", USAGE, ["consumer's name", f"not '{80 * 'x'}'"]),
    ("subscribe --quota 131072 --server {server}", REFUSED, ["'skbpool serve --buffers'"]),
    ("stat --server nowhere", USAGE, ["nowhere", "unix:PATH", "HOST:PORT"]),
    ("stat --server unix:{tmp}/none.sock", UNREACHABLE, ["{tmp}/none.sock", "skbpool serve"]),
    ("nic --server unix:{tmp}/none.sock", UNREACHABLE, ["{tmp}/none.sock", "skbpool serve"]),
    ("subscribe --server unix:{tmp}/none.sock", UNREACHABLE, ["skbpool serve"]),
    ("stat --server 127.0.0.1:{closed}", UNREACHABLE, ["127.0.0.1:{closed}", "refused"]),
    ("stat --server none.invalid:1", UNREACHABLE, ["not found): is it running"]),
    ("serve --listen nowhere", USAGE, ["nowhere"]),
    ("serve --metrics garbage", USAGE, ["metrics: 'garbage' is not HOST:PORT"]),
    ("serve --listen 127.0.0.1:{busy} --metrics=", ADDRESS, ["{busy}", "in use"]),
    ("serve --listen unix:{tmp}/s.sock --metrics 127.0.0.1:{busy}", ADDRESS, ["{busy}", "in use"]),
    ("serve --listen {server} --metrics=", ADDRESS, ["in use", "running daemon"]),
    ("serve --listen unix:{tmp}/s.sock --metrics= --buffers 0", USAGE, ["buffers"]),
    ("serve --listen unix:{tmp}/s.sock --metrics= --buffers 8", USAGE, ["pool.buffers: 8", "129"]),
    ("serve --listen unix:/proc/s.sock --metrics=", ADDRESS, ["/proc/s.sock", "No such file"]),
    ("serve --config {tmp}/none.toml", USAGE, ["none.toml"]),
]


@pytest.fixture(scope="module")
def busy_port() -> int:
    """Return a port that somebody listens on for as long as the tests run."""
    listener = socket.create_server(("127.0.0.1", 0))
    KEPT.append(listener)
    port: int = listener.getsockname()[1]
    return port


KEPT: list[socket.socket] = []


@pytest.fixture(scope="module")
def closed_port() -> int:
    """Return a port that nobody listens on, kept from others by a socket that does not listen."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    KEPT.append(bound)
    port: int = bound.getsockname()[1]
    return port


@pytest.fixture(scope="module", autouse=True)
def _close_ports() -> object:
    yield
    while KEPT:
        KEPT.pop().close()


@pytest.mark.parametrize(("line", "code", "words"), CASES, ids=[case[0] for case in CASES])
def test_one_line_says_it(
    daemon: Daemon,
    busy_port: int,
    closed_port: int,
    tmp_path: Path,
    line: str,
    code: int,
    words: list[str],
) -> None:
    known = {
        "tmp": tmp_path,
        "server": daemon.address,
        "busy": busy_port,
        "closed": closed_port,
    }
    arguments = [word.replace(",", " ") for word in line.format(**known).split(" ")]
    ended = run(*arguments)
    assert ended.code == code, ended
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1, ended
    for word in words:
        assert word.format(**known) in ended.stderr, ended
    # It did no harm to whoever runs.
    assert stats(daemon)["pools"][0]["state"] == "open"


def test_a_stopped_daemon_is_noticed(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, daemon.start("subscribe") as subscriber:
        subscriber.stderr.wait_for("subscribed")
        daemon.process.terminate()
        assert daemon.process.wait(45) == 0
        ended = subscriber.finish()
        assert "0 frames" in ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("kind", ["driver", "consumer"])
@pytest.mark.parametrize("name", ["a b", "a\n", "x" * 64, "ä", "x" * 300])
def test_names_are_refused_here_as_there(daemon: Daemon, kind: str, name: str) -> None:
    from skbpool.client import InvalidRequest

    def ask() -> None:
        if kind == "driver":
            daemon.client.ingest([], driver=name)
        else:
            daemon.client.subscribe(name)

    with pytest.raises(InvalidRequest) as there:
        ask()
    with pytest.raises(typer.BadParameter) as here:
        name_of_a(kind)(name)
    assert str(here.value) == str(there.value)


def test_help_tells_the_exit_codes() -> None:
    from skbpool.exit_codes import ExitCode

    told = run("--help").stdout
    for code in ExitCode:
        assert f" {code.value}  " in told


@pytest.mark.parametrize("command", ["nic", "subscribe", "stat", "serve"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    ended = run(command, "--help")
    assert ended.code == 0
    assert f"skbpool {command}" in ended.stdout
    assert "Example" in ended.stdout


def test_completion_knows_the_commands() -> None:
    ended = run(
        environment={
            "_SKBPOOL_COMPLETE": "complete_bash",
            "COMP_WORDS": "skbpool s",
            "COMP_CWORD": "1",
        }
    )
    assert ended.code == 0, ended
    assert set(ended.stdout.split()) == {"serve", "stat", "subscribe"}


def test_the_version() -> None:
    import skbpool

    assert run("--version").stdout == f"skbpool {skbpool.__version__}\n"
