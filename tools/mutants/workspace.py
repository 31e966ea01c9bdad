"""A copy of the crates that may be broken, built where the next run finds it warm."""

import contextlib
import fcntl
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .sources import CORE

CRATES = ("pool", "deliver", "nic", "wire", "engine")
NOT_COPIED = ("target", "__pycache__")
SECONDS_TO_BUILD = 900

MODELS = {
    "RUSTFLAGS": "--cfg loom --cap-lints allow",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG": "false",
}
TESTS = {"RUSTFLAGS": "--cap-lints allow"}


class DoesNotBuild(Exception):
    """A mutation that the compiler refuses tells nothing about the tests."""


@dataclass(frozen=True)
class Executable:
    """A test program: where it lies, and the folder of its crate, in which it runs."""

    path: Path
    folder: Path

    @property
    def crate(self) -> str:
        """The name of the crate's folder."""
        return self.folder.name


class Workspace:
    """The copy. Files are written only when they change, so cargo builds no more than it must."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "core"
        self._target = folder

    def copy(self, changed: dict[Path, str]) -> None:
        """Make the copy what the sources are, but for the text of `changed`, by path there."""
        manifest = (CORE / "Cargo.toml").read_text()
        manifest = re.sub(r"(?m)^default-members = \[[^]]*\]\n", "", manifest)
        members = ", ".join(f'"{crate}"' for crate in CRATES)
        manifest = re.sub(r"(?m)^members = \[[^]]*\]", f"members = [{members}]", manifest)
        wanted = {
            Path("Cargo.toml"): manifest.encode(),
            Path("Cargo.lock"): (CORE / "Cargo.lock").read_bytes(),
        }
        for crate in CRATES:
            for path in (CORE / crate).rglob("*"):
                if path.is_file() and not set(NOT_COPIED) & set(path.parts):
                    text = changed.get(path)
                    wanted[path.relative_to(CORE)] = text.encode() if text else path.read_bytes()
        for path, text in changed.items():
            wanted.setdefault(path.relative_to(CORE), text.encode())
        for path, content in wanted.items():
            copy = self.folder / path
            if not copy.is_file() or copy.read_bytes() != content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
        for copy in list(self.folder.rglob("*")):
            if copy.is_file() and copy.relative_to(self.folder) not in wanted:
                copy.unlink()

    def build_models(self, crates: list[str]) -> list[Executable]:
        """Build the models of some crates, all with the same switches for loom."""
        packages = [argument for crate in crates for argument in ("-p", f"skbpool-{crate}")]
        return self._build(["--release", "--lib", *packages], "models", MODELS)

    def build_tests(self, crate: str, names: list[str]) -> list[Executable]:
        """Build the tests in the sources of a crate and some of its others."""
        chosen = ["--lib", *(argument for name in names for argument in ("--test", name))]
        return self._build(["-p", f"skbpool-{crate}", *chosen], "tests", TESTS)

    def _build(
        self, arguments: list[str], folder: str, environment: dict[str, str]
    ) -> list[Executable]:
        target = {"CARGO_TARGET_DIR": str(self._target / folder)}
        run = subprocess.run(
            ["cargo", "test", "--no-run", "--message-format=json", *arguments],
            cwd=self.folder,
            env=os.environ | environment | target,
            capture_output=True,
            text=True,
            timeout=SECONDS_TO_BUILD,
            check=False,
        )
        messages = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
        if run.returncode != 0:
            told = [message["message"]["rendered"] for message in messages if "message" in message]
            raise DoesNotBuild("".join(told)[-2000:] or run.stderr[-2000:])
        return [
            Executable(Path(message["executable"]), Path(message["manifest_path"]).parent)
            for message in messages
            if message["reason"] == "compiler-artifact" and message["executable"]
        ]


@contextlib.contextmanager
def workspace() -> Iterator[Workspace]:
    """The workspace in cargo's target folder, for one run at a time."""
    folder = Path(os.environ.get("CARGO_TARGET_DIR", CORE / "target")).resolve() / "mutants"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Workspace(folder)
