# cython: language_level=3, boundscheck=False, wraparound=False, auto_pickle=False
"""Five-tuples, one by one and by the batch."""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.number cimport PyNumber_AsSsize_t
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from skbpool cimport (
    SKB_FLOW_FRAGMENT, SKB_FLOW_NO_TRANSPORT, SKB_FLOW_PORTS, SKB_FLOW_TRUNCATED, skb_flow,
)

from ipaddress import ip_address

__all__ = ["FiveTuple", "FiveTuples"]

cdef enum:
    KEY_BYTES = 38  # of skb_flow: addresses, ports, protocol, version

NAMES = {1: "ICMP", 6: "TCP", 17: "UDP", 33: "DCCP", 58: "ICMPv6", 132: "SCTP", 136: "UDP-Lite"}
PORTED = frozenset((6, 17, 33, 132, 136))


cdef object address(const uint8_t *first, uint8_t version):
    return PyBytes_FromStringAndSize(<const char *>first, 4 if version == 4 else 16)


cdef object packed(given):
    """Return the bytes of an address, which may be bytes, text, or of the module ipaddress."""
    if not isinstance(given, bytes):
        given = ip_address(given).packed
    elif len(given) not in (4, 16):
        raise ValueError(f"an address has 4 or 16 bytes, not {len(given)}")
    return given


@cython.final
@cython.freelist(256)
cdef class FiveTuple:
    """Source, destination, their ports and the protocol of a frame: what names a flow.

    `Skb.five_tuple` and `SkbBatch.five_tuples` make them. It unpacks like a tuple, in the order of
    the arguments, and is equal to and hashes as every other of the same direction of the same flow,
    so it may be the key of a dict. What lies where in the frame is told too, but is no part of it.

    Args:
        source: Address: 4 or 16 bytes, text, or an object of the module ipaddress.
        destination: The other address.
        source_port: 0 for protocols without ports.
        destination_port: As `source_port`; of ICMP, type * 256 + code, as NetFlow has it.
        protocol: Number of the IP protocol: 6 is TCP, 17 UDP.

    Raises:
        ValueError: The addresses are none, or of two versions.
        OverflowError: A port or the protocol is out of range.

    Example:
        >>> from skbpool import FiveTuple
        >>> flow = FiveTuple("10.0.0.1", "10.0.0.2", 53, 12345, 17)
        >>> flow
        <skbpool.FiveTuple 10.0.0.1:53 > 10.0.0.2:12345, UDP>
        >>> source, destination, source_port, destination_port, protocol = flow
        >>> source, {flow: 1}[FiveTuple(*flow)], flow.reversed().source_port
        (b'\\n\\x00\\x00\\x01', 1, 12345)
    """

    def __init__(self, source, destination, uint16_t source_port, uint16_t destination_port,
                 uint8_t protocol):
        cdef bytes first = packed(source), second = packed(destination)
        if len(first) != len(second):
            raise ValueError("both addresses are IPv4 or both are IPv6")
        memset(&self.flow, 0, sizeof(skb_flow))
        memcpy(self.flow.source, <const char *>first, len(first))
        memcpy(self.flow.destination, <const char *>second, len(second))
        self.flow.source_port = source_port
        self.flow.destination_port = destination_port
        self.flow.protocol = protocol
        self.flow.version = 4 if len(first) == 4 else 6
        self.flow.flags = SKB_FLOW_PORTS if protocol in PORTED else 0

    @property
    def source(self):
        """The source address: 4 or 16 bytes in network order."""
        return address(self.flow.source, self.flow.version)

    @property
    def destination(self):
        """The destination address: 4 or 16 bytes in network order."""
        return address(self.flow.destination, self.flow.version)

    @property
    def source_address(self):
        """The source as `ipaddress.IPv4Address` or `IPv6Address`; takes a microsecond."""
        return ip_address(self.source)

    @property
    def destination_address(self):
        """The destination as `ipaddress.IPv4Address` or `IPv6Address`; takes a microsecond."""
        return ip_address(self.destination)

    @property
    def source_port(self):
        """The source port; 0 if there is none."""
        return self.flow.source_port

    @property
    def destination_port(self):
        """The destination port; of ICMP, type * 256 + code; 0 if there is none."""
        return self.flow.destination_port

    @property
    def protocol(self):
        """Number of the IP protocol, behind the extension headers of IPv6."""
        return self.flow.protocol

    @property
    def version(self):
        """Version of IP: 4 or 6."""
        return self.flow.version

    @property
    def has_ports(self):
        """Whether the ports are those of TCP, UDP, UDP-Lite, SCTP or DCCP."""
        return self.flow.flags & SKB_FLOW_PORTS != 0

    @property
    def is_fragment(self):
        """Whether the frame has a fragment of a datagram; only the first has ports."""
        return self.flow.flags & SKB_FLOW_FRAGMENT != 0

    @property
    def is_truncated(self):
        """Whether the frame ends before the datagram in it."""
        return self.flow.flags & SKB_FLOW_TRUNCATED != 0

    @property
    def vlan_tags(self):
        """VLAN tags before the IP header."""
        return self.flow.vlan_tags

    @property
    def network_offset(self):
        """Bytes of the frame before the IP header."""
        return self.flow.network_offset

    @property
    def transport_offset(self):
        """Bytes of the frame before the transport header; None if that is not in it."""
        if self.flow.flags & SKB_FLOW_NO_TRANSPORT:
            return None
        return self.flow.transport_offset

    @property
    def flow_hash(self):
        """Hash of 32 bits that both directions of the flow share; 0 if made by hand.

        Fragments are hashed without ports, so that those of a datagram stay together. It is the
        same in every process.
        """
        return self.flow.hash

    def reversed(self):
        """Return the five-tuple of the other direction."""
        cdef FiveTuple other = FiveTuple.__new__(FiveTuple)
        other.flow = self.flow
        memcpy(other.flow.source, self.flow.destination, 16)
        memcpy(other.flow.destination, self.flow.source, 16)
        if self.flow.flags & SKB_FLOW_PORTS:
            other.flow.source_port = self.flow.destination_port
            other.flow.destination_port = self.flow.source_port
        return other

    cdef tuple fields(self):
        return (
            self.source, self.destination, self.flow.source_port, self.flow.destination_port,
            self.flow.protocol,
        )

    def __iter__(self):
        return iter(self.fields())

    def __len__(self):
        return 5

    def __getitem__(self, key):
        return self.fields()[key]

    def __hash__(self):
        # By words, of which the last overlaps; a product is mixed best at its upper end.
        cdef const uint8_t *first = <const uint8_t *>&self.flow
        cdef uint64_t mixed = 0, word
        cdef int position
        for position in range(5):
            memcpy(&word, first + min(position * 8, KEY_BYTES - 8), 8)
            mixed = (mixed ^ word) * <uint64_t>0x9E3779B97F4A7C15
            mixed ^= mixed >> 32
        return <Py_ssize_t>mixed

    def __eq__(self, other):
        if not isinstance(other, FiveTuple):
            return NotImplemented
        return memcmp(&self.flow, &(<FiveTuple>other).flow, KEY_BYTES) == 0

    def __reduce__(self):
        return FiveTuple, self.fields()

    def __repr__(self):
        if self.flow.version == 0:
            return "<skbpool.FiveTuple of nothing>"
        ends = []
        for end, port in (
            (self.source_address, self.source_port),
            (self.destination_address, self.destination_port),
        ):
            text = f"[{end}]" if self.flow.version == 6 and self.has_ports else str(end)
            ends.append(f"{text}:{port}" if self.has_ports else text)
        name = NAMES.get(self.protocol, f"protocol {self.protocol}")
        return f"<skbpool.FiveTuple {ends[0]} > {ends[1]}, {name}>"


@cython.final
@cython.internal
cdef class _Column:
    """One field of all five-tuples, for memoryview."""

    cdef FiveTuples owner
    cdef Py_ssize_t offset
    cdef const char *format
    cdef Py_ssize_t[2] shape
    cdef Py_ssize_t[2] strides

    def __getbuffer__(self, Py_buffer *view, int flags):
        if self.owner is None:
            raise BufferError("this is a column of nothing")
        if flags & 0x18 != 0x18 or flags & 1:  # PyBUF_STRIDES, PyBUF_WRITABLE
            raise BufferError("a column is strided and read-only")
        view.obj = self
        view.buf = <char *>self.owner.flows + self.offset
        view.itemsize = self.strides[1]
        view.ndim = 2 if self.shape[1] > 1 else 1
        view.len = self.shape[0] * self.shape[1] * view.itemsize
        view.readonly = 1
        view.format = <char *>self.format
        view.shape = self.shape
        view.strides = self.strides
        view.suboffsets = NULL
        view.internal = NULL


@cython.final
cdef class FiveTuples:
    """The five-tuples of a batch, in its order: a sequence, and columns without an object each.

    `tuples[3]` is a `FiveTuple`, or None for a frame without an IP header. A column is a read-only
    memoryview with one element a frame (zeros without an IP header), which numpy takes as it is;
    those of addresses have 16 bytes a frame, of which IPv4 uses the first 4. All of it stays valid
    without the batch.

    Example:
        >>> from skbpool import Pool, SkbBatch
        >>> buffer = Pool(8).alloc()
        >>> header = b"E\\0\\0\\x1c\\0\\0\\0\\0@\\x11\\0\\0" + bytes([10, 0, 0, 1, 10, 0, 0, 2])
        >>> memoryview(buffer)[:42] = bytes(12) + b"\\x08\\0" + header + bytes([0, 53, 0, 99]) * 2
        >>> with SkbBatch([buffer.into_skb(0, 42)]) as batch:
        ...     tuples = batch.five_tuples()
        >>> tuples[0], tuples.destination_ports.tolist(), tuples.sources[0, 3]
        (<skbpool.FiveTuple 10.0.0.1:53 > 10.0.0.2:99, UDP>, [99], 1)
    """

    def __init__(self):
        raise TypeError("five-tuples are made of batches: SkbBatch.five_tuples")

    def __dealloc__(self):
        PyMem_Free(self.flows)

    def __len__(self):
        return self.count

    def __getitem__(self, key):
        cdef Py_ssize_t position
        cdef FiveTuple made
        if isinstance(key, slice):
            return [self[position] for position in range(*key.indices(self.count))]
        position = PyNumber_AsSsize_t(key, IndexError)
        if position < 0:
            position += self.count
        if position < 0 or position >= self.count:
            raise IndexError(f"five-tuple {key} is not among the {self.count} there are")
        if self.flows[position].version == 0:
            return None
        made = FiveTuple.__new__(FiveTuple)
        made.flow = self.flows[position]
        return made

    cdef object column(self, void *field, const char *format, Py_ssize_t itemsize,
                       Py_ssize_t items=1):
        cdef _Column column = _Column.__new__(_Column)
        column.owner = self
        column.offset = <char *>field - <char *>self.flows
        column.format = format
        column.shape = [self.count, items]
        column.strides = [sizeof(skb_flow), itemsize]
        return memoryview(column)

    @property
    def sources(self):
        """Source addresses: unsigned bytes, 16 for each frame."""
        return self.column(<void *>self.flows.source, "B", 1, 16)

    @property
    def destinations(self):
        """Destination addresses: unsigned bytes, 16 for each frame."""
        return self.column(<void *>self.flows.destination, "B", 1, 16)

    @property
    def source_ports(self):
        """Source ports: unsigned, 16 bits."""
        return self.column(&self.flows.source_port, "H", 2)

    @property
    def destination_ports(self):
        """Destination ports, of ICMP type * 256 + code: unsigned, 16 bits."""
        return self.column(&self.flows.destination_port, "H", 2)

    @property
    def protocols(self):
        """Numbers of IP protocols: unsigned bytes."""
        return self.column(&self.flows.protocol, "B", 1)

    @property
    def versions(self):
        """Versions of IP, 0 for frames without: unsigned bytes."""
        return self.column(&self.flows.version, "B", 1)

    @property
    def network_offsets(self):
        """Bytes before the IP header: unsigned, 16 bits."""
        return self.column(&self.flows.network_offset, "H", 2)

    @property
    def transport_offsets(self):
        """Bytes before the transport header, 0 if that is not in the frame: unsigned, 16 bits."""
        return self.column(&self.flows.transport_offset, "H", 2)

    @property
    def flow_hashes(self):
        """Hashes, as `FiveTuple.flow_hash`; 0 for frames without: unsigned, 32 bits."""
        return self.column(&self.flows.hash, "I", 4)

    def __iter__(self):
        for position in range(self.count):
            yield self[position]

    def __repr__(self):
        return f"<skbpool.FiveTuples of {self.count} frames>"


cdef FiveTuples room_for(Py_ssize_t count):
    cdef FiveTuples made = FiveTuples.__new__(FiveTuples)
    made.flows = <skb_flow *>PyMem_Malloc(count * sizeof(skb_flow) or 1)
    if made.flows is NULL:
        raise MemoryError(f"no memory for {count} five-tuples")
    made.count = count
    return made
