"""Generate the Python modules and stubs of the protocol buffers in proto/, and their Go package.

    python tools/generate_protos.py            # write python/skbpool/v1 and proto/go/skbpool/v1
    python tools/generate_protos.py --check    # write nothing, fail if something would change

Without Go the second is left alone, which is printed; under SKBPOOL_REQUIRE_ALL=1 that fails.

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
from collections.abc import Sequence
from pathlib import Path

import go_protos
from grpc_tools import protoc
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = Path("skbpool/v1")
OUTPUT = ROOT / "python" / PACKAGE
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi", "__init__.py")
INIT = '"""Generated messages and stubs of the package skbpool.v1; see proto/skbpool/v1."""\n'


def run_protoc(arguments: Sequence[str]) -> None:
    """Run protoc over every file of the package."""
    sources = sorted(str(path.relative_to(PROTO)) for path in (PROTO / PACKAGE).glob("*.proto"))
    if not sources:
        sys.exit(f"generate_protos: no .proto file in {PROTO / PACKAGE}")
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    paths = [f"--proto_path={PROTO}", f"--proto_path={well_known}"]
    status = protoc.main(["protoc", *paths, *arguments, *sources])
    if status != 0:
        sys.exit(f"generate_protos: protoc failed with status {status}")


def generate_python(target: Path) -> None:
    """Write the Python package below `target`."""
    scripts = Path(sysconfig.get_path("scripts"))
    run_protoc(
        [
            f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
            f"--python_out={target}",
            f"--grpc_python_out={target}",
            f"--mypy_out=quiet:{target}",
            f"--mypy_grpc_out=quiet:{target}",
        ]
    )
    for path in (target / PACKAGE).glob("*_pb2_grpc.py*"):
        drop_if_without_services(path)
    (target / PACKAGE / "__init__.py").write_text(INIT)


def drop_if_without_services(path: Path) -> None:
    """Remove a _pb2_grpc file whose .proto declares no service."""
    source = PROTO / PACKAGE / re.sub(r"_pb2_grpc\.pyi?$", ".proto", path.name)
    if not re.search(r"^service\s", source.read_text(), re.MULTILINE):
        path.unlink()


def contents(folder: Path, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """Return name and bytes of every generated file in `folder`."""
    return {p.name: p.read_bytes() for p in folder.glob("*") if p.name.endswith(suffixes)}


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


def differences(output: Path, fresh: dict[str, bytes], committed: dict[str, bytes]) -> list[str]:
    """Return a complaint for each file that generating would write, change or remove."""
    return [
        f"{(output / name).relative_to(ROOT)} is not what the .proto files give: run make generate"
        for name in sorted(fresh.keys() | committed.keys())
        if fresh.get(name) != committed.get(name)
    ]


def write(output: Path, fresh: dict[str, bytes], committed: dict[str, bytes]) -> None:
    """Bring the committed files up to date; unchanged ones keep their time."""
    output.mkdir(parents=True, exist_ok=True)
    for name in committed.keys() - fresh.keys():
        (output / name).unlink()
    for name, data in fresh.items():
        if committed.get(name) != data:
            (output / name).write_bytes(data)
            print(f"wrote {(output / name).relative_to(ROOT)}")


def bring_up_to_date(
    output: Path, suffixes: tuple[str, ...], fresh: dict[str, bytes], check: bool
) -> list[str]:
    """Write what is fresh into `output`, or return a complaint for each file that differs."""
    committed = contents(output, suffixes) if output.exists() else {}
    if check:
        return differences(output, fresh, committed)
    write(output, fresh, committed)
    return []


def main() -> None:
    """Generate, then write or compare."""
    parser = argparse.ArgumentParser(description="Generate what is made from the .proto files.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args().check
    complaints = []
    with tempfile.TemporaryDirectory(prefix="skbpool-protos-") as folder:
        target = Path(folder)
        generate_python(target)
        fresh = contents(target / PACKAGE, SUFFIXES)
        complaints += check_lower_bounds(fresh)
        complaints += bring_up_to_date(OUTPUT, SUFFIXES, fresh, check)
    if go_protos.is_there():
        with tempfile.TemporaryDirectory(prefix="skbpool-protos-") as folder:
            target = Path(folder)
            run_protoc(go_protos.protoc_arguments(target / "plugins", target))
            fresh = contents(target / go_protos.PACKAGE, go_protos.SUFFIXES)
        complaints += bring_up_to_date(go_protos.OUTPUT, go_protos.SUFFIXES, fresh, check)
    if complaints:
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
