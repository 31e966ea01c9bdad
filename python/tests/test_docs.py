"""The examples in the docstrings run, and nothing public is without a docstring."""

import dataclasses
import doctest
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import skbpool
import skbpool.errors
import skbpool.stats


def documented() -> Iterator[tuple[str, Any]]:
    """Find the package, what it exports, and the members of its classes."""
    yield "skbpool", skbpool
    for name in skbpool.__all__:
        thing = getattr(skbpool, name)
        if not callable(thing):
            continue
        yield name, thing
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            for member, value in vars(thing).items():
                if not member.startswith("_") and not inspect.ismemberdescriptor(value):
                    yield f"{name}.{member}", value


THINGS = dict(documented())


@pytest.mark.parametrize("name", THINGS)
def test_it_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(THINGS[name])


RECORDS = [
    thing
    for thing in (*map(vars(skbpool.stats).get, skbpool.stats.__all__), skbpool.Tls)
    if dataclasses.is_dataclass(thing)
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_help_of_a_record_tells_its_fields(record: type) -> None:
    listed = (inspect.getdoc(record) or "").partition("Attributes:\n")[2]
    told = re.findall(r"^    (\w+): \S", listed, re.MULTILINE)
    assert told == [field.name for field in dataclasses.fields(record)]


def test_dir_lists_what_is_imported_later() -> None:
    code = "import skbpool, sys; print('grpc' in sys.modules, *dir(skbpool))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    imported, *names = done.stdout.split()
    assert imported == "False"
    assert {"Client", "Tls", "Pool", "errors", "get_include"} <= set(names)


EXAMPLES = {name: inspect.getdoc(thing) or "" for name, thing in THINGS.items()}


@pytest.mark.parametrize("name", [name for name, text in EXAMPLES.items() if ">>>" in text])
def test_its_example_runs(name: str) -> None:
    example = doctest.DocTestParser().get_doctest(EXAMPLES[name], {}, name, None, None)
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert not report, "".join(report)


def test_what_is_made_by_hand_has_an_example() -> None:
    made = ["Armed", "Buffer", "Fill", "Hub", "Pool", "PoolEvents", "Skb", "SkbBatch"]
    made += ["adopt", "brought", "copies", "get_include", "holders", "init_zero_copy_buffer"]
    assert [name for name in made if ">>>" not in EXAMPLES[name]] == []
