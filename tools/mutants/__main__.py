"""Break the lock-free code on purpose, one mutation at a time, and see which test notices.

Three tables: `generated` (every ordering weakened, every fence removed, every read-modify-write
split into a load and a store, every tag left out; judged by the loom models), `models` (steps in
the wrong order, written by hand; judged by the models) and `tests` (wrong behaviour, written by
hand; judged by the ordinary tests of the crate). Exits with 1 if a mutation survives without a
written argument, if an argument is wrong or names nothing, or if a mutation no longer applies.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import generate, judge, sources, tables
from .workspace import DoesNotBuild, Executable, Workspace, workspace

TABLES = ("generated", "models", "tests")
SWITCHES = Path(__file__).resolve().parent / "instrument.rs"
# The ordinary tests that judge a crate, besides those in its sources.
TESTS = {
    "pool": ["pool", "model"],
    "deliver": [
        *("hub", "quota_and_ring_full", "admission", "fan_out"),
        *("drop_oldest", "copy_out", "block", "quota_events", "never_fits", "wraps"),
        "conservation",
    ],
}

CAUGHT, EQUIVALENT = "caught", "equivalent"


class Report:
    """Prints what became of each mutation, and counts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def tell(self, name: str, caught_by: str, argument: str = "") -> None:
        """Print the outcome of a mutation that was judged."""
        if caught_by and argument:
            self.fail(name, "WRONG ARGUMENT", f"called equivalent, but caught by {caught_by}")
        elif caught_by:
            self._print(name, CAUGHT, f"by {caught_by}")
        elif argument:
            self._print(name, EQUIVALENT, argument)
        else:
            self.fail(name, "SURVIVED", "")

    def fail(self, name: str, outcome: str, why: str) -> None:
        """Print an outcome that fails the run."""
        self._print(name, outcome, why)

    def _print(self, name: str, outcome: str, text: str) -> None:
        self.counts[outcome] += 1
        print(f"{name}: {outcome} {text}".rstrip(), flush=True)

    def passed(self) -> bool:
        """Whether every mutation was caught or argued for."""
        return not set(self.counts) - {CAUGHT, EQUIVALENT}


class Chosen:
    """Which mutations to run: those whose name contains one of some texts."""

    def __init__(self, only: list[str]) -> None:
        self._only = only

    def __call__(self, name: str) -> bool:
        """Whether a mutation is to be run."""
        return not self._only or any(text in name for text in self._only)


def generated(chosen: Chosen) -> Iterator[tuple[str, str, str]]:
    """Each generated mutation: source, name, and what switches it on."""
    number = 0
    for path, source in sources.mutated().items():
        found = generate.sites(source)
        for site, names in zip(found, generate.names(found), strict=True):
            for variant, name in zip(site.variants, names, strict=True):
                file = path.relative_to(sources.CORE).as_posix()
                if chosen(f"{file} {name}"):
                    yield file, name, f"{number}:{variant}"
            number += 1


def instrumented() -> dict[Path, str]:
    """All sources with their switches."""
    changed, number = {}, 0
    for path, source in sources.mutated().items():
        found = generate.sites(source)
        own = path.is_relative_to(sources.CORE / sources.MODELLED[0])
        switches = f"{'crate' if own else 'skbpool_pool'}::sync::switches"
        changed[path] = generate.instrument(source, found, number, switches)
        number += len(found)
    sync = sources.CORE / sources.MODELLED[0] / "src/sync"
    changed[sync / "switches.rs"] = SWITCHES.read_text()
    changed[sync / "mod.rs"] = (sync / "mod.rs").read_text() + "\n#[cfg(loom)]\npub mod switches;\n"
    return changed


def run_generated(place: Workspace, chosen: Chosen, report: Report) -> None:
    """Judge the generated mutations: one build, and a run of the models for each."""
    listed = list(generated(chosen))
    arguments = tables.arguments()
    known = {f"{file} {name}" for file, name, _ in generated(Chosen([]))}
    for name in arguments.keys() - known:
        report.fail(name, "NOT APPLIED", "there is an argument for it, and no such mutation")
    if not listed:
        return
    place.copy(instrumented())
    tests = judge.tests_of(place.build_models(list(sources.MODELLED)))
    print(f"{len(listed)} generated mutations, {len(tests)} models", flush=True)
    judges = judge.Judge(tests)

    def one(mutation: tuple[str, str, str]) -> tuple[str, str]:
        file, name, switch = mutation
        return f"{file} {name}", judges.caught_by(file, file.partition("/")[0], switch)

    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        for name, caught_by in threads.map(one, listed):
            report.tell(name, caught_by, arguments.get(name, ""))


def run_written(table: str, place: Workspace, chosen: Chosen, report: Report) -> None:
    """Judge the mutations of a table: a build of the crate for each."""
    listed = [mutant for mutant in tables.written(table) if chosen(f"{mutant.file} {mutant.name}")]
    if not listed:
        return

    def build(crate: str) -> list[Executable]:
        if table == "models":
            return place.build_models([crate])
        return place.build_tests(crate, TESTS[crate])

    judges: dict[str, judge.Judge] = {}
    for mutant in listed:
        name = f"{mutant.file} {mutant.name}"
        try:
            path, text = mutant.apply()
            if mutant.crate not in judges:
                place.copy({})
                judges[mutant.crate] = judge.Judge(judge.tests_of(build(mutant.crate)))
            place.copy({path: text})
            # The same programs as before, built anew.
            build(mutant.crate)
        except (tables.NotApplied, DoesNotBuild) as error:
            report.fail(name, "NOT APPLIED", str(error))
        else:
            report.tell(name, judges[mutant.crate].caught_by(mutant.file, mutant.crate, ""))


def main() -> None:
    """Run the tables named on the command line."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--table", action="append", choices=TABLES, help="all unless named")
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="those whose name contains TEXT"
    )
    parser.add_argument("--list", action="store_true", help="print the mutations and run none")
    options = parser.parse_args()
    chosen, report = Chosen(options.only), Report()
    start = time.monotonic()
    named = options.table or TABLES
    if options.list:
        for table in named:
            print_list(table, chosen)
        return
    with workspace() as place:
        for table in named:
            if table == "generated":
                run_generated(place, chosen, report)
            else:
                run_written(table, place, chosen, report)
    if not report.counts:
        parser.error(f"no mutation has {' or '.join(options.only)} in its name; --list names them")
    totals = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.most_common())
    print(f"{report.counts.total()} mutations: {totals}, in {time.monotonic() - start:.0f} s")
    sys.exit(0 if report.passed() else 1)


def print_list(table: str, chosen: Chosen) -> None:
    """Print the names of a table's mutations."""
    if table == "generated":
        listed = [f"{file} {name}" for file, name, _ in generated(chosen)]
    else:
        listed = [f"{mutant.file} {mutant.name}" for mutant in tables.written(table)]
    print(f"{table}:", *(f"  {name}" for name in listed if chosen(name)), sep="\n")


if __name__ == "__main__":
    main()
