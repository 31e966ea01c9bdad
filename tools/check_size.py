"""Fail when a source file has more lines than one idea needs.

    python tools/check_size.py

Looks at every file that git tracks or would track; generated files are excepted.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 400
SUFFIXES = {".rs", ".py", ".pyi", ".pyx", ".pxd", ".h", ".c", ".proto", ".sh", ".go"}
GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi", ".pb.go")


def sources() -> list[Path]:
    """Return the source files of the work tree."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listing.split("\0") if name]
    return [
        path
        for path in paths
        if path.suffix in SUFFIXES and not path.name.endswith(GENERATED) and path.is_file()
    ]


def main() -> None:
    """Print every file over the limit and fail if there is one."""
    too_long = []
    for path in sources():
        with path.open("rb") as file:
            lines = sum(1 for _ in file)
        if lines > LIMIT:
            too_long.append(f"{path.relative_to(ROOT)}: {lines} lines, the limit is {LIMIT}")
    if too_long:
        sys.exit("\n".join([*sorted(too_long), "Split these files: one idea each."]))


if __name__ == "__main__":
    main()
