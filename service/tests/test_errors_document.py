"""The list of refusals in ERRORS.md is the one in the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
from skbpool_service.refusal import over_limit

SERVICE = Path(__file__).parents[1]

_EXHAUSTED = "RESOURCE_EXHAUSTED"


def documented() -> dict[str, str]:
    """Return reason and status of each row of the first table."""
    text = (SERVICE / "ERRORS.md").read_text().partition("\n## ")[0]
    return dict(re.findall(r"^\| ([A-Z_]+) \| ([A-Z_]+) \|", text, re.M))


def in_code() -> dict[str, str]:
    """Return reason and status of each refusal that the daemon's sources make."""
    found: dict[str, str] = {}
    for file in (SERVICE / "skbpool_service").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            found.update(_reasons(node))
    return found


def _reasons(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Tuple) and len(node.elts) == 4:  # of the table of exceptions
        _, code, reason, _ = node.elts
        if isinstance(reason, ast.Constant) and isinstance(code, ast.Attribute):
            yield str(reason.value), code.attr
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
        return
    first = node.args[0]
    word = first.value if isinstance(first, ast.Constant) else None
    match node.func.id:
        case "over_limit" | "Gate" if isinstance(word, str):
            yield f"LIMIT_{word.upper()}", _EXHAUSTED
        case "not_found" if isinstance(word, str):
            yield f"UNKNOWN_{word}", "NOT_FOUND"
        case "Refusal" if isinstance(node.args[1], ast.Constant):
            # A code is named where it is used, or in the line before.
            named = first.attr if isinstance(first, ast.Attribute) else _EXHAUSTED
            yield str(node.args[1].value), named


def test_every_refusal_of_the_code_is_documented_and_no_other() -> None:
    assert in_code() == documented()
    assert all(hasattr(grpc.StatusCode, code) for code in documented().values())


def test_every_row_says_what_to_do() -> None:
    text = (SERVICE / "ERRORS.md").read_text()
    rows = re.findall(r"^\| [A-Z_]+ \| [A-Z_]+ \|(.*)\|(.*)\|$", text.partition("\n## ")[0], re.M)
    assert len(rows) == len(documented())
    assert all(what.strip() and do.strip() for what, do in rows)


def test_the_sample_configuration_has_every_setting_that_a_refusal_may_name() -> None:
    sample = (SERVICE.parent / "deploy" / "skbpool.toml").read_text()
    document = (SERVICE / "ERRORS.md").read_text()
    named = set(re.findall(r"`(?:limits|driver)\.(\w+)`", document))
    named |= {limit.lower() for limit in re.findall(r"\bLIMIT_(\w+)", document)}
    assert len(named) > 20
    assert {key for key in named if not re.search(rf"^(# )?{key} = ", sample, re.M)} == set()


def test_a_limit_is_told_as_a_quota() -> None:
    status = over_limit("max_pools", "the daemon has as many pools as it may", 3).status()
    [(_, value)] = status.trailing_metadata or ()
    assert isinstance(value, bytes)
    for word in (b"QuotaFailure", b"limits.max_pools", b"LIMIT_MAX_POOLS", b"RetryInfo"):
        assert word in value
