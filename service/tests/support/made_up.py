"""Messages made up from their descriptors: valid protobuf with values at and beyond every edge."""

import importlib
import pkgutil
import random
from collections.abc import Iterator, Sequence
from typing import Any

import skbpool.v1
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

DEPTH = 4
EDGES = (0, 1, 2, 60, 4096, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1)
TEXTS = ("", "none", "\0", "\u2028", "../../etc/passwd", "é" * 300, "x" * 70_000)

_BITS = {
    FieldDescriptor.CPPTYPE_INT32: (32, True),
    FieldDescriptor.CPPTYPE_INT64: (64, True),
    FieldDescriptor.CPPTYPE_UINT32: (32, False),
    FieldDescriptor.CPPTYPE_UINT64: (64, False),
}


def methods() -> Iterator[MethodDescriptor]:
    """Return every method of every service of the protocol."""
    for module in pkgutil.iter_modules(skbpool.v1.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"skbpool.v1.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                yield from service.methods


class MadeUp:
    """Makes messages of any type by chance."""

    def __init__(self, dice: random.Random, names: Sequence[str]):
        self.dice = dice
        self.names = names
        self.usual: dict[str, Any] = {}
        """What fields of that name have four times out of five."""
        self.texts: dict[str, Sequence[str]] = {}
        """What texts of that name are one of, as often."""

    def message(self, kind: Descriptor, depth: int = 0) -> Message:
        """Return a message of that type; most of its fields are set."""
        made = message_factory.GetMessageClass(kind)()
        for field in kind.fields:
            if self.dice.random() < 0.3 or (field.message_type and depth == DEPTH):
                continue
            if field.is_repeated:
                self._fill(getattr(made, field.name), field, depth)
            elif field.message_type:
                getattr(made, field.name).CopyFrom(self.message(field.message_type, depth + 1))
            else:
                setattr(made, field.name, self._scalar(field))
        return made

    def _fill(self, values: Any, field: FieldDescriptor, depth: int) -> None:
        for _ in range(self.dice.choice((0, 1, 1, 2, 3, 40))):
            if field.message_type:
                values.append(self.message(field.message_type, depth + 1))
            else:
                values.append(self._scalar(field))

    def _scalar(self, field: FieldDescriptor) -> Any:
        dice = self.dice
        if field.name in self.usual and dice.random() < 0.8:
            return self.usual[field.name]
        if field.name in self.texts and dice.random() < 0.8:
            return dice.choice(self.texts[field.name])
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            if field.type == FieldDescriptor.TYPE_BYTES:
                return dice.randbytes(dice.choice((0, 1, 16, 60, 5000)))
            return dice.choice(TEXTS) if dice.random() < 0.3 else dice.choice(self.names)
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return dice.random() < 0.5
        if field.enum_type is not None:
            known = [value.number for value in field.enum_type.values]
            return dice.choice((*known, *known, 99))
        if field.cpp_type in _BITS:
            bits, signed = _BITS[field.cpp_type]
            number = dice.choice((*EDGES, dice.randrange(100), dice.randrange(100)))
            number %= 1 << bits
            return number - (1 << bits) if signed and number >> (bits - 1) else number
        return dice.choice((0.0, 1.5, -1.0, 1e300, float("inf"), float("nan")))
