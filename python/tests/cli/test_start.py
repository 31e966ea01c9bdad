"""How the command begins: quickly where it can, and silent when it is interrupted."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "skbpool"
SLOW = ("grpc", "google.protobuf", "rich.console", "skbpool_service.config")


@pytest.mark.parametrize(
    ("arguments", "slow"),
    [
        (["--version"], (*SLOW, "pydantic")),
        (["--help"], (*SLOW, "pydantic")),
        # For the values of a single command typer itself imports pydantic.
        (["nic", "--help"], SLOW),
        (["subscribe", "--help"], SLOW),
        (["stat", "--help"], SLOW),
        (["serve", "--help"], SLOW),
    ],
)
def test_help_does_not_wait_for_slow_imports(arguments: list[str], slow: tuple[str, ...]) -> None:
    code = (
        "import sys; from skbpool.cli.app import run; code = run(sys.argv[1:]); "
        f"print([name for name in {slow} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert ended.stdout
    assert ended.stderr == "[]\n"


# One that the package itself imports, one of the command line, one of the client.
@pytest.mark.parametrize("module", ["dataclasses", "typer", "grpc"])
def test_ctrl_c_while_it_imports_is_silent(tmp_path: Path, module: str) -> None:
    # An import that takes as long as it takes for the signal to come.
    slow = "import signal, sys\nprint('importing', file=sys.stderr, flush=True)\nsignal.pause()\n"
    (tmp_path / f"{module}.py").write_text(slow)
    with subprocess.Popen(
        [COMMAND, "stat", "--server", f"unix:{tmp_path}/none.sock"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(tmp_path)},
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        printed, told = process.communicate(timeout=30)
    assert (process.returncode, printed, told) == (130, "", "")
