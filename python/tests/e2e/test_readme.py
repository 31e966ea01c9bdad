"""Every command and snippet of the README, in its order, in one shell."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import go_protos
import pytest
from capture_parser import read_capture
from skbpool_processes import Daemon, Process, named, stats, wait_until

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT = 240

# Asks until the daemon answers, as a person does by looking at what it printed.
READY = "timeout 60 sh -c 'until skbpool stat >stat.txt 2>&1; do sleep 0.1; done'\n"


def blocks() -> list[tuple[str, str]]:
    """Return language and text of every block that can be run."""
    return BLOCK.findall((ROOT / "README.md").read_text())


def script() -> str:
    """Return the README as a shell script."""
    make = f'make() {{ command make -C {shlex.quote(str(ROOT))} "$@"; }}'
    lines = ["set -eu", make, "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT"]
    for language, text in blocks():
        if language == "python":
            lines.append(f"python3 - <<'SNIPPET'\n{text}SNIPPET")
        elif text.startswith("make test"):
            continue  # it is what runs this test
        elif text.startswith("pip install"):
            continue  # test_what_it_installs has an environment of its own
        elif text.startswith("prometheus") and shutil.which("prometheus") is None:
            print("the block with Prometheus is left out: prometheus is missing")
            assert os.environ.get("SKBPOOL_REQUIRE_ALL") != "1"
        elif text.startswith("go ") and (reason := go_protos.missing()):
            print(f"the block with Go is left out: {reason}")
            assert os.environ.get("SKBPOOL_REQUIRE_ALL") != "1"
        else:
            lines.append(text + (READY if "serve &" in text else ""))
    return "\n".join(lines) + "\necho the README holds\n"


@pytest.mark.timeout(LIMIT + 30)
def test_it_does_what_it_says(tmp_path: Path) -> None:
    socket = f"unix:{tmp_path}/skbpool.sock"
    for folder in ("deploy", "proto"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    # The make that runs this test must not tell the one in the README what to do.
    foreign = ("SKBPOOL_", "MAKE", "MFLAGS")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(foreign)},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SKBPOOL_LISTEN": socket,
        "SKBPOOL_SERVER": socket,
    }
    ran = subprocess.run(
        ["bash", "-c", script()],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT,
        check=False,
    )
    printed = ran.stdout.decode()
    assert ran.returncode == 0, printed
    assert "the README holds" in printed, printed
    assert len(list(read_capture(tmp_path / "out.pcapng"))) == 1000


def test_it_has_the_parts_that_are_promised() -> None:
    languages = [language for language, _ in blocks()]
    assert languages.count("python") >= 3
    for command in ("make demo", "make test", "skbpool serve", "skbpool nic", "skbpool stat"):
        assert any(command in text for _, text in blocks()), command


def subscribed(daemon: Daemon, stack: ExitStack, *flags: str) -> Process:
    """Start a subscriber and stop it (SIGSTOP) when it is subscribed."""
    tap = stack.enter_context(daemon.start("subscribe", "--name", "tap", *flags))
    tap.stderr.wait_for("subscribed")
    tap.signal(signal.SIGSTOP)
    return tap


def test_what_a_subscriber_was_sent_beyond_its_count_is_delivered(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    with Daemon(tmp_path) as daemon, ExitStack() as stack:
        tap = subscribed(daemon, stack, "-w", str(out), "-c", "10")
        daemon.client.ingest([bytes(60)] * 100)

        def sent() -> bool:
            row = named(stats(daemon)["consumers"], "tap")
            return (row["frames"], row["held"]) == (100, 0)

        wait_until(sent, lambda: f"it is not sent everything: {stats(daemon)}")
        tap.signal(signal.SIGCONT)
        assert tap.finish().code == 0
        wait_until(lambda: not stats(daemon)["consumers"], "it does not leave")
        assert stats(daemon)["drops"] == {}
    assert len(read_capture(out)) == 10


def test_what_was_queued_for_a_subscriber_that_leaves_is_shown_as_detached(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, ExitStack() as stack:
        tap = subscribed(daemon, stack, "--quota", "1000")

        def missed() -> int:
            return int(named(stats(daemon)["consumers"], "tap")["drops"].get("quota", 0))

        def full() -> bool:
            """Whether nothing leaves its queue any more, since the connection is full too."""
            before = missed()
            daemon.client.ingest([bytes(1500)] * 1000)
            return missed() == before + 1000

        wait_until(full, lambda: f"nothing stays queued: {stats(daemon)}")
        tap.signal(signal.SIGKILL)
        wait_until(
            lambda: stats(daemon)["drops"].get("detached", 0) > 0,
            lambda: f"nothing is detached: {stats(daemon)}",
        )
        shown = daemon.run("stat").stdout
    assert " detached" in shown


@pytest.mark.timeout(600)
def test_what_it_installs(tmp_path: Path) -> None:
    (line,) = (text.strip() for _, text in blocks() if text.startswith("pip install"))
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    arguments = shlex.split(line)[1:]
    # A target folder of its own: another interpreter would make the shared one build anew. Whether
    # it installs and runs does not depend on how hard the compiler tries.
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(tmp_path / "target"),
        "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
        "CARGO_PROFILE_RELEASE_LTO": "off",
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
        "CARGO_PROFILE_RELEASE_DEBUG": "false",
    }
    subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "-q", *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
    )
    version = subprocess.run(
        [venv / "bin" / "skbpool", "--version"], check=True, capture_output=True, text=True
    )
    assert re.search(r"\d+\.\d+\.\d+", version.stdout), version.stdout
    served = subprocess.run(
        [venv / "bin" / "skbpool", "serve", "--help"], check=True, capture_output=True, text=True
    )
    assert "--listen" in served.stdout
