"""What a key of the configuration may be, in words for people."""

from collections.abc import Iterable, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from skbpool_service.config.listeners import MODE_PATTERN, ROLES
from skbpool_service.config.model import NAME_PATTERN, Settings

Names = Sequence[str | int]
"""A key: names, and places in lists, which do not matter here."""


def allowed(names: Names) -> str:
    """Return what the key may be: `a whole number from 1 to 16777215`."""
    words = [name for name in names if isinstance(name, str)]
    if "roles" in words and isinstance(names[-1], int):
        return "a role: one of " + ", ".join(map(repr, ROLES))
    if words[:1] == ["roles"]:
        return "a list of roles" if len(words) > 1 else "a table: a list of roles for each name"
    field = _field(words)
    if field is None:
        return "a value of this key"
    kind = _plain(field.annotation)
    if words[-1] == "roles":
        return "a list of roles, which are " + ", ".join(map(repr, ROLES))
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(repr, get_args(kind)))
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        number = "a whole number" if kind is int else "a number"
        return number + _range(field)
    if kind is str:
        return _text(field)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"a table; its keys are {', '.join(kind.model_fields)}"
    return "a list of texts" if words[-1] == "listen" else "a list of tables"


def known(names: Names) -> Iterable[str]:
    """Return the keys beside an unknown one."""
    return _fields([name for name in names[:-1] if isinstance(name, str)])


def _text(field: FieldInfo) -> str:
    patterns = [getattr(rule, "pattern", None) for rule in field.metadata]
    if MODE_PATTERN in patterns:
        return 'three or four octal digits in quotes, as in "0660"'
    return "1 to 63 letters, digits, '.', '_' or '-'" if NAME_PATTERN in patterns else "a text"


def _field(words: Sequence[str]) -> FieldInfo | None:
    return _fields(words[:-1]).get(words[-1]) if words else None


def _fields(words: Sequence[str]) -> dict[str, FieldInfo]:
    """Return the fields of the table at `words`."""
    fields: dict[str, FieldInfo] = Settings.model_fields
    for word in words:
        found = fields.get(word)
        kind = _plain(found.annotation) if found else None
        if get_origin(kind) is list:  # of tables
            (kind,) = get_args(kind)
        fields = getattr(kind, "model_fields", {})
    return fields


def _plain(annotation: Any) -> Any:
    """Return the type of a value that is given, without the None of one that is not."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _range(field: FieldInfo) -> str:
    low = high = ""
    for rule in field.metadata:
        if isinstance(rule, Ge):
            low = f" from {rule.ge}"
        elif isinstance(rule, Gt):
            low = f" above {rule.gt}"
        elif isinstance(rule, Le):
            high = f" to {rule.le}" if low.startswith(" from") else f" and at most {rule.le}"
    return low + (high or (" on" if low.startswith(" from") else ""))
