"""Generate the Python modules and stubs of the protocol buffers in proto/.

    python tools/generate_protos.py            # write python/skbpool/v1
    python tools/generate_protos.py --check    # write nothing, fail if something would change

Generated code refuses a runtime older than the generator, so the generator is the oldest supported
release: requirements/dev.in pins it, and the lower bounds of the extra `client` must not lie below
what the generated code asks for. That is checked in both modes.
"""

import argparse
import importlib.resources
import re
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

from grpc_tools import protoc
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = Path("skbpool/v1")
OUTPUT = ROOT / "python" / PACKAGE
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
INIT = '"""Generated messages and stubs of the package skbpool.v1; see proto/skbpool/v1."""\n'


def generate(target: Path) -> None:
    """Run protoc over every file of the package, into `target`."""
    sources = sorted(str(path.relative_to(PROTO)) for path in (PROTO / PACKAGE).glob("*.proto"))
    if not sources:
        sys.exit(f"generate_protos: no .proto file in {PROTO / PACKAGE}")
    scripts = Path(sysconfig.get_path("scripts"))
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
            f"--proto_path={PROTO}",
            f"--proto_path={well_known}",
            f"--python_out={target}",
            f"--grpc_python_out={target}",
            f"--mypy_out=quiet:{target}",
            f"--mypy_grpc_out=quiet:{target}",
            *sources,
        ]
    )
    if status != 0:
        sys.exit(f"generate_protos: protoc failed with status {status}")
    for path in (target / PACKAGE).glob("*_pb2_grpc.py*"):
        drop_if_without_services(path)
    (target / PACKAGE / "__init__.py").write_text(INIT)


def drop_if_without_services(path: Path) -> None:
    """Remove a _pb2_grpc file whose .proto declares no service."""
    source = PROTO / PACKAGE / re.sub(r"_pb2_grpc\.pyi?$", ".proto", path.name)
    if not re.search(r"^service\s", source.read_text(), re.MULTILINE):
        path.unlink()


def contents(folder: Path) -> dict[str, bytes]:
    """Return name and bytes of every generated file in `folder`."""
    names = [path for path in folder.glob("*") if path.name.endswith(SUFFIXES)]
    names += folder.glob("__init__.py")
    return {path.name: path.read_bytes() for path in names}


def required_runtimes(files: dict[str, bytes]) -> dict[str, Version]:
    """Return the oldest protobuf and grpcio that the generated code accepts."""
    text = b"\n".join(files.values()).decode()
    patterns = {
        "protobuf": r"^# Protobuf Python Version: (\S+)$",
        "grpcio": r"^GRPC_GENERATED_VERSION = '(\S+)'$",
    }
    found = {name: re.findall(pattern, text, re.MULTILINE) for name, pattern in patterns.items()}
    return {name: max(map(Version, versions)) for name, versions in found.items() if versions}


def check_lower_bounds(files: dict[str, bytes]) -> list[str]:
    """Return a complaint for each lower bound of the extra `client` that is too low."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = {r.name: r for r in map(Requirement, project["optional-dependencies"]["client"])}
    complaints = []
    for name, needed in required_runtimes(files).items():
        bounds = [Version(s.version) for s in extra[name].specifier if s.operator == ">="]
        if not bounds or max(bounds) < needed:
            complaints.append(
                f"pyproject.toml: the extra client says {extra[name]}, "
                f"but the generated code needs {name}>={needed}"
            )
    return complaints


def differences(fresh: dict[str, bytes], committed: dict[str, bytes]) -> list[str]:
    """Return a complaint for each file that generating would write, change or remove."""
    return [
        f"{(OUTPUT / name).relative_to(ROOT)} is not what the .proto files give: run make generate"
        for name in sorted(fresh.keys() | committed.keys())
        if fresh.get(name) != committed.get(name)
    ]


def write(fresh: dict[str, bytes], committed: dict[str, bytes]) -> None:
    """Bring the committed files up to date; unchanged ones keep their time."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for name in committed.keys() - fresh.keys():
        (OUTPUT / name).unlink()
    for name, data in fresh.items():
        if committed.get(name) != data:
            (OUTPUT / name).write_bytes(data)
            print(f"wrote {(OUTPUT / name).relative_to(ROOT)}")


def main() -> None:
    """Generate, then write or compare."""
    parser = argparse.ArgumentParser(description="Generate python/skbpool/v1 from proto/.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory(prefix="skbpool-protos-") as folder:
        generate(Path(folder))
        fresh = contents(Path(folder) / PACKAGE)
    committed = contents(OUTPUT) if OUTPUT.exists() else {}
    complaints = check_lower_bounds(fresh)
    if check:
        complaints += differences(fresh, committed)
    else:
        write(fresh, committed)
    if complaints:
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
