"""Which mutations a source has: every place where an ordering, a read-modify-write or a tag stands.

A *site* is one such place; the mutations of a site are alternatives. All sites are made switches of
one build (`instrument.rs`), so a mutation costs a run of the models and no compilation.
"""

import re
from collections import Counter
from dataclasses import dataclass

from .rust import Call, Source

READ_MODIFY_WRITE = (
    "fetch_add|fetch_sub|fetch_or|fetch_and|fetch_max|fetch_update|swap|compare_exchange(?:_weak)?"
)
ATOMIC = f"{READ_MODIFY_WRITE}|load|store|fence"
ORDERING = re.compile(r"\bOrdering::(Relaxed|Acquire|Release|AcqRel|SeqCst)\b")
# The argument of each call that is the ordering of a failure, which is a load.
FAILURE = {"compare_exchange": 3, "compare_exchange_weak": 3, "fetch_update": 1}

WEAKER_LOAD = {"SeqCst": ["Acquire"], "Acquire": ["Relaxed"]}
WEAKER_STORE = {"SeqCst": ["Release"], "Release": ["Relaxed"]}
WEAKER_BOTH = {
    "SeqCst": ["AcqRel"],
    "AcqRel": ["Acquire", "Release"],
    "Acquire": ["Relaxed"],
    "Release": ["Relaxed"],
}
WEAKER_FENCE = {
    "SeqCst": ["AcqRel", "removed"],
    "AcqRel": ["Acquire", "Release", "removed"],
    "Acquire": ["removed"],
    "Release": ["removed"],
}

# A tag in a packed word: where it is stepped, and where it is put into the word.
TAGS = {
    "step": re.compile(r"\btag\s*\.wrapping_add\(\s*(\d+)\s*\)"),
    "packing": re.compile(r"\(\s*(\w+\.tag & TAG_MASK)\s*\)"),
}


@dataclass(frozen=True)
class Site:
    """A place in a source that can be mutated, and how the switch for it is put in."""

    function: str
    what: str
    line: int
    variants: list[str]
    start: int
    end: int
    switch: str  # replaces `start..end`; {site} is the number of the site, {old} what was there


def sites(source: Source) -> list[Site]:
    """Return every site of a source, in its order."""
    calls = [call for call in source.calls(ATOMIC) if _is_atomic(source, call)]
    found = [*_orderings(source, calls), *_splits(source, calls), *_tags(source)]
    return sorted(found, key=lambda site: (site.start, site.end))


def names(found: list[Site]) -> list[list[str]]:
    """Name the mutations of each site, so that the name survives when lines move."""
    seen: Counter[str] = Counter()
    named = []
    for site in found:
        place = f"{site.function}: {site.what}"
        seen[place] += 1
        number = f" #{seen[place]}" if seen[place] > 1 else ""
        named.append([f"{place}{number}, {_words(variant)}" for variant in site.variants])
    return named


def instrument(source: Source, found: list[Site], first: int, switches: str) -> str:
    """Return the text with a switch at each site; the first has the number `first`.

    `switches` is the path of the module that `instrument.rs` becomes.
    """
    text = source.text
    for number, site in reversed(list(enumerate(found, first))):
        old = text[site.start : site.end]
        switch = site.switch.format(site=number, old=old, switches=switches)
        text = text[: site.start] + switch + text[site.end :]
    return f"{text}\nuse {switches}::{{Split as _, SplitInteger as _}};\n"


def _words(variant: str) -> str:
    return variant if variant in ("removed", "split", "left out") else f"weakened to {variant}"


def _is_atomic(source: Source, call: Call) -> bool:
    return bool(ORDERING.search(source.code, call.open, call.close))


def _site(source: Source, what: str, variants: list[str], span: tuple[int, int], put: str) -> Site:
    start, end = span
    line = source.code.count("\n", 0, start) + 1
    return Site(source.function_at(start), what, line, variants, start, end, put)


def _name(call: Call) -> str:
    return f"{call.receiver}.{call.name}" if call.receiver else call.name


def _orderings(source: Source, calls: list[Call]) -> list[Site]:
    found = []
    for match in ORDERING.finditer(source.code):
        around = [call for call in calls if call.open < match.start() < call.close]
        call = min(around, key=lambda call: call.close - call.open, default=None)
        if call is None:
            raise ValueError(f"{match[0]} stands in no call of an atomic")
        if call.name == "fence":
            span = (call.at, call.open + 1)
            put = "{switches}::fence({site}, "
            found.append(_site(source, f"{match[1]} fence", WEAKER_FENCE[match[1]], span, put))
            continue
        fails = FAILURE.get(call.name) == call.argument(source.code, match.start())
        if call.name == "load" or fails:
            weaker = WEAKER_LOAD
        else:
            weaker = WEAKER_STORE if call.name == "store" else WEAKER_BOTH
        if variants := weaker.get(match[1], []):
            what = f"{match[1]} of {'a failed ' if fails else ''}{_name(call)}"
            put = "{switches}::ordering({site}, {old})"
            found.append(_site(source, what, variants, match.span(), put))
    return found


def _splits(source: Source, calls: list[Call]) -> list[Site]:
    return [
        _site(
            source,
            _name(call),
            ["split"],
            (call.at, call.open + 1),
            f"{call.name}_at({{site}}, ",
        )
        for call in calls
        if re.fullmatch(READ_MODIFY_WRITE, call.name)
    ]


def _tags(source: Source) -> list[Site]:
    put = "{switches}::unless({site}, {old})"
    return [
        _site(source, f"{what} of the tag", ["left out"], match.span(1), put)
        for what, pattern in TAGS.items()
        for match in pattern.finditer(source.code)
    ]
