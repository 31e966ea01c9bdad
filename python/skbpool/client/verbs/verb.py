"""A call, before it is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Verb(Generic[Result]):
    """What is asked of the daemon, and how its answer is read."""

    method: str
    """Path of the method: `/skbpool.v1.PoolService/ListPools`."""
    request: Message
    """What is asked."""
    response: type[Message]
    """What is answered."""
    result: Callable[[Any], Result]
    """Makes of the answer what a program wants."""
    wait: float = 0.0
    """Seconds that the daemon may take beyond the client's timeout."""


def serialized(request: Message) -> bytes:
    """Return the bytes of a request."""
    return request.SerializeToString()


def whole(response: Any) -> Any:
    """Return the answer itself."""
    return response
