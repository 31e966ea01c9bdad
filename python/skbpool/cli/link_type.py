"""The link type of a capture's frames, and a word about those that are not Ethernet."""

from collections.abc import Iterator

from skbpool.cli.output import say

ETHERNET = 1

NAMES = {
    0: "NULL",
    3: "AX25",
    6: "IEEE802_5",
    8: "SLIP",
    9: "PPP",
    10: "FDDI",
    50: "PPP_HDLC",
    51: "PPP_ETHER",
    101: "RAW",
    104: "C_HDLC",
    105: "IEEE802_11",
    107: "FRELAY",
    108: "LOOP",
    113: "LINUX_SLL",
    117: "PFLOG",
    119: "IEEE802_11_PRISM",
    127: "IEEE802_11_RADIOTAP",
    163: "IEEE802_11_AVS",
    187: "BLUETOOTH_HCI_H4",
    189: "USB_LINUX",
    192: "PPI",
    195: "IEEE802_15_4_WITHFCS",
    201: "BLUETOOTH_HCI_H4_WITH_PHDR",
    220: "USB_LINUX_MMAPPED",
    227: "CAN_SOCKETCAN",
    228: "IPV4",
    229: "IPV6",
    230: "IEEE802_15_4_NOFCS",
    239: "NFLOG",
    249: "USBPCAP",
    251: "BLUETOOTH_LE_LL",
    252: "WIRESHARK_UPPER_PDU",
    253: "NETLINK",
    254: "BLUETOOTH_LINUX_MONITOR",
    256: "BLUETOOTH_LE_LL_WITH_PHDR",
    258: "PKTAP",
    266: "USB_DARWIN",
    271: "VSOCK",
    272: "NORDIC_BLE",
    276: "LINUX_SLL2",
    283: "IEEE802_15_4_TAP",
} | {147 + number: f"USER{number}" for number in range(16)}
"""Names of link types (LINKTYPE_) in the registry at tcpdump.org; the common ones."""

VARINT, LENGTH_DELIMITED = 0, 2
FIXED_SIZES = {1: 8, 5: 4}
"""Wire types of protobuf, and the bytes of those that have a size."""

BATCH = 1
LINK_TYPE = 6
"""Numbers of IngestRequest.batch and FrameBatch.link_type."""


class LinkTypeNotice:
    """Says once for each link type that it is not Ethernet."""

    def __init__(self) -> None:
        self._known = {ETHERNET}

    def look_at(self, message: bytes) -> None:
        """Look at an encoded IngestRequest, whose frames are of one link type."""
        number = link_type_of(message)
        if number in self._known:
            return
        self._known.add(number)
        name = f" ({NAMES[number]})" if number in NAMES else ""
        say(
            f"skbpool nic: the capture has frames of link type {number}{name}, not Ethernet; they "
            "are sent as they are, and readers that expect Ethernet misread them"
        )


def link_type_of(message: bytes) -> int:
    """Return the link type of an encoded IngestRequest, without decoding its frames.

    A step a field, whatever their sizes: protobuf would copy every frame.
    """
    link_type = 0  # which is left out on the wire
    for field, _, batch in _fields(message, range(len(message))):
        if field == BATCH:
            for inner, value, _ in _fields(message, batch):
                if inner == LINK_TYPE:
                    link_type = value
    return link_type


def _fields(message: bytes, where: range) -> Iterator[tuple[int, int, range]]:
    """Yield each field in a part of a message: number, value of an integer, place of others."""
    at = where.start
    while at < where.stop:
        key, at = _varint(message, at)
        value, size = 0, FIXED_SIZES.get(key & 7, 0)
        if key & 7 == VARINT:
            value, at = _varint(message, at)
        elif key & 7 == LENGTH_DELIMITED:
            size, at = _varint(message, at)
        yield key >> 3, value, range(at, at + size)
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at `at`, and where the next thing begins."""
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return number, at
