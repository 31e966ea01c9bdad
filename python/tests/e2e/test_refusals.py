"""What people are told who may do less than they ask for, or ask for what is not there."""

import re
from pathlib import Path

import pytest
from skbpool.exit_codes import ExitCode
from skbpool_processes import Daemon, run

pytestmark = pytest.mark.e2e


def test_a_card_runs_with_the_role_ingest_alone(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/ingest.sock"
    listener = f'listener=[{{"address": "{address}", "roles": ["ingest"]}}]'
    with Daemon(tmp_path, "--set", listener, "--buffers", "4096"):
        ended = run("nic", "--server", address, "--count", "1000", "--rate", "10Mbps", "--json")
        assert (ended.json["offered"], ended.json["accepted"]) == (1000, 1000)
        assert [ended.json[key] for key in ("received", "lost", "latency_seconds")] == [None] * 3
        assert "lacks the role observe" in ended.stderr


@pytest.mark.parametrize("command", ["pool close nothing", "holder revoke nothing"])
def test_refusals_speak_of_commands_not_of_methods(daemon: Daemon, command: str) -> None:
    ended = daemon.run(*command.split())
    assert ended.code == ExitCode.REFUSED
    assert re.search(r"'skbpool (pool|holder) list' tells which", ended.stderr)
    assert not re.search(r"[a-z][A-Z]", ended.stderr)
