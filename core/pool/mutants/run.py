"""Break the pool on purpose, one mutation at a time, and see what notices.

    python core/pool/mutants/run.py [LIST...] [--only TEXT]...

LIST is `orderings` (judged by the loom models) or `behaviour` (judged by the tests); both unless
named. Every mutation is made in a copy of the crate. Prints one line for each: which tests failed.
Exits with 1 if one survived or no longer applies.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CRATE = HERE.parent
CORE = CRATE.parent
SECONDS = 300

TEST = ["cargo", "test", "-p", "skbpool-pool"]
COMMANDS = {
    "orderings": [*TEST, "--release", "--lib"],
    "behaviour": [*TEST, "--no-fail-fast", "--test", "pool", "--test", "model"],
}
ENVIRONMENTS = {
    "orderings": {
        "RUSTFLAGS": "--cfg loom -A warnings",
        "CARGO_PROFILE_RELEASE_LTO": "off",
        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
        "CARGO_PROFILE_RELEASE_DEBUG": "false",
    },
    "behaviour": {"RUSTFLAGS": "-A warnings"},
}


@dataclass(frozen=True)
class Mutant:
    """One change: within the item that begins with `item` in `file`, each edit once."""

    name: str
    file: str
    item: str
    edits: list[list[str]]

    def apply(self, source: str) -> str:
        """Return `source` with this mutation, or raise ValueError if it no longer applies."""
        start = source.find(self.item)
        line = source[source.rfind("\n", 0, start) + 1 :]
        closing = "\n" + line[: len(line) - len(line.lstrip())] + "}\n"
        end = source.find(closing, start) + len(closing)
        body = source[start:end]
        for find, replace in self.edits:
            if start < 0 or body.count(find) != 1:
                raise ValueError(f"{self.file}: {find!r} is not there once in {self.item!r}")
            body = body.replace(find, replace)
        return source[:start] + body + source[end:]


def copy_workspace(into: Path) -> Path:
    """Copy the crate into a workspace of its own and return the crate's folder."""
    manifest = (CORE / "Cargo.toml").read_text()
    manifest = re.sub(r"(?m)^default-members = .*\n", "", manifest)
    manifest = re.sub(r"(?m)^members = .*$", 'members = ["pool"]', manifest)
    (into / "Cargo.toml").write_text(manifest)
    shutil.copy(CORE / "Cargo.lock", into)
    shutil.copytree(CRATE, into / "pool", ignore=shutil.ignore_patterns("mutants", "target"))
    return into / "pool"


def judge(judges: str, workspace: Path) -> str:
    """Run the tests and say which failed; empty if none did."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", CORE / "target")) / "mutants" / judges
    environment = os.environ | ENVIRONMENTS[judges] | {"CARGO_TARGET_DIR": str(target)}
    try:
        run = subprocess.run(
            COMMANDS[judges],
            cwd=workspace,
            env=environment | {"RUST_BACKTRACE": "0"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {SECONDS} s"
    if run.returncode == 0:
        return ""
    if "could not compile" in run.stderr:
        raise ValueError("it does not compile:\n" + run.stderr[-2000:])
    failed = sorted(set(re.findall(r"(?m)^test (\S+) \.\.\. FAILED", run.stdout)))
    return ", ".join(name.removeprefix("models::") for name in failed) or "the process was aborted"


def run_list(judges: str, only: list[str]) -> bool:
    """Run every mutation of a list, and return whether all were caught."""
    listed = tomllib.loads((HERE / f"{judges}.toml").read_text())["mutant"]
    all_caught = True
    for entry in listed:
        mutant = Mutant(**entry)
        if only and not any(text in mutant.name for text in only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            crate = copy_workspace(Path(folder))
            file = crate / "src" / mutant.file
            try:
                file.write_text(mutant.apply(file.read_text()))
                caught_by = judge(judges, Path(folder))
                print(f"{mutant.name}: {caught_by or 'SURVIVED'}", flush=True)
            except ValueError as error:
                caught_by = ""
                print(f"{mutant.name}: NOT APPLIED, {error}", flush=True)
        all_caught = all_caught and bool(caught_by)
    return all_caught


def main() -> None:
    """Run the lists named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lists", nargs="*", choices=[*COMMANDS, []], metavar="LIST")
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="those whose name contains TEXT"
    )
    arguments = parser.parse_args()
    outcomes = [run_list(judges, arguments.only) for judges in arguments.lists or COMMANDS]
    sys.exit(0 if all(outcomes) else 1)


if __name__ == "__main__":
    main()
