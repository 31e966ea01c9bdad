"""Run the fuzz targets with libFuzzer, and keep what they found.

    python core/fuzz/fuzz.py run [--seconds 300] [--only capture,capi]
    python core/fuzz/fuzz.py merge [--only capture,capi]

`run` starts from the corpora, works in `work/` and leaves inputs that break a target in `crashes/`;
git ignores both. `merge` adds to the corpora what reaches code that they do not, smallest first.
Needs a C++ compiler; the sanitizer works on a stable toolchain with RUSTC_BOOTSTRAP=1.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKSPACE = HERE.parent
HOST = "x86_64-unknown-linux-gnu"

MAX_INPUT = 4096
"""Most bytes of an input that is tried."""

CORPUS_BYTES = 48 * 1024
"""Most bytes of a target's corpus; there are fewer than twenty targets."""

FLAGS = [
    "-Zsanitizer=address",
    "-Cpasses=sancov-module",
    *(
        f"-Cllvm-args=-sanitizer-coverage-{what}"
        for what in ("level=4", "inline-8bit-counters", "pc-table", "trace-compares")
    ),
    "-Cdebug-assertions",
    "-Coverflow-checks",
]


def build() -> Path:
    """Build the program that runs any target; return where it is."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", WORKSPACE / "target")) / "fuzz"
    environment = os.environ | {
        "RUSTC_BOOTSTRAP": "1",
        "RUSTFLAGS": " ".join(FLAGS),
        "CARGO_TARGET_DIR": str(target),
        "CARGO_PROFILE_RELEASE_LTO": "off",
    }
    command = ["cargo", "build", "--release", "--manifest-path", str(WORKSPACE / "Cargo.toml")]
    command += ["--target", HOST, "-p", "skbpool-fuzz", "--features", "libfuzzer"]
    subprocess.run([*command, "--bin", "skbpool-fuzz"], env=environment, check=True)
    return target / HOST / "release" / "skbpool-fuzz"


def fuzzer(program: Path, target: str, *arguments: str) -> tuple[int, str]:
    """Run libFuzzer on a target; return how it ended and what it wrote."""
    process = subprocess.run(
        [program, *arguments],
        env=os.environ | {"SKBPOOL_FUZZ_TARGET": target},
        cwd=HERE,
        capture_output=True,
        text=True,
        errors="replace",
    )
    return process.returncode, process.stderr


def run(program: Path, target: str, seconds: int) -> bool:
    """Fuzz one target and print a line; return whether nothing broke."""
    work, crashes = HERE / "work" / target, HERE / "crashes" / target
    for folder in (work, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    code, output = fuzzer(
        program,
        target,
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        f"-artifact_prefix={crashes}/",
        str(work),
        str(HERE / "corpus" / target),
    )
    executed = re.findall(r"number_of_executed_units: (\d+)", output)
    edges = re.findall(r"cov: (\d+)", output)
    print(
        f"{target:<20} {seconds:>5} s {int(executed[-1]) if executed else 0:>11,} executions "
        f"{int(edges[-1]) if edges else 0:>6,} edges  {'broke' if code else 'held'}",
        flush=True,
    )
    if code == 0:
        return True
    log = crashes / "log.txt"
    log.write_text(output)
    found = re.findall(r"Test unit written to (\S+)", output)
    print(f"  what it said: {log}", file=sys.stderr)
    for crash in found:
        print(
            f"  what broke it: {crash}\n"
            f"  again: SKBPOOL_FUZZ_TARGET={target} {program} {crash}\n"
            f"  smaller: the same with -minimize_crash=1 -max_total_time=60\n"
            f"  then mend it, and keep the input: corpus/{target}/NAME-FOR-WHAT-IT-IS",
            file=sys.stderr,
        )
    return False


def merge(program: Path, target: str) -> bool:
    """Add to a corpus what reaches new code; return whether that worked."""
    corpus = HERE / "corpus" / target
    before = {path.name for path in corpus.iterdir()}
    work = HERE / "work" / target
    work.mkdir(parents=True, exist_ok=True)
    # Edges only: how often one was taken is worth a work folder, not a file that stays.
    code, output = fuzzer(program, target, "-merge=1", "-use_counters=0", str(corpus), str(work))
    if code:
        print(output, file=sys.stderr)
        return False
    size = sum((corpus / name).stat().st_size for name in before)
    new = sorted(
        (path for path in corpus.iterdir() if path.name not in before),
        key=lambda path: (path.stat().st_size, path.name),
    )
    kept = 0
    for path in new:
        size += path.stat().st_size
        if size <= CORPUS_BYTES:
            path.rename(path.with_name(f"found-{path.name[:16]}"))
            kept += 1
        else:
            path.unlink()
    print(f"{target:<20} {kept:>4} inputs added to {len(before)}, {len(new) - kept} left out")
    return True


def main() -> None:
    """Do what the command line says; fail if a target broke."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("verb", choices=["run", "merge"])
    parser.add_argument("--seconds", type=int, default=300, help="for each target")
    parser.add_argument("--only", default="", help="targets, separated by commas")
    arguments = parser.parse_args()
    if arguments.seconds < 1:
        parser.error(f"--seconds is at least 1, not {arguments.seconds}")
    targets = sorted(path.name for path in (HERE / "corpus").iterdir())
    chosen = [name for name in arguments.only.split(",") if name] or targets
    if unknown := set(chosen) - set(targets):
        sys.exit(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(targets)}")
    program = build()
    if arguments.verb == "merge":
        held = [merge(program, target) for target in chosen]
    else:
        held = [run(program, target, arguments.seconds) for target in chosen]
    sys.exit(not all(held))


if __name__ == "__main__":
    main()
