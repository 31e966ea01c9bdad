"""Requests made of what a program gives, with errors that name the argument."""

from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from skbpool.errors import OutOfRange

Made = TypeVar("Made", bound=Message)

_NUMBERS = {
    FieldDescriptor.TYPE_UINT32: "0 to 4294967295",
    FieldDescriptor.TYPE_UINT64: "0 to 2^64 - 1",
    FieldDescriptor.TYPE_FIXED64: "0 to 2^64 - 1",
}

_KINDS = {
    FieldDescriptor.TYPE_UINT32: "a whole number",
    FieldDescriptor.TYPE_UINT64: "a whole number",
    FieldDescriptor.TYPE_FIXED64: "a whole number",
    FieldDescriptor.TYPE_STRING: "a text",
    FieldDescriptor.TYPE_BYTES: "bytes",
}


def request_of(kind: type[Made], **arguments: Any) -> Made:
    """Return a message of that kind; protobuf's own errors name no argument.

    Raises:
        OutOfRange: A number has no place in the field.
        TypeError: An argument is of another type than the field.
    """
    try:
        return kind(**arguments)
    except (TypeError, ValueError):
        for name, value in arguments.items():
            try:
                kind(**{name: value})
            except (TypeError, ValueError):
                raise _error(kind, name, value) from None
        raise


def duration_of(name: str, seconds: float) -> Duration:
    """Return that time as a message.

    Raises:
        ValueError: It is no time, or has no place in the message.
        TypeError: It is no number.
    """
    duration = Duration()
    try:
        duration.FromNanoseconds(round(seconds * 1e9))
    except TypeError:
        kind = type(seconds).__name__
        raise TypeError(f"{name} is a number of seconds, not {kind}") from None
    except (ValueError, OverflowError):
        raise ValueError(f"{name} is a number of seconds, not {seconds}") from None
    return duration


def _error(kind: type[Message], name: str, value: object) -> Exception:
    field = kind.DESCRIPTOR.fields_by_name[name]
    if isinstance(value, int) and field.type in _NUMBERS:
        shown = value if abs(value) < 1 << 127 else "a number of more than 127 bits"
        return OutOfRange(f"{name} is {_NUMBERS[field.type]}, not {shown}")
    wanted = _KINDS.get(field.type, f"a {field.type}")
    if isinstance(value, str) and field.type == FieldDescriptor.TYPE_STRING:
        return TypeError(f"{name} is a text that has UTF-8, not {value[:80]!r}")
    return TypeError(f"{name} is {wanted}, not {type(value).__name__}")
