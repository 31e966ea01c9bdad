"""What a key of the configuration may be, in words for people."""

from collections.abc import Sequence
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from skbpool_service.config.model import NAME_PATTERN, Settings


def allowed(names: Sequence[str]) -> str:
    """Return what the key may be: `a whole number from 1 to 16777215`."""
    field = _field(names)
    if field is None:
        return "a value of this key"
    kind = _plain(field.annotation)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(repr, get_args(kind)))
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        number = "a whole number" if kind is int else "a number"
        return number + _range(field)
    if kind is str:
        named = any(getattr(rule, "pattern", None) == NAME_PATTERN for rule in field.metadata)
        return "1 to 63 letters, digits, '.', '_' or '-'" if named else "a text"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"a table; its keys are {', '.join(kind.model_fields)}"
    return "a list of texts"


def _field(names: Sequence[str]) -> FieldInfo | None:
    fields, found = Settings.model_fields, None
    for name in names:
        found = fields.get(name)
        if found is None:
            return None
        fields = getattr(_plain(found.annotation), "model_fields", {})
    return found


def _plain(annotation: Any) -> Any:
    """Return the type of a value that is given, without the None of one that is not."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (kind for kind in get_args(annotation) if kind is not type(None))
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
