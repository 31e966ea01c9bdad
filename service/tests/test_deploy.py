"""What is in deploy/ besides the metrics: the systemd unit, read by systemd itself."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy" / "systemd"


def test_systemd_finds_nothing_wrong_with_the_unit(
    system_program: Callable[[str, str], str], tmp_path: Path
) -> None:
    analyze = system_program("systemd-analyze", "systemd")
    text = (DEPLOY / "skbpool.service").read_text()
    # systemd looks whether the program is there.
    assert text.count("/opt/skbpool/bin/skbpool ") == 1
    unit = tmp_path / "skbpool.service"
    unit.write_text(text.replace("/opt/skbpool/bin/skbpool ", f"{sys.executable} "))
    verified = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    # The command checks against a threshold: from 0, nothing is exposed, to 100.
    command = [analyze, "security", "--offline=true", "--threshold=20", str(unit)]
    secured = subprocess.run(command, capture_output=True, text=True)
    assert secured.returncode == 0, secured.stdout
