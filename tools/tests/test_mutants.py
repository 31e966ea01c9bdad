"""The generator of mutations finds every ordering, and its tables still apply."""

import re

import pytest
from mutants import generate, sources, tables
from mutants.__main__ import TESTS
from mutants.rust import Source

SAMPLE = """
// Ordering::SeqCst in a comment, and "fence(Ordering::SeqCst)" in
const TEXT: &str = "Ordering::SeqCst";

impl<'a> Sample<'a> {
    fn wait(&self, list: &[u8; 4]) -> Result<(), [u8; 4]> {
        while self.head.load(Ordering::Acquire) == ')' as u64 {
            list.swap(0, 1);
        }
        self.cells[list[0]].store(1, Ordering::Release);
        self.count.fetch_add(f(1, 2), Ordering::AcqRel);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.peak.fetch_max(1, Ordering::Relaxed);
        let next = Head { index: 1, tag: head.tag.wrapping_add(1) };
        self.head.compare_exchange_weak(
            seen,
            next.into(),
            Ordering::Release,
            Ordering::Acquire,
        )?;
        fence(Ordering::SeqCst);
        Ok(())
    }
}

#[cfg(not(any(loom, shuttle)))]
fn not_in_a_model() { fence(Ordering::SeqCst); }

#[cfg(all(test, not(loom)))]
mod tests {
    fn f() { head.load(Ordering::Acquire); }
}
"""


def names(text: str) -> list[str]:
    return [name for variants in generate.names(generate.sites(Source(text))) for name in variants]


def test_every_ordering_fence_split_and_tag_of_a_sample() -> None:
    assert names(SAMPLE) == [
        "wait: Acquire of head.load, weakened to Relaxed",
        "wait: Release of cells.store, weakened to Relaxed",
        "wait: count.fetch_add, split",
        "wait: AcqRel of count.fetch_add, weakened to Acquire",
        "wait: AcqRel of count.fetch_add, weakened to Release",
        "wait: count.fetch_add #2, split",
        "wait: peak.fetch_max, split",
        "wait: step of the tag, left out",
        "wait: head.compare_exchange_weak, split",
        "wait: Release of head.compare_exchange_weak, weakened to Relaxed",
        "wait: Acquire of a failed head.compare_exchange_weak, weakened to Relaxed",
        "wait: SeqCst fence, weakened to AcqRel",
        "wait: SeqCst fence, removed",
    ]


def test_a_switch_at_each_site_and_nothing_else_changes() -> None:
    source = Source(SAMPLE)
    found = generate.sites(source)
    text = generate.instrument(source, found, 7, "at")
    assert "at::ordering(7, Ordering::Acquire)" in text
    assert "fetch_add_at(9, f(1, 2), at::ordering(10, Ordering::AcqRel))" in text
    assert "wrapping_add(at::unless(13, 1))" in text
    assert "at::fence(17, Ordering::SeqCst)" in text
    back = re.sub(r"at::(?:ordering|unless)\(\d+, ([\w:]+)\)", r"\1", text)
    back = re.sub(r"at::(fence)\(\d+, |(\w+)_at\(\d+, ", r"\1\2(", back)
    assert back == SAMPLE + "\nuse at::{Split as _, SplitInteger as _};\n"


def test_an_ordering_outside_a_call_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="no call"):
        names("fn f() { let order = Ordering::Release; }")


def strength(source: Source) -> int:
    """How many orderings could be weaker, counted without looking at calls."""
    return len(re.findall(r"\bOrdering::(?:Acquire|Release|AcqRel|SeqCst)\b", source.code))


def test_every_ordering_of_the_core_is_mutated() -> None:
    mutated = sources.mutated()
    assert mutated
    for path, source in mutated.items():
        of = [site for site in generate.sites(source) if re.match(r"[AS]\w+ |Rel\w+ ", site.what)]
        assert len(of) == strength(source), path


def test_what_is_not_mutated_is_listed_and_there() -> None:
    listed = {name for name in sources.EXCEPTED if (sources.ROOT / name).exists()}
    assert listed == set(sources.EXCEPTED)
    for path in sources.mutated():
        crate = path.relative_to(sources.CORE).parts[0]
        assert crate in sources.MODELLED, f"{path} has orderings and its crate no models"


@pytest.mark.parametrize("table", ["models", "tests"])
def test_every_written_mutation_applies(table: str) -> None:
    for mutant in tables.written(table):
        path, text = mutant.apply()
        assert text != path.read_text(), mutant.name


def test_the_tests_that_judge_are_there() -> None:
    judged = {mutant.crate for mutant in tables.written("tests")}
    assert judged == set(TESTS)
    for crate, names in TESTS.items():
        for name in names:
            found = [
                sources.CORE / crate / "tests" / end for end in (f"{name}.rs", f"{name}/main.rs")
            ]
            assert any(path.is_file() for path in found), found


def test_every_argument_names_a_mutation() -> None:
    known = {
        f"{path.relative_to(sources.CORE).as_posix()} {name}"
        for path, source in sources.mutated().items()
        for variants in generate.names(generate.sites(source))
        for name in variants
    }
    assert set(tables.arguments()) <= known
