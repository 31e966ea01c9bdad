"""A frame as a program gives it to the daemon."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

ETHERNET = 1
"""LINKTYPE_ETHERNET in the pcap registry."""


class Frame(NamedTuple):
    """A frame and what is known of it."""

    data: "ReadableBuffer"
    """Its bytes: anything with a buffer, an skb too."""
    timestamp_ns: int
    """When it arrived, in nanoseconds since the Unix epoch."""
    original_length: int = 0
    """Bytes it had before it was cut short; 0: it was not."""
    link_type: int = ETHERNET
    """LINKTYPE_ number of the pcap registry."""
    interface: int = 0
    """Number of the interface it came in on."""
