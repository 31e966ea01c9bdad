"""Options on the wrong side of their command, and methods in the words of the command line."""

import re
from pathlib import Path

import pytest
import typer
from skbpool.cli.app import app, run
from skbpool.cli.verbs import VERBS, in_commands
from skbpool.exit_codes import ExitCode

PROTO = Path(__file__).parents[3] / "proto" / "skbpool" / "v1"


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("--server unix:/x stat", "--server belongs behind the command, as in 'skbpool stat --"),
        ("--json pool list", "--json belongs behind the command, as in 'skbpool pool list --json"),
        ("pool --json list", "--json belongs behind the command, as in 'skbpool pool list --json"),
        ("-c 5 subscribe", "-c belongs behind the command, as in 'skbpool subscribe -c …'"),
        ("stat --tls-ca /x", "--tls-ca belongs before the command, as in 'skbpool --tls-ca … stat"),
        ("pool list --tls-ca x", "before the command, as in 'skbpool --tls-ca … pool list'"),
        ("pool --tls-ca /x list", "before the command, as in 'skbpool --tls-ca … pool'"),
    ],
)
def test_an_option_on_the_wrong_side_is_told_its_place(
    capsys: pytest.CaptureFixture[str], line: str, advice: str
) -> None:
    assert run(line.split()) == ExitCode.USAGE
    assert advice in capsys.readouterr().err


@pytest.mark.parametrize("line", ["--nonsense stat", "stat --nonsense", "--server x", "pool --x"])
def test_an_option_that_is_nobodys_is_none(capsys: pytest.CaptureFixture[str], line: str) -> None:
    assert run(line.split()) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert "No such option: --" in told
    assert "belongs" not in told


def test_methods_are_told_as_commands() -> None:
    said = "there is no pool named 'x'; ListPools tells which; ListPoolsToo and Ingest stay"
    told = (
        "there is no pool named 'x'; 'skbpool pool list' tells which; ListPoolsToo and Ingest stay"
    )
    assert in_commands(said) == told
    methods = {
        name
        for file in PROTO.glob("*.proto")
        for name in re.findall(r"^  rpc (\w+)\(", file.read_text(), re.MULTILINE)
    }
    assert set(VERBS) <= methods
    for verb in VERBS.values():
        command = typer.main.get_command(app)
        for word in verb.split():
            command = command.get_command(typer.Context(command), word)  # type: ignore[attr-defined]
            assert command is not None
