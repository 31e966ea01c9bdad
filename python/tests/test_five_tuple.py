"""`Skb.five_tuple`, `SkbBatch.five_tuples`, `FiveTuple`, `FiveTuples`."""

import pickle
import threading
from ipaddress import ip_address
from pathlib import Path

import dpkt
import pytest
from capture_parser import read_capture
from flow_parser import parse
from skbpool import BufferReleased, FiveTuple, FiveTuples, Pool, Skb, SkbBatch, adopt

A, B = bytes([10, 0, 0, 1]), bytes([192, 0, 2, 7])


def tcp_frame(source_port: int = 443, destination_port: int = 50_000) -> bytes:
    segment = dpkt.tcp.TCP(sport=source_port, dport=destination_port)
    datagram = dpkt.ip.IP(src=A, dst=B, p=6, data=segment, len=40)
    return bytes(dpkt.ethernet.Ethernet(data=datagram))


def skb_of(frame: bytes, link_type: int = 1) -> Skb:
    skb = adopt(frame).into_skb(0, len(frame))
    skb.link_type = link_type
    return skb


def test_it_unpacks_and_names_the_flow() -> None:
    with skb_of(tcp_frame()) as skb:
        flow = skb.five_tuple
    assert flow is not None
    source, destination, source_port, destination_port, protocol = flow
    assert (source, destination, source_port, destination_port, protocol) == (A, B, 443, 50_000, 6)
    assert (flow.source_address, flow.destination_address) == (ip_address(A), ip_address(B))
    assert (flow.source_port, flow.destination_port, flow.protocol) == flow[2:] == tuple(flow)[2:]
    assert (flow.version, flow.has_ports, flow.is_fragment, flow.is_truncated) == (
        (4, True, False, False)
    )
    assert (flow.vlan_tags, flow.network_offset, flow.transport_offset, len(flow)) == (0, 14, 34, 5)
    assert repr(flow) == "<skbpool.FiveTuple 10.0.0.1:443 > 192.0.2.7:50000, TCP>"


def test_it_is_a_key() -> None:
    flows = [skb_of(tcp_frame(port, 80)).five_tuple for port in (1, 2, 1, 1)]
    assert len(set(flows)) == 2
    first = flows[0]
    assert first is not None
    assert first == flows[2] == FiveTuple(A, B, 1, 80, 6)
    assert hash(first) == hash(FiveTuple("10.0.0.1", ip_address(B), 1, 80, 6))
    back = skb_of(tcp_frame(80, 1)).five_tuple
    assert back is not None
    assert first not in (back, flows[1], first.reversed(), tuple(first))
    assert first.reversed() == FiveTuple(B, A, 80, 1, 6)
    assert first.reversed().flow_hash == first.flow_hash
    assert pickle.loads(pickle.dumps(first)) == first
    assert len({hash(FiveTuple(A, B, port, 80, 6)) & 0xFFFF for port in range(256)}) > 250


def test_what_is_no_five_tuple_is_refused() -> None:
    six = bytes(16)
    for ends in ((A, six), (b"abc", B), ("10.0.0", B), (None, B)):
        with pytest.raises(ValueError, match="address"):
            FiveTuple(*ends, 1, 2, 6)  # type: ignore[call-arg]
    for numbers in ((65536, 1, 6), (1, -1, 6), (1, 1, 256)):
        with pytest.raises(OverflowError):
            FiveTuple(A, B, *numbers)
    with pytest.raises(TypeError):
        FiveTuple(A, B)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        FiveTuples()
    nothing = FiveTuple.__new__(FiveTuple)
    assert repr(nothing) == "<skbpool.FiveTuple of nothing>"
    assert len(tuple(nothing)) == 5
    empty = FiveTuples.__new__(FiveTuples)
    assert (len(empty), list(empty), empty.protocols.tolist()) == (0, [], [])
    with pytest.raises(BufferError):
        memoryview(type(empty.protocols.obj).__new__(type(empty.protocols.obj)))


def test_frames_without_ip_have_none() -> None:
    arp = bytes(12) + b"\x08\x06" + bytes(46)
    for frame in (b"", b"\x00", arp, tcp_frame()[:33], tcp_frame()[:14] + b"\x65" * 40):
        with skb_of(frame) as skb:
            assert skb.five_tuple is None
            assert (skb.set_hash(), skb.hash) == (0, 0)
    with skb_of(tcp_frame(), link_type=105) as skb:
        assert skb.five_tuple is None


def test_truncated_frames_tell_what_is_left() -> None:
    whole = tcp_frame()
    for length in range(34, len(whole)):
        flow = skb_of(whole[:length]).five_tuple
        assert flow is not None
        assert flow.is_truncated
        assert flow.has_ports == (length >= 38)
        assert tuple(flow) == (A, B, *((443, 50_000) if length >= 38 else (0, 0)), 6)
        assert flow.transport_offset == (34 if length >= 38 else None)


def test_after_release_it_says_so() -> None:
    skb = skb_of(tcp_frame())
    skb.release()
    with pytest.raises(BufferReleased):
        _ = skb.five_tuple
    with pytest.raises(BufferReleased):
        skb.set_hash()


def test_headers_that_cross_the_parts_of_a_chain(pool: Pool) -> None:
    whole = tcp_frame()
    for cut in range(len(whole) + 1):
        with skb_of(whole[:cut]) as chain:
            chain.append_frag(skb_of(whole[cut : cut + 3]))
            chain.append_frag(skb_of(whole[cut + 3 :]))
            assert chain.five_tuple == FiveTuple(A, B, 443, 50_000, 6)
            assert chain.set_hash() == skb_of(whole).set_hash() != 0


def test_hashes_are_filled_in_where_there_are_none() -> None:
    there, back, other = tcp_frame(1, 2), bytearray(tcp_frame(2, 1)), tcp_frame(1, 3)
    back[26:30], back[30:34] = B, A
    batch = SkbBatch(skb_of(bytes(frame)) for frame in (there, back, other, b"arp"))
    given = skb_of(there)
    given.hash = 7
    batch.append(given)
    hashes = batch.five_tuples().flow_hashes.tolist()
    assert hashes[0] == hashes[1] == hashes[4]
    assert 0 not in hashes[:3]
    assert (hashes[2] != hashes[0], hashes[3]) == (True, 0)
    assert batch.set_hashes() == 3
    assert [skb.hash for skb in batch] == [*hashes[:4], 7]
    assert batch.set_hashes() == 0


def test_a_batch_in_columns() -> None:
    batch = SkbBatch(skb_of(tcp_frame(number, 80)) for number in range(100))
    batch.append(skb_of(b"no ip"))
    tuples = batch.five_tuples()
    batch.release()
    assert (len(tuples), len(list(tuples)), tuples[100], tuples[-1]) == (101, 101, None, None)
    assert tuples[7] == FiveTuple(A, B, 7, 80, 6) == tuples[7:8][0]
    assert tuples.source_ports.tolist() == [*range(100), 0]
    assert tuples.destination_ports.tolist() == [80] * 100 + [0]
    assert tuples.protocols.tolist() == [6] * 100 + [0]
    assert tuples.versions.tolist() == [4] * 100 + [0]
    assert tuples.network_offsets.tolist() == [14] * 100 + [0]
    assert tuples.transport_offsets.tolist() == [34] * 100 + [0]
    assert (tuples.sources.shape, tuples.destinations.format) == ((101, 16), "B")
    assert bytes(tuples.sources.tolist()[5]) == A + bytes(12)
    assert bytes(tuples.destinations.tolist()[5]) == B + bytes(12)
    for outside in (101, -102):
        with pytest.raises(IndexError):
            tuples[outside]
    column = tuples.flow_hashes
    del tuples
    assert (column.readonly, len(set(column.tolist()))) == (True, 101)
    with pytest.raises(TypeError):
        column[0] = 1
    empty = SkbBatch().five_tuples()
    assert (len(empty), list(empty), empty.source_ports.tolist()) == (0, [], [])


def test_a_batch_that_others_empty_meanwhile(pool: Pool) -> None:
    frame = tcp_frame()
    done = threading.Event()
    batch = SkbBatch()

    def churn() -> None:
        while not done.is_set():
            with pool.alloc().fill() as fill:
                batch.extend([fill.append(frame) for _ in range(40)])
            batch.release()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(2000):
            assert set(batch.five_tuples()) <= {FiveTuple(A, B, 443, 50_000, 6)}
    finally:
        done.set()
        thread.join()
    batch.release()
    assert pool.stats().in_flight == 0


def test_every_capture(captures_folder: Path) -> None:
    compared = found = by_dpkt = 0
    for path in sorted(captures_folder.iterdir()):
        if path.suffix not in (".pcap", ".pcapng"):
            continue
        try:
            frames = read_capture(path)
        except Exception:  # damaged on purpose: what an independent reader does not read either
            continue
        batch = SkbBatch(skb_of(frame.data, frame.link_type) for frame in frames)
        for frame, flow in zip(frames, batch.five_tuples(), strict=True):
            expected = parse(frame.link_type, frame.data)
            assert (None if flow is None else tuple(flow)) == expected, path.name
            compared += 1
            found += flow is not None
            if flow is not None and frame.link_type == 1:
                by_dpkt += agrees_with_dpkt(flow, frame.data)
    print(f"{compared} frames, {found} with five-tuples, {by_dpkt} of them told by dpkt too")
    assert min(compared, found, by_dpkt) > 1000


def agrees_with_dpkt(flow: FiveTuple, data: bytes) -> bool:
    """Compare with dpkt, as far as it takes the frame apart."""
    try:
        datagram = dpkt.ethernet.Ethernet(data).data
    except (dpkt.UnpackError, IndexError, ValueError, AttributeError, KeyError):
        return False
    if not isinstance(datagram, dpkt.ip.IP | dpkt.ip6.IP6):
        return False
    assert (flow.source, flow.destination) == (datagram.src, datagram.dst)
    segment = datagram.data
    if isinstance(segment, dpkt.tcp.TCP | dpkt.udp.UDP | dpkt.sctp.SCTP) and flow.has_ports:
        assert (flow.source_port, flow.destination_port) == (segment.sport, segment.dport)
    return True
