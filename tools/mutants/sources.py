"""Where the lock-free code lies, and what no model reaches."""

from pathlib import Path

from .generate import ORDERING
from .rust import Source

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = ROOT / "core"

# Crates with models: their atomics come from `sync` of the first one, which is loom in a model.
MODELLED = ("pool", "deliver", "engine")

# Sources with orderings that are not mutated, and why.
EXCEPTED = {
    "core/pool/src/sync/mod.rs": "what the models are made of",
    "core/pool/src/sync/check.rs": "what the models are made of",
    "core/pool/src/sync/model.rs": "what the models are made of",
    "core/pool/src/schedules": "random schedules, for structures whose models are mutated",
    "core/deliver/src/schedules.rs": "random schedules, as of the pool",
    "core/pool/src/fork": "atomics of std that a forked child writes while it has one thread",
    "core/pool/src/pool/dead.rs": "written by a forked child while it has one thread",
    "core/pool/src/models": "the models",
    "core/deliver/src/models": "the models",
    "core/engine/src/models": "the models",
    "core/pool/src/region/model.rs": "what stands for memory in the models",
    "core/engine/src/adopt.rs": "a budget: single operations of std, which publish nothing",
    "core/engine/src/card.rs": "a flag of std that stops a thread, which is joined",
    "core/engine/src/stamps.rs": "a flag of std that stops a thread, which is joined or locked out",
    "core/nic": "figures with one writer and a flag that ends a thread; the crate has no models",
    "python/src": "around the interpreter, which no model can run; shown by its tests of threads",
}


def excepted(path: Path) -> str:
    """Why a source is not mutated; empty if it is."""
    name = path.relative_to(ROOT).as_posix()
    return next((why for at, why in EXCEPTED.items() if f"{name}/".startswith(f"{at}/")), "")


def with_orderings() -> dict[Path, Source]:
    """Return every Rust source of the product that names an ordering outside tests."""
    found = {}
    for path in sorted([*CORE.glob("*/src/**/*.rs"), *ROOT.glob("python/src/**/*.rs")]):
        source = Source(path.read_text())
        if ORDERING.search(source.code):
            found[path] = source
    return found


def mutated() -> dict[Path, Source]:
    """Return the sources that mutations are made of."""
    return {path: source for path, source in with_orderings().items() if not excepted(path)}
