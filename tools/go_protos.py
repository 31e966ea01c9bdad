"""The Go package of the protocol buffers, proto/go/skbpool/v1; generate_protos.py calls this.

The plugins of protoc are built from the versions that proto/go/go.mod names, so that whoever has Go
generates the same bytes.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "proto" / "go"
PACKAGE = Path("skbpool/v1")
OUTPUT = MODULE / PACKAGE
SUFFIXES = (".pb.go",)
MODULE_PATH = "skbpool.dev/go"
"""What the module is imported by; go_package in each .proto begins with it."""

PLUGINS = {
    "protoc-gen-go": "google.golang.org/protobuf/cmd/protoc-gen-go",
    "protoc-gen-go-grpc": "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
}


def missing() -> str | None:
    """Return why the module cannot be built here; None: it can."""
    if shutil.which("go") is None:
        return "Go is missing: install Go, as proto/go/go.mod names it"
    asked = subprocess.run(
        ["go", "list", "-m"], cwd=MODULE, check=False, capture_output=True, text=True
    )
    return f"Go cannot build proto/go: {asked.stderr.strip()}" if asked.returncode else None


def is_there() -> bool:
    """Whether Go is; says so if it is not, and ends if everything is required."""
    reason = missing()
    if reason is None:
        return True
    text = f"generate_protos: proto/go is left as it is and not checked. {reason}"
    if os.environ.get("SKBPOOL_REQUIRE_ALL") == "1":
        sys.exit(text)
    print(text, file=sys.stderr)
    return False


def protoc_arguments(plugins: Path, target: Path) -> list[str]:
    """Build the plugins into `plugins`; return what has protoc write the package below `target`."""
    build = ["go", "build", "-o", f"{plugins}/", *PLUGINS.values()]
    if subprocess.run(build, cwd=MODULE, check=False).returncode != 0:
        sys.exit(f"generate_protos: in {MODULE.relative_to(ROOT)} this failed: {' '.join(build)}")
    return [
        *(f"--plugin={name}={plugins / name}" for name in PLUGINS),
        f"--go_out={target}",
        f"--go_opt=module={MODULE_PATH}",
        f"--go-grpc_out={target}",
        f"--go-grpc_opt=module={MODULE_PATH}",
    ]
